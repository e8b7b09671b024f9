"""The file that a picture is downloaded into: what it is called, what may go into it, and that it appears whole."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from attrs import define, field

from longcat.decoding import codings_of
from longcat.errors import DownloadError, LongCatError
from longcat.models import Image
from longcat.saving.files import final_path
from longcat.saving.names import safe_name
from longcat.saving.parts import PartialFile
from longcat.saving.pictures.kinds import HEAD, SUFFIXES, PictureKind, is_whole, kind_of
from longcat.text import describe_kind

TINY: Final = 32
"""A body that ends before so many bytes may have been cut before it showed what it is."""
_RANGE: Final = re.compile(r"bytes +(\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII | re.IGNORECASE)


def existing(path: Path, name: str) -> Path | None:
    """Return the file that a picture would replace; in a folder, one of its name and any kind. None: there is none.

    A symbolic link that leads nowhere is a file, too.
    """
    return _existing(path, safe_name(name))


def _existing(path: Path, stem: str) -> Path | None:
    files = (path / f"{stem}.{suffix}" for suffix in SUFFIXES) if path.is_dir() else (path,)
    return next((file for file in files if os.path.lexists(file)), None)


def url_stem(url: str) -> str:
    """Return the name in a URL without its suffix, for a file of that name; `image` when it has none."""
    with suppress(ValueError):  # Not a URL. The error is raised when it is to be asked.
        return PurePosixPath(urlsplit(url).path).stem or "image"
    return "image"


@define
class PictureFile:
    """Takes the bytes of a picture, and puts them in their place once they are complete: a `Sink` for a `Call`.

    A context manager: what was not committed is removed at the end. Every method raises DownloadError when the file
    can't be written.

    Attributes:
        path: the file to write; or a folder, in which the file is called `stem` and has the suffix of its kind.
        stem: that name, as `safe_name` returns it.
        overwrite: whether a file that is there already may be replaced.
        max_bytes: how many bytes are accepted.
        url: where the bytes come from, for the errors.
        number: which of its request's pictures it is, from 1.
        count: how many pictures the request has. With several, errors name the number.
        record: called with the file, its SHA-256 in hex and its size, when it is whole and about to get its name.
    """

    path: Path
    stem: str
    overwrite: bool
    max_bytes: int
    url: str
    number: int = 1
    count: int = 1
    record: Callable[[Path, str, int], object] | None = None
    _file: PartialFile | None = field(default=None, init=False)
    _head: bytes = field(default=b"", init=False)
    _hash: Any = field(factory=sha256, init=False)
    _size: int = field(default=0, init=False)
    _declared: int | None = field(default=None, init=False)
    _range: str | None = field(default=None, init=False)
    _ends_with_connection: bool = field(default=False, init=False)

    @property
    def folder(self) -> Path:
        """The folder that the file will be in."""
        return self.path if _is_folder(self.path) else self.path.parent

    def existing(self) -> Path | None:
        """Return the file that this one would replace. None: there is none."""
        return _existing(self.path, self.stem)

    def __enter__(self) -> Self:
        with self._translated():
            old = self.existing()
            target = final_path(old or self.path) if old or not self.path.is_dir() else None
            if old is not None and not self.overwrite:
                raise FileExistsError(old)
            if target is not None and not self.path.is_dir():
                self.path = target
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._discard()

    def begin(self, headers: Mapping[str, str], *, ends_with_connection: bool = False) -> None:
        """Start anew, with an empty temporary file. Raises DownloadError when too many bytes are announced."""
        self._discard()
        self._head, self._size, self._hash = b"", 0, sha256()
        length = headers.get("content-length", "")
        # With a content encoding, the length is that of other bytes than those that arrive here.
        plain = not codings_of(headers.get("content-encoding", ""))
        self._declared = int(length) if plain and re.fullmatch(r"\d{1,18}", length, re.ASCII) else None
        self._check_size(self._declared or 0)
        self._range = headers.get("content-range")
        self._ends_with_connection = ends_with_connection
        with self._translated():
            self._file = PartialFile(self.folder)

    def write(self, chunk: bytes) -> None:
        """Take the next bytes. Raises DownloadError as soon as they can't be an image, or are too many."""
        if self._file is None:
            raise ValueError("begin comes before write")
        self._size += len(chunk)
        self._check_size(self._size)
        if len(self._head) < HEAD:
            self._head += chunk[: HEAD - len(self._head)]
            if len(self._head) == HEAD:
                self._check_kind()
        self._hash.update(chunk)
        with self._translated():
            self._file.file.write(chunk)

    def finish(self) -> None:
        """Raise DownloadError unless all that was announced has come, and is a whole image. This may read the file."""
        if self._file is None:
            raise ValueError("begin comes before finish")
        if self._declared is not None and self._size != self._declared:
            message = f"{self._size} bytes came instead of the {self._declared} announced"
            raise self.error(message, "Try again.", retryable=True)
        kind = self._check_kind()
        if self._is_framed:
            return
        with self._translated():
            whole = is_whole(kind, self._file.file, self._size)
        if whole is None:
            whole = self._range is None
        if not whole:
            message = f"it stops in its midst, after {self._size} bytes, and the answer did not say how many there are"
            raise self.error(message, "Try again.", retryable=True)

    def commit(self) -> Path:
        """Put the file in its place, and return where that is. This blocks until the bytes are on the disk."""
        if self._file is None:
            raise ValueError("begin comes before commit")
        path = self.path
        with self._translated():
            if path.is_dir():
                path = final_path(path / f"{self.stem}.{self._check_kind().suffix}")
            self._file.sync()
            if self.record is not None:
                self.record(path, self._hash.hexdigest(), self._size)
            self._file.rename(path, overwrite=self.overwrite)
        return path

    def error(
        self, message: str, next_step: str, *, status_code: int | None = None, retryable: bool = False
    ) -> DownloadError:
        """Return the error that says why this picture can't be had; see DownloadError."""
        which = f"picture {self.number} of {self.count}: " if self.count > 1 else ""
        return DownloadError(self.url, f"{which}{message}", next_step, status_code, retryable)

    @property
    def _is_framed(self) -> bool:
        """Whether the answer itself says that these are all the bytes there are."""
        if self._range is not None:
            return _is_all(self._range, self._size)
        return not self._ends_with_connection

    def _discard(self) -> None:
        if self._file is not None:
            self._file.discard()
            self._file = None

    def _check_size(self, size: int) -> None:
        if size > self.max_bytes:
            raise self.error(f"it has more than {self.max_bytes} bytes", "Raise max_bytes if it is wanted.")

    def _check_kind(self) -> PictureKind:
        """Return what kind of image it is. Raises DownloadError when it is none."""
        kind = kind_of(self._head)
        if kind is None:
            again = self._size < TINY and not self._is_framed
            next_step = "Try again." if again else "Look at the URL in a browser."
            raise self.error(f"it is not an image but {describe_kind(self._head)}", next_step, retryable=again)
        return kind

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise DownloadError for what the disk has against the file."""
        try:
            yield
        except (LongCatError, MemoryError):
            raise
        except FileExistsError as error:
            message = f"{error} is there already"
            raise self.error(message, "Pass overwrite=True (--force) or another path.") from error
        except Exception as error:
            message = f"the file can't be written ({error})"
            raise self.error(message, "Choose a folder that can be written to.") from error


def picture_files(image: Image, path: Path, name: str | None, overwrite: bool, max_bytes: int) -> list[PictureFile]:
    """Return the files for all pictures of an image. With several, the name of each ends in its number.

    In a folder, they have the name that is given. None: that of the request.
    """
    count, stem = len(image.urls), safe_name(name if name is not None else image.request_id)
    files = [
        PictureFile(path, stem, overwrite, max_bytes, url, number, count) for number, url in enumerate(image.urls, 1)
    ]
    for file in files if count > 1 else ():
        if _is_folder(path):
            file.stem = f"{file.stem}-{file.number}"
        else:
            file.path = path.with_name(f"{path.stem}-{file.number}{path.suffix}")
    return files


def existing_pictures(path: Path, name: str, count: int) -> list[Path]:
    """Return the files that so many pictures of one image would replace. Raises OSError and ValueError.

    Args:
        path: as for `LongCat.download`.
        name: what they are called in a folder.
        count: how many pictures there are.
    """
    urls = ("",) * count
    files = picture_files(Image(name, "", urls), path, name, overwrite=False, max_bytes=0)
    return [found for file in files if (found := file.existing()) is not None]


def _is_all(content_range: str, size: int) -> bool:
    """Whether a `Content-Range` says that these bytes are all there are."""
    match = _RANGE.fullmatch(content_range.strip())
    return match is not None and [*map(int, match.groups())] == [0, size - 1, size]


def _is_folder(path: Path) -> bool:
    with suppress(OSError):  # It is raised when the file is to be written.
        return path.is_dir()
    return False
