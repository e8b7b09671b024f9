"""What was asked, answered and saved, in an SQLite file that outlives the process. Several processes may share it.

A row belongs to the `Journal` object that claimed it, its owner, until the owner gives it back or is closed, or its
process ends in any way. An owner has a random token, which its rows name, and an empty file `FILE-TOKEN.owner` beside
the journal, which it keeps locked. The operating system drops the lock together with the process. So an owner whose
file is missing or not locked is gone for good: no token is used twice, and the file is locked before the first row
names the token. Deleting the file of a living owner takes its rows away from it.

Every change is a transaction, and survives the end of the process. A power cut may lose the last seconds, but leaves a
journal that can be read. The key is never in it. The file should be on a local disk: SQLite's write-ahead log needs
memory that the processes share.
"""

import hashlib
import json
import re
import secrets
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from os import PathLike
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any, Final, Literal, Self

from attrs import frozen

from longcat.errors import ConfigurationError
from longcat.models import Image, State, Status
from longcat.text import sentence, shorten

APPLICATION_ID: Final = 0x4C436174
"""What `PRAGMA application_id` says of a journal: the letters `LCat`."""
VERSION: Final = 1
"""What `PRAGMA user_version` says of this schema."""
PATIENCE: Final = 5.0
"""Seconds to wait for another process that is writing. Ours take a millisecond for a transaction; only a program of
another kind holds the file for longer. An event loop stands still meanwhile."""
MICROSECOND: Final = timedelta(microseconds=1)

# SQLite keeps the comments, and `.schema` shows them.
SCHEMA: Final = """\
CREATE TABLE request ( -- One row per request. Moments are ISO 8601 in UTC.
    gateway     TEXT NOT NULL, -- The gateway's base URL.
    request_id  TEXT NOT NULL,
    owner       TEXT CHECK (owner NOT GLOB '*[^0-9a-f]*'), -- The TOKEN of who works on it. NULL: nobody.
    first_asked TEXT,          -- When its first answer was noted. NULL: it has none.
    last_asked  TEXT,          -- When its last answer was noted.
    state       TEXT,          -- What the last answer means: queued, processing, ..., unknown. NULL: ask again.
    raw_state   TEXT,          -- The gateway's own word for that.
    progress    REAL,          -- From 0 to 1. NULL: the answer did not say.
    error       TEXT,          -- Why it failed, in the gateway's words.
    outcome     TEXT CHECK (outcome IN ('completed', 'failed', 'cancelled')), -- NULL: it is open.
    image       TEXT,          -- What it yielded, as JSON: url, urls, created_at, duration_us, ...
    path        TEXT,          -- The file that the picture was about to be put into.
    sha256      TEXT,          -- The SHA-256 of the picture, in hex. The file is whole if it has this one.
    size        INTEGER,       -- The picture's bytes.
    PRIMARY KEY (gateway, request_id)
) WITHOUT ROWID"""

CLAIM: Final = """
INSERT INTO request (gateway, request_id, owner) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET owner = excluded.owner WHERE owner IS NULL"""
# The driver refuses a text with half of a surrogate pair, which a JSON string or a path that is not UTF-8 may have.
# Such texts go in as bytes, and come out through `_text`.
NOTE: Final = """
INSERT INTO request (gateway, request_id, first_asked, last_asked, state, raw_state, progress, error, outcome, image)
VALUES (?, ?, ?, ?, ?, CAST(? AS TEXT), ?, CAST(? AS TEXT), ?, ?)
ON CONFLICT DO UPDATE SET
    first_asked = coalesce(first_asked, excluded.first_asked), last_asked = excluded.last_asked,
    state = excluded.state, raw_state = excluded.raw_state, progress = excluded.progress,
    error = excluded.error, outcome = excluded.outcome, image = excluded.image"""
SAVING: Final = """
INSERT INTO request (gateway, request_id, path, sha256, size) VALUES (?, ?, CAST(? AS TEXT), ?, ?)
ON CONFLICT DO UPDATE SET path = excluded.path, sha256 = excluded.sha256, size = excluded.size"""
REOPEN: Final = """
UPDATE request SET state = NULL, raw_state = NULL, progress = NULL, error = NULL, outcome = NULL, image = NULL,
    path = NULL, sha256 = NULL, size = NULL
WHERE gateway = ? AND request_id = ?"""
ONE: Final = "FROM request WHERE gateway = ? AND request_id = ?"

NEXT_STEPS: Final = {
    sqlite3.SQLITE_FULL: "Free some space on the disk and run again; what was noted so far is kept.",
    sqlite3.SQLITE_BUSY: "End the program that keeps it locked, then run again.",
    sqlite3.SQLITE_NOTADB: "Choose another file; a journal is made where there is none.",
    sqlite3.SQLITE_CORRUPT: "Move it away and start with a new one.",
}
"""What to do about an error of SQLite, by its primary result code. Every other one is about access to the file."""


@frozen
class SavedFile:
    """A picture's file, as recorded just before it got its name.

    Attributes:
        path: where it is, absolute.
        sha256: the SHA-256 of its bytes, in hex.
        size: how many bytes it has.
    """

    path: Path
    sha256: str
    size: int


class Journal:
    """The requests of one gateway in a journal. A context manager; or call `close` at the end.

    Threads may share it: what one of them claims is claimed for all of them. A forked process must not use it, but make
    another one. On POSIX, a process that opens and closes its own owner's file, to copy it perhaps, thereby drops the
    lock on it.

    Every method raises ConfigurationError when the file can't be read or written. Request ids must have passed
    `settings.usable_request_id`.

    Args:
        path: the file. It is made when there is none, and never replaced.
        gateway: the base URL. One file may serve several gateways.
        time: returns the seconds since the epoch.

    Raises:
        ConfigurationError: the file is no journal, or one of a newer version, or can't be made or written.
    """

    def __init__(self, path: str | PathLike[str], gateway: str, *, time: Callable[[], float]) -> None:
        try:
            self.path = Path(path).resolve()  # Whatever its name: the owners' files must stand in one folder.
            missing = not self.path.parent.is_dir()
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigurationError(f"{shorten(path)} can't be a journal: {error}. Choose another name.") from error
        if missing:
            raise ConfigurationError(f"There is no folder {self.path.parent} for the journal. Make it first.")
        self._gateway = gateway
        self._time = time
        self._token = secrets.token_hex(8)
        self._guard = RLock()
        self._claims: Counter[str] = Counter()
        self._db: sqlite3.Connection | None = None
        self._lock: sqlite3.Connection | None = None
        try:
            with _explained(self.path):
                self._db = _connect(self.path, "rwc", PATIENCE)
                self._open(self._db)
        except BaseException:
            self._disconnect()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give all rows back and close the file. A second call does nothing."""
        with self._guard:
            if self._db is not None:
                with suppress(sqlite3.Error):  # Without its lock, the token has no owner in any case.
                    self._db.execute("UPDATE request SET owner = NULL WHERE owner = ?", [self._token])
            self._disconnect()

    def claim(self, request_id: str) -> bool:
        """Claim a request, and return whether it is ours. False: another owner, who is alive, has it.

        A request that the journal does not know gets a row.
        """
        with self._using() as db:
            (owner,) = self._row("owner", request_id) or (None,)
            if owner not in {None, self._token}:
                if self._is_alive(owner):
                    return False
                self._remove_owner(db, owner)
            # Of several that come here at once, one alone finds no owner.
            if owner != self._token and db.execute(CLAIM, [self._gateway, request_id, self._token]).rowcount != 1:
                return False
            self._claims[request_id] += 1
            return True

    def release(self, request_id: str) -> None:
        """Undo one `claim`. After as many of them as there were, another owner may claim the request."""
        if self._db is None:
            return  # Everything was given back.
        with self._using() as db:
            self._claims[request_id] -= 1
            if self._claims[request_id] > 0:
                return
            del self._claims[request_id]
            sql = "UPDATE request SET owner = NULL WHERE gateway = ? AND request_id = ? AND owner = ?"
            db.execute(sql, [self._gateway, request_id, self._token])

    def last(self, request_id: str) -> Status | None:
        """Return the last answer noted, without its `raw`. None: there is none, so ask."""
        with self._trusting(request_id):
            row = self._row("state, raw_state, progress, error, image", request_id)
            if row is None or row[0] is None:
                return None
            state, raw_state, progress, error, image = row
            return Status(request_id, State(state), raw_state, progress, _read_image(image), error)

    def note(self, status: Status) -> None:
        """Write an answer down in place of the one before."""
        moment = datetime.fromtimestamp(self._time(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        state = status.state.value
        values = [
            *(self._gateway, status.request_id, moment, moment, state),
            *(_bytes(status.raw_state), status.progress, _bytes(status.error)),
            *(state if status.state.is_final else None, _write_image(status.image)),
        ]
        with self._using() as db:
            db.execute(NOTE, values)

    def reopen(self, request_id: str) -> None:
        """Forget the last answer and the file, so that the gateway is asked again: the picture's URL has expired."""
        with self._using() as db:
            db.execute(REOPEN, [self._gateway, request_id])

    def file(self, request_id: str) -> SavedFile | None:
        """Return the file that was recorded last, whether it is still there or not. None: there is no record."""
        with self._trusting(request_id):
            row = self._row("path, sha256, size", request_id)
            return SavedFile(Path(row[0]), *row[1:]) if row is not None and row[0] is not None else None

    def record(self, request_id: str, path: Path, sha256: str, size: int) -> None:
        """Record a picture that is complete on disk, just before its file is renamed to `path`.

        In this order, a process that is killed in between leaves a record without a file, which `find_saved` notices.
        In the other order, it would leave a file that the journal does not know.
        """
        with self._using() as db:
            db.execute(SAVING, [self._gateway, request_id, _bytes(str(path.absolute())), sha256, size])

    def find_saved(self, request_id: str) -> Path | None:
        """Return the recorded file. None: there is no record, no such file, or its bytes, which are read, differ."""
        file = self.file(request_id)
        with suppress(OSError, ValueError):  # It is not there, or not to be read.
            if file is not None and file.path.stat().st_size == file.size:
                with file.path.open("rb") as stream:
                    if hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256:
                        return file.path
        return None

    def _open(self, db: sqlite3.Connection) -> None:
        """Make sure that the file is a journal, and become one of its owners."""
        db.text_factory = _text
        # In a writing transaction, so that only one makes the schema, and no one finds an owner file not yet locked.
        db.execute("BEGIN IMMEDIATE")
        self._identify(db)
        self._remove_dead_owners(db)
        self._lock = _connect(self._owner_file(self._token), "rwc", 0)
        self._lock.execute("PRAGMA journal_mode = MEMORY")  # No further file, which a kill would leave behind.
        self._lock.execute("BEGIN EXCLUSIVE")
        db.execute("COMMIT")
        while not _has_log(db):
            db.execute("BEGIN IMMEDIATE")  # This waits for the one that is writing.
            db.execute("COMMIT")
        db.execute("PRAGMA synchronous = NORMAL")

    def _identify(self, db: sqlite3.Connection) -> None:
        """Make the schema in an empty file. Raises ConfigurationError when it is another program's, or newer."""
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if not (application or version or db.execute("SELECT 1 FROM sqlite_master").fetchone()):
            db.execute(SCHEMA)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        elif application != APPLICATION_ID:
            raise ConfigurationError(f"{self.path} is another program's database, no journal. Choose another file.")
        elif version != VERSION:
            raise ConfigurationError(
                f"The journal {self.path} is of version {version}, and this program knows version {VERSION}. "
                "Update this program, or choose another file."
            )
        # A transaction begins even in a file that may only be read; this write is what fails then.
        db.execute(f"PRAGMA user_version = {VERSION}")

    def _remove_dead_owners(self, db: sqlite3.Connection) -> None:
        """Clear away what owners that were killed have left behind."""
        name = re.compile(rf"{re.escape(self.path.name)}-([0-9a-f]{{16}})\.owner")
        files = {match[1] for path in self.path.parent.iterdir() if (match := name.fullmatch(path.name))}
        rows = {owner for (owner,) in db.execute("SELECT DISTINCT owner FROM request WHERE owner IS NOT NULL")}
        for token in files | rows:
            if not self._is_alive(token):
                self._remove_owner(db, token)

    def _is_alive(self, token: str) -> bool:
        """Whether an owner has its file locked. The answer may be out of date at once: owners can be killed."""
        file = self._owner_file(token)
        try:
            # A reader is refused while the owner lives, and readers don't refuse each other.
            with closing(_connect(file, "ro", 0)) as probe:
                probe.execute("SELECT 1 FROM sqlite_master")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return True
            if file.exists():
                raise
        return False

    def _remove_owner(self, db: sqlite3.Connection, token: str) -> None:
        """Give back the rows of an owner that is gone, and remove its file. A second call does nothing."""
        db.execute("UPDATE request SET owner = NULL WHERE owner = ?", [token])
        with suppress(OSError):  # On Windows, while another looks at it. The next journal that is opened removes it.
            self._owner_file(token).unlink()

    def _owner_file(self, token: str) -> Path:
        return self.path.with_name(f"{self.path.name}-{token}.owner")

    def _row(self, columns: str, request_id: str) -> Any:
        """Return these columns of a request's row. None: there is no row."""
        with self._using() as db:
            return db.execute(f"SELECT {columns} {ONE}", [self._gateway, request_id]).fetchone()

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection to one thread at a time. Raises ConfigurationError for every error of SQLite."""
        with self._guard, _explained(self.path):
            if self._db is None:
                raise ConfigurationError("This journal is closed. Make a new one, and close it after the last call.")
            yield self._db

    @contextmanager
    def _trusting(self, request_id: str) -> Iterator[None]:
        """Raise ConfigurationError for a row that this module can't have written."""
        try:
            yield
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
            raise ConfigurationError(
                f"The row of request {shorten(request_id)!r} in {self.path} was altered and can't be read. Delete it."
            ) from error

    def _disconnect(self) -> None:
        for connection in (self._lock, self._db):
            if connection is not None:
                connection.close()
        if self._lock is not None:
            with suppress(OSError):
                self._owner_file(self._token).unlink()
        self._lock = self._db = None


def _connect(path: Path, mode: Literal["rwc", "ro"], timeout: float) -> sqlite3.Connection:
    """Open a database for all threads. Outside of `BEGIN` and `COMMIT`, every statement is a transaction."""
    return sqlite3.connect(
        f"{path.as_uri()}?mode={mode}", timeout=timeout, isolation_level=None, check_same_thread=False, uri=True
    )


def _has_log(db: sqlite3.Connection) -> bool:
    """Turn the write-ahead log on, if the disk allows it. False: try again, as another process is writing."""
    try:
        db.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
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


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogatepass")


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "surrogatepass")


def _write_image(image: Image | None) -> str | None:
    if image is None:
        return None
    return json.dumps(
        {
            "request_id": image.request_id,
            "url": image.url,
            "urls": image.urls,
            "created_at": image.created_at.isoformat() if image.created_at is not None else None,
            "duration_us": image.duration // MICROSECOND if image.duration is not None else None,
            "model_version": image.model_version,
        }
    )


def _read_image(text: str | None) -> Image | None:
    if text is None:
        return None
    fields = json.loads(text)
    moment, duration = fields.pop("created_at"), fields.pop("duration_us")
    return Image(
        **fields | {"urls": tuple(fields["urls"])},
        created_at=datetime.fromisoformat(moment) if moment is not None else None,
        duration=duration * MICROSECOND if duration is not None else None,
    )
