"""The SQLite file of a journal: one connection for all threads, transactions, and errors that say what to do."""

import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from threading import RLock
from typing import Final

from longcat.errors import ConfigurationError
from longcat.processes import ForkAware
from longcat.saving import schema
from longcat.saving.files import sync
from longcat.saving.owners import OwnerFiles, connect, is_busy
from longcat.text import sentence, shorten

PATIENCE: Final = 5.0
"""Seconds to wait for another process that is writing. Ours take some milliseconds for a transaction; only a program of
another kind holds the file for longer. An event loop stands still meanwhile."""
OWNED: Final = ("request", "orders")
"""The tables whose rows have an owner."""
NEXT_STEPS: Final = {
    sqlite3.SQLITE_FULL: "Free some space on the disk and run again; what was noted so far is kept.",
    sqlite3.SQLITE_BUSY: "End the program that keeps it locked, then run again.",
    sqlite3.SQLITE_NOTADB: "Choose another file; a journal is made where there is none.",
    sqlite3.SQLITE_CORRUPT: "Move it away and start with a new one.",
}
"""What to do about an error of SQLite, by its primary result code. Every other one is about access to the file."""


class Database(ForkAware):
    """An open journal, and an owner of rows in it.

    A forked process is another owner, with a connection of its own from the first use on: SQLite forbids to share one.
    What the parent's owner has stays the parent's.

    Args:
        path: the file. It is made when there is none, and never replaced.
        time: returns the seconds since the epoch.

    Attributes:
        path: the file, absolute.
        token: names this owner in the rows that it has. In a forked process it is another one.

    Raises ConfigurationError when the file is no journal, or one of a newer version, or can't be made or written; so
    does every method but `close`.
    """

    def __init__(self, path: str | PathLike[str], time: Callable[[], float]) -> None:
        try:
            self.path = Path(path).resolve()  # Whatever its name: the owners' files must stand in one folder.
            missing = not self.path.parent.is_dir()
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigurationError(f"{shorten(path)} can't be a journal: {error}. Choose another name.") from error
        if missing:
            raise ConfigurationError(f"There is no folder {self.path.parent} for the journal. Make it first.")
        self.token = secrets.token_hex(8)
        self.is_open = True
        self._time = time
        self._guard = RLock()
        self._guarded = False  # Whether the guard is held for a fork.
        self._owners = OwnerFiles(self.path)
        self._db: sqlite3.Connection | None = None  # None: not connected yet in this process, or closed.
        self._lock: sqlite3.Connection | None = None
        self.watch_forks()
        with self._guard, _explained(self.path):
            self._connect()

    def close(self) -> None:
        """Give all rows back and close the file. A second call does nothing."""
        with self._guard:
            self.is_open = False
            if self._db is not None:
                with suppress(sqlite3.Error):  # Without its lock, the token has no owner in any case.
                    _disown(self._db, self.token)
            self._disconnect()

    @contextmanager
    def using(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection to one thread at a time. Every statement is a transaction.

        Changes survive the end of the process at once, and a loss of power after some seconds.
        """
        with self._guard, _explained(self.path):
            if not self.is_open:
                raise ConfigurationError("This journal is closed. Make a new one, and close it after the last call.")
            yield self._db or self._connect()

    @contextmanager
    def durable(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for one transaction, which survives a loss of power when the block has ended.

        No other program writes meanwhile. When the block raises, nothing is changed.
        """
        with self.using() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")
        # SQLite would wait for the disk within COMMIT, with `synchronous = FULL`; but then all programs would wait for
        # each other's disk, and some for ever, as SQLite knows no queue. The log is gone when all is in the file.
        with _explained(self.path), suppress(FileNotFoundError):
            sync(self.path.with_name(f"{self.path.name}-wal"))

    @contextmanager
    def trusting(self, what: str, next_step: str) -> Iterator[None]:
        """Raise ConfigurationError for a row that this package can't have written."""
        try:
            yield
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
            raise ConfigurationError(f"{what} in {self.path} was altered and can't be read. {next_step}") from error

    def now(self) -> str:
        """Return the moment, in ISO 8601."""
        return datetime.fromtimestamp(self._time(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def is_alive(self, owner: str) -> bool:
        """Whether an owner still works on its rows. The answer may be out of date at once: owners can be killed."""
        return owner == self.token or self._owners.is_alive(owner)

    def remove_owner(self, db: sqlite3.Connection, owner: str) -> None:
        """Give back the rows of an owner that is gone, and remove its file. A second call does nothing."""
        _disown(db, owner)
        self._owners.remove(owner)

    def check_owner(self, token: str) -> None:
        """Raise ConfigurationError unless this is the process in which the owner with this token works."""
        if token != self.token:
            raise ConfigurationError(
                f"What began before this process was forked goes on in the parent, with its rows in {self.path}."
                " Begin anew in this process."
            )

    def before_fork(self) -> None:
        """Wait until no thread is within SQLite. A connection that is idle can be closed in the child."""
        self._guard.acquire()
        self._guarded = True

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._guarded = False
        self._guard.release()

    def after_fork_in_child(self) -> None:
        """Become another owner, and let go of the parent's connections, whose locks this process does not have.

        Until they are closed, SQLite would think that it has them, and take none for a connection of this process.
        Closing drops no lock of the parent's and, as nothing is under way, writes nothing.
        """
        inherited = self._lock, self._db
        self._lock = self._db = None
        self._guard = RLock()
        self.token = secrets.token_hex(8)
        if self._guarded:
            self._guarded = False
            for connection in inherited:
                if connection is not None:
                    connection.close()
        else:  # It was opened during the fork. It must neither be used nor closed.
            self._leaked = inherited

    def _connect(self) -> sqlite3.Connection:
        try:
            self._db = connect(self.path, "rwc", PATIENCE)
            self._open(self._db)
        except BaseException:
            self._disconnect()
            raise
        return self._db

    def _open(self, db: sqlite3.Connection) -> None:
        """Make sure that the file is a journal, and become one of its owners."""
        db.text_factory = as_text
        # In a writing transaction, so that only one makes the schema, and no one finds an owner file not yet locked.
        db.execute("BEGIN IMMEDIATE")
        version = schema.version_of(db, self.path)
        if 0 < version < schema.VERSION and any(map(self._owners.is_alive, self._owners.tokens())):
            raise ConfigurationError(
                f"The journal {self.path} is of version {version}, and a program that uses this version is running. "
                "End that program, then run again."
            )
        schema.upgrade(db, version)
        self._remove_dead_owners(db)
        self._lock = self._owners.lock(self.token)
        db.execute("COMMIT")
        while not has_log(db):
            db.execute("BEGIN IMMEDIATE")  # This waits for the one that is writing.
            db.execute("COMMIT")
        (mode,) = db.execute("PRAGMA journal_mode").fetchone()
        if mode == "wal":  # Else COMMIT has to wait for the disk.
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("SELECT 1 FROM sqlite_master")  # The log is there from now on.
        with suppress(OSError):  # Windows has no need of it, and no way; nor have some file systems.
            sync(self.path.parent)

    def _remove_dead_owners(self, db: sqlite3.Connection) -> None:
        """Clear away what owners that were killed have left behind."""
        tokens = self._owners.tokens()
        for table in OWNED:
            sql = f"SELECT DISTINCT owner FROM {table} WHERE owner IS NOT NULL"  # noqa: S608 - a name of ours.
            tokens |= {owner for (owner,) in db.execute(sql)}
        for token in tokens:
            if not self._owners.is_alive(token):
                self.remove_owner(db, token)

    def _disconnect(self) -> None:
        for connection in (self._lock, self._db):
            if connection is not None:
                connection.close()
        if self._lock is not None:
            self._owners.remove(self.token)
        self._lock = self._db = None


def _disown(db: sqlite3.Connection, owner: str) -> None:
    for table in OWNED:
        db.execute(f"UPDATE {table} SET owner = NULL WHERE owner = ?", [owner])  # noqa: S608 - a name of ours.


def has_log(db: sqlite3.Connection) -> bool:
    """Turn the write-ahead log on, if the disk allows it. False: try again, as another process is writing."""
    try:
        db.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if not is_busy(error):
            raise
        return False
    return True


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Raise ConfigurationError, with the next step, for errors of SQLite and of the disk."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        next_step = NEXT_STEPS.get(code, "Make sure that the file and its folder can be read and written.")
        raise ConfigurationError(f"The journal {path} can't be used: {sentence(str(error))} {next_step}") from error


def as_bytes(text: str | None) -> bytes | None:
    """Return a text for `CAST(? AS TEXT)`. The driver refuses half of a surrogate pair, which JSON and paths may have.

    It comes back through `as_text`.
    """
    return None if text is None else text.encode("utf-8", "surrogatepass")


def as_text(stored: bytes) -> str:
    """Return a text as it was before `as_bytes`."""
    return stored.decode("utf-8", "surrogatepass")
