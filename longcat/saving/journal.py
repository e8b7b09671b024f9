"""What was asked, answered and saved, in an SQLite file that outlives the process and that several may share.

A row belongs to the journal object that took it, until that gives it back, is closed, or its process ends, however it
ends. Beside the file, each object has a file `FILE-TOKEN.owner`, which is empty and which it keeps locked; a row names
the token. The operating system drops the lock together with the process, so a token whose file is not locked, or is not
there, has no owner any more, and never will again: a token is drawn once, and the lock is held before it is written
anywhere. Who deletes the file of a living owner takes its rows away from it.

Every change is a transaction. What was written is there after the process is killed. A power cut may lose the last
seconds, but leaves a journal that can be read. The key is never in it. The file should be on a local disk: SQLite's
write-ahead log needs memory that the processes share.
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
"""Seconds to wait for another process that is writing. Its transactions take a millisecond; a program that holds the
file for longer is none of ours. An event loop stands still meanwhile."""
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

TAKE: Final = """
INSERT INTO request (gateway, request_id, owner) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET owner = excluded.owner WHERE owner IS NULL"""
# A string from JSON may hold half of a surrogate pair, which is no text to the driver: it goes in as bytes, as it does
# in a path that is no UTF-8, and comes out through `_text`.
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
"""What to do about SQLite's trouble, by its primary result code, where it is not about access to the disk."""


@frozen
class File:
    """A picture's file, as recorded before it was put in its place.

    Attributes:
        path: where it is, from the root.
        sha256: the SHA-256 of its bytes, in hex.
        size: how many bytes it has.
    """

    path: Path
    sha256: str
    size: int


class Journal:
    """The requests of one gateway in a journal. A context manager; or call `close` at the end.

    It may be shared by threads, among which it does not tell: what one has taken is taken for all of them. It must not
    be used in a process that was forked from the one that made it; make another there. And on POSIX, a process that
    opens and closes the owner's file by itself, to copy it perhaps, thereby drops the lock that it has on it.

    Every method raises ConfigurationError when the file can't be read or written. Ids are those that
    `settings.usable_request_id` lets through.

    Args:
        path: the file. It is made when there is none, and never replaced.
        gateway: the base URL. The same file may serve several gateways.
        time: the seconds since the epoch.

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
        self._taken: Counter[str] = Counter()
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
        """Give all rows back and close the file. Twice is as good as once."""
        with self._guard:
            if self._db is not None:
                with suppress(sqlite3.Error):  # Without its lock, the token has no owner in any case.
                    self._db.execute("UPDATE request SET owner = NULL WHERE owner = ?", [self._token])
            self._disconnect()

    def take(self, request_id: str) -> bool:
        """Make a request ours, and return whether it is. False: another one that is alive has it.

        A request that the journal does not know gets a row.
        """
        with self._using() as db:
            (owner,) = self._row("owner", request_id) or (None,)
            if owner not in {None, self._token}:
                if self._lives(owner):
                    return False
                self._bury(db, owner)
            # Of several that are here at once, one finds no owner.
            if owner != self._token and db.execute(TAKE, [self._gateway, request_id, self._token]).rowcount != 1:
                return False
            self._taken[request_id] += 1
            return True

    def release(self, request_id: str) -> None:
        """Give a request back as often as it was taken, so that another may take it. One that is not ours stays."""
        if self._db is None:
            return  # Everything was given back.
        with self._using() as db:
            self._taken[request_id] -= 1
            if self._taken[request_id] > 0:
                return
            del self._taken[request_id]
            sql = "UPDATE request SET owner = NULL WHERE gateway = ? AND request_id = ? AND owner = ?"
            db.execute(sql, [self._gateway, request_id, self._token])

    def last(self, request_id: str) -> Status | None:
        """Return the last answer noted, without its `raw`; a final one is the outcome. None: ask."""
        with self._trusting(request_id):
            row = self._row("state, raw_state, progress, error, image", request_id)
            if row is None or row[0] is None:
                return None
            state, raw_state, progress, error, image = row
            return Status(request_id, State(state), raw_state, progress, _read_image(image), error)

    def note(self, status: Status) -> None:
        """Write an answer down, in the place of the one before."""
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
        """Forget the last answer and the file, so that it is asked again: when the picture's URL has expired."""
        with self._using() as db:
            db.execute(REOPEN, [self._gateway, request_id])

    def file(self, request_id: str) -> File | None:
        """Return the file as it was last recorded, whether it is there or not. None: none was."""
        with self._trusting(request_id):
            row = self._row("path, sha256, size", request_id)
            return File(Path(row[0]), *row[1:]) if row is not None and row[0] is not None else None

    def saving(self, request_id: str, path: Path, sha256: str, size: int) -> None:
        """Record a picture that is complete on disk, just before it is renamed to `path`.

        In this order, a process that is killed in between leaves a record without a file, which `is_saved` sees; in
        the other, a file that nothing tells from a stranger's.
        """
        with self._using() as db:
            db.execute(SAVING, [self._gateway, request_id, _bytes(str(path.absolute())), sha256, size])

    def is_saved(self, request_id: str) -> Path | None:
        """Return the file recorded if it is there and its bytes are those recorded; they are read. None: it is not."""
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
        # In a transaction that writes, no two make the schema, and none finds an owner's file that isn't locked yet.
        db.execute("BEGIN IMMEDIATE")
        self._identify(db)
        self._sweep(db)
        self._lock = _connect(self._side(self._token), "rwc", 0)
        self._lock.execute("PRAGMA journal_mode = MEMORY")  # No further file, which a kill would leave behind.
        self._lock.execute("BEGIN EXCLUSIVE")
        db.execute("COMMIT")
        while not _has_log(db):
            db.execute("BEGIN IMMEDIATE")  # This waits for who is writing.
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
        # In a file that may only be read, a transaction begins all the same. It ends here.
        db.execute(f"PRAGMA user_version = {VERSION}")

    def _sweep(self, db: sqlite3.Connection) -> None:
        """Clear away what owners that were killed have left behind."""
        name = re.compile(rf"{re.escape(self.path.name)}-([0-9a-f]{{16}})\.owner")
        files = {match[1] for path in self.path.parent.iterdir() if (match := name.fullmatch(path.name))}
        rows = {owner for (owner,) in db.execute("SELECT DISTINCT owner FROM request WHERE owner IS NOT NULL")}
        for token in files | rows:
            if not self._lives(token):
                self._bury(db, token)

    def _lives(self, token: str) -> bool:
        """Whether an owner has its file locked. No answer is kept: the next moment it may be killed."""
        side = self._side(token)
        try:
            # To read is enough, and disturbs nobody: two that look at once don't take each other for the owner.
            with closing(_connect(side, "ro", 0)) as probe:
                probe.execute("SELECT 1 FROM sqlite_master")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return True
            if side.exists():
                raise
        return False

    def _bury(self, db: sqlite3.Connection, token: str) -> None:
        """Give back the rows of an owner that is no more, and remove its file. Twice is as good as once."""
        db.execute("UPDATE request SET owner = NULL WHERE owner = ?", [token])
        with suppress(OSError):  # On Windows, while another looks at it. The next journal that is opened removes it.
            self._side(token).unlink()

    def _side(self, token: str) -> Path:
        return self.path.with_name(f"{self.path.name}-{token}.owner")

    def _row(self, columns: str, request_id: str) -> Any:
        """Return these columns of a request's row. None: it has no row."""
        with self._using() as db:
            return db.execute(f"SELECT {columns} {ONE}", [self._gateway, request_id]).fetchone()

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection to one thread at a time, and explain what goes wrong with it."""
        with self._guard, _explained(self.path):
            if self._db is None:
                raise ConfigurationError("This journal is closed. Make a new one, and close it after the last call.")
            yield self._db

    @contextmanager
    def _trusting(self, request_id: str) -> Iterator[None]:
        """Explain what is wrong with a row that this module can't have written."""
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
                self._side(self._token).unlink()
        self._lock = self._db = None


def _connect(path: Path, mode: Literal["rwc", "ro"], timeout: float) -> sqlite3.Connection:
    """Open a database for all threads, in which every statement is a transaction unless it is told otherwise."""
    return sqlite3.connect(
        f"{path.as_uri()}?mode={mode}", timeout=timeout, isolation_level=None, check_same_thread=False, uri=True
    )


def _has_log(db: sqlite3.Connection) -> bool:
    """Turn the write-ahead log on where the disk allows it. False: another was writing, and this does not wait."""
    try:
        db.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Raise ConfigurationError, with what to do, for what SQLite or the disk has against the journal."""
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
