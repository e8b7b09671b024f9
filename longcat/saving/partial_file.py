"""Temporary files: what is being written, and has not got its name yet; and what killed programs left of them.

A program that is killed can't tidy up, so the next one does. It tells what it may remove by the name, which holds the
host, and by a lock that the operating system drops together with the process: no process id is trusted, as others get
the same one later. A file of another host is left alone for a day, as its lock may not be seen from here.
"""

import errno
import os
import platform
import re
import secrets
import sys
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG
from typing import IO, Final

from longcat.processes import ForkAware

if sys.platform != "win32":
    import fcntl

HOST: Final = sha256(platform.node().encode()).hexdigest()[:8]
PARTIAL_NAME: Final = re.compile(r"\.longcat-(?:([0-9a-f]{8})-)?[0-9a-f]{16}\.part")
"""The name of a temporary file, with its host. Earlier versions named none, and took no lock."""
OLD: Final = 24 * 3600.0
"""Seconds after its last change in which a file is left alone, unless it is known to be nobody's."""
FLAGS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""How files are opened here: never through a symbolic link, nor for a program that this one starts."""


class PartialFile(ForkAware):
    """A temporary file that is to become a file in the same folder, in three steps: write to `file`, `sync`, `rename`.

    Call `discard` at the end in any case: it removes what was not renamed. Its name can't be foreseen, and it is no
    file that was there before. A process that is forked meanwhile leaves it alone.

    Args:
        folder: where the file will be.

    Attributes:
        file: takes the bytes.
        path: the temporary file.

    Raises OSError when it can't be made; every method but `discard` raises OSError, too.
    """

    def __init__(self, folder: Path) -> None:
        self._is_inherited = False
        while True:
            self.path = folder / f".longcat-{HOST}-{secrets.token_hex(8)}.part"
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | FLAGS, 0o666)
            self.file: IO[bytes] = os.fdopen(descriptor, "w+b")
            if is_free(descriptor) is not False and os.fstat(descriptor).st_nlink:
                self.watch_forks()
                return
            self.discard()  # Another program took it for one that is left over, before it was locked.

    def copy_mode(self, path: Path) -> None:
        """Take over the permissions of another file."""
        mode = path.stat().st_mode & 0o7777
        if sys.platform == "win32":
            self.path.chmod(mode)
        else:
            os.fchmod(self.file.fileno(), mode)

    def sync(self) -> None:
        """Make sure that every byte is on the disk. It may be called again."""
        self.file.flush()
        sync_descriptor(self.file.fileno())

    def rename(self, path: Path, *, overwrite: bool) -> None:
        """Give the file its name. Raises FileExistsError(path) when there is one that may not be overwritten."""
        if sys.platform == "win32":
            self.file.close()  # An open file can't be renamed there.
        elif not os.path.samestat(os.fstat(self.file.fileno()), self.path.lstat()):
            raise OSError(errno.ESTALE, "Another program replaced the temporary file", str(self.path))
        if overwrite:
            self.path.replace(path)
            return
        try:
            os.link(self.path, path)  # Unlike a rename, this never replaces a file, not even one made a moment ago.
        except OSError as error:
            if isinstance(error, FileExistsError) or os.path.lexists(path):
                raise FileExistsError(path) from error
            self.path.replace(path)  # A file system without hard links. The check and the rename are two steps there.
        else:
            self.path.unlink()

    def discard(self) -> None:
        """Close and remove the temporary file, if it is still there."""
        with suppress(OSError):  # On a full disk, closing fails too, as it writes what is left.
            self.file.close()
        if not self._is_inherited:
            with suppress(FileNotFoundError):
                self.path.unlink()

    def after_fork_in_child(self) -> None:
        """Leave the file to the parent: what is in our buffer goes nowhere, and its lock is the parent's alone."""
        self._is_inherited = True
        with suppress(OSError, ValueError):  # It is closed already.
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, self.file.fileno(), inheritable=False)
            os.close(nowhere)


def sweep(folder: Path) -> int:
    """Remove the temporary files that programs left in a folder when they were killed, as far as that is known.

    Returns how many files the folder has.
    """
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return 0
    for name in names:
        if PARTIAL_NAME.fullmatch(name):
            with suppress(OSError):
                _remove_if_left(folder / name)
    return len(names)


def _remove_if_left(path: Path) -> None:
    """Remove a temporary file unless a program may still be writing it. Raises OSError."""
    stat = path.lstat()
    if not S_ISREG(stat.st_mode) or (sys.platform != "win32" and stat.st_uid != os.geteuid()):
        return
    match = PARTIAL_NAME.fullmatch(path.name)
    is_ours = match is not None and match[1] == HOST
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | FLAGS)
    try:
        if not os.path.samestat(stat, os.fstat(descriptor)):
            return
        free = is_free(descriptor)
        if free is False or (not (free and is_ours) and time.time() - stat.st_mtime < OLD):
            return
        if sys.platform != "win32":
            path.unlink()
    finally:
        os.close(descriptor)
    if sys.platform == "win32":
        path.unlink()  # It refuses what is open.


def is_free(descriptor: int) -> bool | None:
    """Lock an open file, and return whether nobody else had. None: that can't be known here."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # A network disk without locks, or one that lets nobody lock what is only read.
        return None
    return True


def sync_descriptor(descriptor: int) -> None:
    """Wait until what was written to an open file is on the disk."""
    if sys.platform == "darwin":  # Its fsync does not wait for the disk itself.
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)
