"""The SQLite file of a journal: one connection for all threads, transactions, and errors that say what to do."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Final

from longcat.errors import JournalError, LongCatError
from longcat.saving.files import sync
from longcat.saving.journal.database import ALTERED, GRACE_FOR_WRITES, Database, Statements
from longcat.saving.journal.sqlite import schema
from longcat.saving.journal.sqlite.owners import OwnerFiles, connect, is_busy, lock_holder
from longcat.text import abbreviate, sentence, system_reason

LOCK_PATIENCE: Final = 0.2
"""Seconds that one try waits for another program that is writing. Our transactions take some milliseconds. A thread
that finds the file locked for longer tries again, and holds up nobody meanwhile."""
LONGEST_VALUE: Final = 32 * 1024 * 1024
"""Bytes of the longest value that is read. Ours are far shorter."""
OWNED: Final = ("request", "orders")
"""The tables whose rows have an owner."""
NO_OWNER: Final = "owner IS NOT NULL AND (typeof(owner) <> 'text' OR owner GLOB '*[^0-9a-f]*' OR length(owner) <> 16)"
"""Matches owners that this package can't have written: the row was altered."""
ACCESS: Final = "Make sure that the file and its folder can be read and written."
KEEP_IT: Final = (
    "Keep it, as orders in it may have been paid. What can be saved goes into a new file with"
    " `sqlite3 FILE .recover | sqlite3 NEW`, or take a copy that you have; then use that."
)
"""What to do about a damaged journal."""
ALTERED_IT: Final = f"Another program altered it. {KEEP_IT}"
NEXT_STEPS: Final = {
    sqlite3.SQLITE_FULL: "Free some space on the disk and run again; what was noted so far is kept.",
    sqlite3.SQLITE_NOTADB: f"Choose another file; a journal is made where there is none. If it was one: {KEEP_IT}",
    sqlite3.SQLITE_CORRUPT: KEEP_IT,
    **dict.fromkeys(
        (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_CONSTRAINT), ALTERED_IT
    ),
}
"""What to do about an error of SQLite, by its primary result code. Every other one is about access to the file."""


class SqliteDatabase(Database):
    """A journal in an SQLite file. A forked process needs a connection of its own, as SQLite forbids to share one.

    Its methods may block: while another thread uses the file, and for `LOCK_PATIENCE` while another program does.

    Args:
        path: the file. It is made when there is none, and never replaced.
        time: returns the seconds since the epoch.

    Attributes:
        path: the file, absolute.

    Raises JournalError when the file is no journal, or one of a newer version, or damaged, or can't be made or written;
    so does every method but `close`. One that another program has locked is opened when it is first used.
    """

    restore = ALTERED_IT

    def __init__(self, path: str | PathLike[str], time: Callable[[], float]) -> None:
        try:
            self.path = Path(path).resolve()  # Whatever its name: the owners' files must stand in one folder.
            missing = not self.path.parent.is_dir()
        except (OSError, ValueError, RuntimeError) as error:
            raise JournalError(f"{abbreviate(path)} can't be a journal: {error}. Choose another name.") from error
        if missing:
            raise JournalError(f"There is no folder {self.path.parent} for the journal. Make it first.")
        super().__init__(str(self.path), time)
        self._guarded = False  # Whether the guard is held for a fork.
        self._files: dict[Path, os.stat_result] = {}  # Which files we write: the journal, and its log if it has one.
        self._are_orders_whole = False  # Whether that is known.
        self._owners = OwnerFiles(self.path)
        self._db: sqlite3.Connection | None = None  # None: not connected yet in this process, or closed.
        self._lock: sqlite3.Connection | None = None
        self.watch_forks()
        try:
            with self._turn(), _explained(self.path):
                self._connect(0.0)  # An event loop may stand still meanwhile.
        except JournalError as error:
            if not error.locked:
                raise

    def close(self) -> None:
        """Give all rows back and close the file. A second call does nothing."""
        self.writer.close(GRACE_FOR_WRITES)
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
        with self._turn(), _explained(self.path):
            self.check_open()
            db = self._db or self._connect(LOCK_PATIENCE)
            self._check_place()
            yield db

    def _check_place(self) -> None:
        """Raise JournalError when the file was deleted or replaced: what is noted now would be lost."""
        try:
            is_same = all(os.path.samestat(before, path.stat()) for path, before in self._files.items())
        except FileNotFoundError:
            is_same = False
        if not is_same:
            raise JournalError(
                f"The journal {self.path} was deleted or replaced while it was in use. Put it back where it was, then"
                " run again; orders in it may have been paid."
            )

    def _locked_error(self) -> JournalError:
        return locked_error(self.path)

    @property
    def _log(self) -> Path:
        return self.path.with_name(f"{self.path.name}-wal")

    @contextmanager
    def durable(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for one transaction, which survives a loss of power when the block has ended.

        No other program writes meanwhile. When the block raises, nothing is changed.
        """
        with self.using() as db:
            try:
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")
        # SQLite would wait for the disk within COMMIT, with `synchronous = FULL`; but then all programs would wait for
        # each other's disk, and some for ever, as SQLite knows no queue. The log is gone when all is in the file.
        with _explained(self.path), suppress(FileNotFoundError):
            sync(self._log)

    def is_alive(self, owner: str) -> bool:
        """Whether an owner still works on its rows. The answer may be out of date at once: owners can be killed."""
        return owner == self.token or self._owners.is_alive(owner)

    def remove_owner(self, db: Statements, owner: str) -> None:
        """Give back the rows of an owner that is gone, and remove its file. A second call does nothing."""
        _disown(db, owner)
        self._owners.remove(owner)

    def check_orders(self) -> None:
        """Raise JournalError unless every order can be found. Only the first call looks."""
        with self.using() as db:
            if not self._are_orders_whole:
                schema.check_orders(db)
                self._are_orders_whole = True

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
        self._become_owner()
        if self._guarded:
            self._guarded = False
            for connection in inherited:
                if connection is not None:
                    connection.close()
        else:  # It was opened during the fork. It must neither be used nor closed.
            self._leaked = inherited

    def _connect(self, patience: float) -> sqlite3.Connection:
        """Open the file, waiting so many seconds for another program that has it locked."""
        check_file(self.path)
        self._are_orders_whole = False
        try:
            self._db = connect(self.path, "rwc", patience)
            self._open(self._db)
            self._db.execute(f"PRAGMA busy_timeout = {LOCK_PATIENCE * 1000:.0f}")
            self._files = {path: path.stat() for path in (self.path, self._log) if path.exists()}
        except BaseException:
            self._disconnect()
            raise
        return self._db

    def _open(self, db: sqlite3.Connection) -> None:
        """Make sure that the file is a journal, and become one of its owners."""
        db.text_factory = as_text
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
        # In a writing transaction, so that only one makes the schema, and no one finds an owner file not yet locked.
        db.execute("BEGIN IMMEDIATE")
        version = schema.version_of(db, self.path)
        if 0 < version < schema.VERSION and any(map(self._owners.is_alive, self._owners.tokens())):
            raise JournalError(
                f"The journal {self.path} is of version {version}, and a program that uses this version is running. "
                "End that program, then run again."
            )
        schema.upgrade(db, version)
        self._remove_dead_owners(db)
        schema.check(db)
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
            db.execute(f"UPDATE {table} SET owner = NULL WHERE {NO_OWNER}")  # noqa: S608 - a name of ours.
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


def _disown(db: Statements, owner: str) -> None:
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
    """Raise JournalError, with the next step, for errors of SQLite and of the disk, and for texts that are none."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, sqlite3.Error) and is_busy(error):
            raise locked_error(path) from error
        next_step = NEXT_STEPS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, ACCESS)
        raise JournalError(f"The journal {path} can't be used: {sentence(str(error))} {next_step}") from error
    except ALTERED as error:
        raise JournalError(f"The journal {path} is damaged: a row can't be read. {KEEP_IT}") from error
    except Exception as error:
        if isinstance(error, LongCatError):
            raise
        raise JournalError(f"The journal {path} can't be used: {type(error).__name__}. {ACCESS}") from error


def locked_error(path: Path) -> JournalError:
    """Return the error that says that another program has a journal locked, and which one if that can be known."""
    holder = lock_holder(path)
    which = f", {holder}" if holder else ""
    message = f"The journal {path} can't be used: database is locked. End the program that keeps it locked{which}"
    return JournalError(f"{message}, then run again.", locked=True)


def check_there(path: str | PathLike[str]) -> None:
    """Raise JournalError unless there is a file with something in it: to look into a journal must not make one."""
    try:
        size = Path(path).stat().st_size
    except (OSError, ValueError) as error:
        reason = system_reason(error)
        message = f"The journal {abbreviate(path)} can't be read: {reason}. Name the file that a command was given."
        raise JournalError(message) from error
    check_file(Path(path))
    if not size:
        raise JournalError(f"{abbreviate(path)} is an empty file, no journal. Name the file that a command was given.")


def check_file(path: Path) -> None:
    """Raise JournalError for a folder, a device or a pipe, and for a file that was emptied while its log was not."""
    try:
        stat = path.stat()
    except OSError:  # It is not there; or SQLite can't open it either.
        return
    if S_ISDIR(stat.st_mode):
        raise JournalError(f"{path} is a folder, and a journal is a file. Name a file in it.")
    if not S_ISREG(stat.st_mode):
        raise JournalError(f"{path} is no regular file, so it can't be a journal. Choose another file.")
    with suppress(OSError):
        if stat.st_size == 0 and path.with_name(f"{path.name}-wal").stat().st_size:
            raise JournalError(f"The journal {path} is damaged: it was emptied, but not its log. {KEEP_IT}")


def as_text(stored: bytes) -> str:
    """Return a text as it was before `as_bytes`."""
    return stored.decode("utf-8", "surrogatepass")
