"""Writing a file whole: it appears with all that was written, or not at all, and no reader ever sees half of it."""

import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

if sys.platform == "darwin":
    import fcntl


def final_path(path: Path) -> Path:
    """Return the regular file that is to be written for a path: itself, or where it leads as a symbolic link.

    Raises OSError for what a file must not replace: a device, a pipe, a socket or a folder.
    """
    if path.is_symlink():
        path = path.resolve()
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "It is not a regular file", str(path))
    return path


def sync(path: Path) -> None:
    """Wait until all that any program has written to a file is on the disk; of a folder, which files are in it."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
    if sys.platform == "darwin":  # Its fsync does not wait for the disk itself.
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


class PartialFile:
    """A temporary file that is to become a file in the same folder, in three steps: write to `file`, `sync`, `rename`.

    Call `discard` at the end in any case: it removes what was not renamed.

    Args:
        folder: where the file will be.
        name: the temporary file's name; a file of this name is overwritten. None: a new random name.

    Attributes:
        file: takes the bytes, and can be read.
        path: the temporary file.

    Raises OSError when it can't be made; every method but `discard` raises OSError, too.
    """

    def __init__(self, folder: Path, name: str | None = None) -> None:
        self.path = folder / (name if name is not None else f".longcat-{secrets.token_hex(8)}.part")
        self.file: IO[bytes] = self.path.open("x+b" if name is None else "w+b")

    def sync(self) -> None:
        """Make sure that every byte is on the disk, and close the file."""
        self.file.flush()
        _sync(self.file.fileno())
        self.file.close()

    def rename(self, path: Path, *, overwrite: bool) -> None:
        """Give the file its name. Raises FileExistsError(path) when there is one that may not be overwritten."""
        if overwrite:
            self.path.replace(path)
            return
        try:
            os.link(self.path, path)  # Unlike a rename, this never replaces a file, not even one made a moment ago.
        except OSError as error:
            if isinstance(error, FileExistsError) or path.exists():
                raise FileExistsError(path) from error
            self.path.replace(path)  # A file system without hard links. The check and the rename are two steps there.
        else:
            self.path.unlink()

    def discard(self) -> None:
        """Close and remove the temporary file, if it is still there."""
        with suppress(OSError):  # On a full disk, closing fails too, as it writes what is left.
            self.file.close()
        with suppress(FileNotFoundError):
            self.path.unlink()


@contextmanager
def whole_file(path: Path, *, overwrite: bool = True) -> Iterator[IO[bytes]]:
    """Lend a file to write bytes to, which is at `path` when the block ends, and gone when the block raises.

    A symbolic link stays, and what it leads to is written; a file that is replaced keeps its permissions. Raises
    FileExistsError if there is such a file, unless it may be overwritten, and OSError when it can't be written.
    """
    target = final_path(path)
    part = PartialFile(target.parent)
    try:
        if target.exists():
            shutil.copymode(target, part.path)
        yield part.file
        part.sync()
        part.rename(target, overwrite=overwrite)
    finally:
        part.discard()
