"""The programs that own rows of a journal, and whether they are still alive.

A row belongs to the `Journal` object that claimed it, its owner, until the owner gives it back or is closed, or its
process ends in any way. An owner has a random token, which its rows name, and an empty file `FILE-TOKEN.owner` beside
the journal, which it keeps locked. The operating system drops the lock together with the process. So an owner whose
file is missing or not locked is gone for good: no token is used twice, and the file is locked before the first row
names the token. Deleting the file of a living owner takes its rows away from it.
"""

import re
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, Literal

from attrs import frozen

from longcat.text import shorten


def connect(path: Path, mode: Literal["rwc", "ro"], timeout: float) -> sqlite3.Connection:
    """Open a database for all threads. Outside of `BEGIN` and `COMMIT`, every statement is a transaction.

    Args:
        path: the file.
        mode: `ro` for a file that must be there, and is only read.
        timeout: how many seconds to wait for another process that has it locked.
    """
    return sqlite3.connect(
        f"{path.as_uri()}?mode={mode}", timeout=timeout, isolation_level=None, check_same_thread=False, uri=True
    )


def is_busy(error: sqlite3.Error) -> bool:
    """Whether the error says that another connection has the file locked."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PROTOCOL}


def lock_holder(path: Path) -> str | None:
    """Return which process has a lock on a database that keeps others from writing. None: nobody can say.

    Linux alone tells it. To ask for the locks of a file, one would have to open it, and closing it again would drop
    our own.
    """
    with suppress(OSError, ValueError):
        inodes = {file.stat().st_ino for name in ("", "-shm") if (file := Path(f"{path}{name}")).exists()}
        for line in Path("/proc/locks").read_text("ascii").splitlines():
            _, _, _, kind, pid, place, *_ = line.split()
            if kind == "WRITE" and int(place.split(":")[2]) in inodes and int(pid) > 0:
                name = Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip()
                return f"process {pid} ({shorten(name)})"
    return None


TOKEN: Final = re.compile("[0-9a-f]{16}")


@frozen
class OwnerFiles:
    """The files of the owners of one journal. Methods may raise sqlite3.Error and OSError.

    Attributes:
        journal: the journal's path.
    """

    journal: Path

    def lock(self, token: str) -> sqlite3.Connection:
        """Make an owner's file, and lock it until the connection is closed."""
        lock = connect(self._path(token), "rwc", 0)
        try:
            lock.execute("PRAGMA journal_mode = MEMORY")  # No further file, which a kill would leave behind.
            lock.execute("BEGIN EXCLUSIVE")
        except BaseException:
            lock.close()
            self.remove(token)
            raise
        return lock

    def remove(self, token: str) -> None:
        """Remove an owner's file, if it is there."""
        with suppress(OSError):  # On Windows, while another looks at it. The next journal that is opened removes it.
            self._path(token).unlink()

    def is_alive(self, token: str) -> bool:
        """Whether an owner has its file locked. The answer may be out of date at once: owners can be killed."""
        if not TOKEN.fullmatch(token):  # The row was altered.
            return False
        file = self._path(token)
        try:
            # A reader is refused while the owner lives, and readers don't refuse each other.
            with closing(connect(file, "ro", 0)) as probe:
                probe.execute("SELECT 1 FROM sqlite_master")
        except sqlite3.OperationalError as error:
            if is_busy(error):
                return True
            if file.exists():
                raise
        return False

    def tokens(self) -> set[str]:
        """Return the tokens of all owners that have a file, alive or not."""
        name = re.compile(rf"{re.escape(self.journal.name)}-([0-9a-f]{{16}})\.owner")
        return {match[1] for path in self.journal.parent.iterdir() if (match := name.fullmatch(path.name))}

    def _path(self, token: str) -> Path:
        return self.journal.with_name(f"{self.journal.name}-{token}.owner")
