"""Checks which files may be read and written, and writes files whole: with all that was written, or not at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from stat import S_ISLNK, S_ISREG
from typing import IO, Final

from longcat.saving.partial_file import FLAGS, PartialFile, sweep, sync_descriptor

MAX_LINKS: Final = 40
"""How many symbolic links may lead from one to the next, as on Linux."""
DISK_FULL: Final = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""Numbers of the errors which say that there is no space left, on the disk or for the user."""


def check_folder(path: Path) -> None:
    """Raise PermissionError when this process may write no file into a folder."""
    if not os.access(path, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def final_path(path: Path) -> Path:
    """Return the regular file that is to be written for a path: itself, or where it leads as a symbolic link.

    A link that leads nowhere stands for the file that is not there yet. Raises OSError for what a file must not
    replace: a device, a pipe, a socket, a folder, or what a process has open, such as `/dev/stdout`; and for links that
    lead in a circle.
    """
    for _ in range(MAX_LINKS):
        try:
            folder = path.parent.resolve()
        except RuntimeError as error:  # As Python 3.11 and 3.12 call links in a circle.
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error
        if os.name == "posix" and (folder.parts[:2] == ("/", "proc") or str(folder) in {"/dev", "/dev/fd"}):
            raise OSError(errno.EINVAL, "It is not a regular file", str(path))
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return path
        if not S_ISLNK(mode):
            if not S_ISREG(mode):
                raise OSError(errno.EINVAL, "It is not a regular file", str(path))
            return path
        path = folder / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading. Raises OSError, also for a pipe or a device, which could keep the reader waiting."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | (FLAGS & ~getattr(os, "O_NOFOLLOW", 0)))
    file = os.fdopen(descriptor, "rb")
    if not S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "It is not a regular file", str(path))
    return file


def sync(path: Path) -> None:
    """Wait until all that any program has written to a file is on the disk; of a folder, which files are in it."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        sync_descriptor(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def whole_file(path: Path, *, overwrite: bool = True) -> Iterator[IO[bytes]]:
    """Lend a file to write bytes to, which is at `path` when the block ends, and gone when the block raises.

    A symbolic link stays, and what it leads to is written; a file that is replaced keeps its permissions. Raises
    FileExistsError if there is such a file, unless it may be overwritten, and OSError when it can't be written.
    """
    target = final_path(path)
    sweep(target.parent)
    part = PartialFile(target.parent)
    try:
        if target.exists():
            part.copy_mode(target)
        yield part.file
        part.sync()
        part.rename(target, overwrite=overwrite)
    finally:
        part.discard()


@contextmanager
def output_file(path: Path) -> Iterator[IO[bytes]]:
    """Lend a file to write bytes to, as `whole_file` does; or what is no regular file, such as `/dev/stdout` or a pipe.

    Raises OSError when it can't be written, at once for a pipe that nobody reads.
    """
    try:
        final_path(path)
        is_special = False
    except OSError:
        is_special = path.exists() and not path.is_dir()
    if not is_special:
        with whole_file(path) as file:
            yield file
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "wb") as file:
        if os.name == "posix":
            os.set_blocking(descriptor, True)
        yield file


def advice_on_writing(error: Exception, advice: str) -> str:
    """Return what to do about a file that can't be written: this, unless the disk is full."""
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return "Free some space on the disk, then try again."
    return advice
