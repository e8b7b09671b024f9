"""The file that a picture is downloaded into: what it is called, what may go into it, and that it appears whole."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import PurePosixPath
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from attrs import define, field

from longcat.decoding import codings_of
from longcat.errors import DownloadError, LongCatError
from longcat.models import Image
from longcat.saving.file_names import safe_name
from longcat.saving.files import advice_on_writing
from longcat.saving.partial_file import PartialFile
from longcat.saving.pictures.kinds import SNIFFED_BYTES, PictureKind, is_whole, kind_of
from longcat.saving.stores.store import PictureStore, PictureTarget, Record, WholePicture
from longcat.saving.stores.store_errors import StoreError
from longcat.text import describe_kind

TINY: Final = 32
"""A body that ends before so many bytes may have been cut before it showed what it is."""
_RANGE: Final = re.compile(r"bytes +(\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII | re.IGNORECASE)


def _nowhere(*_: object) -> None:
    """Record nothing."""


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
        target: where it is to be saved.
        overwrite: whether a file that is there already may be replaced.
        max_bytes: how many bytes are accepted.
        url: where the bytes come from, for the errors.
        number: which of its request's pictures it is, from 1.
        count: how many pictures the request has. With several, errors name the number.
        record: records it in the journal.
    """

    target: PictureTarget
    overwrite: bool
    max_bytes: int
    url: str
    number: int = 1
    count: int = 1
    record: Record = _nowhere
    _file: PartialFile | None = field(default=None, init=False)
    _head: bytes = field(default=b"", init=False)
    _hash: Any = field(factory=sha256, init=False)
    _size: int = field(default=0, init=False)
    _declared: int | None = field(default=None, init=False)
    _range: str | None = field(default=None, init=False)
    _ends_with_connection: bool = field(default=False, init=False)

    def __enter__(self) -> Self:
        with self._translated():
            self.target.check(overwrite=self.overwrite)
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
            self._file = PartialFile(self.target.folder)

    def write(self, chunk: bytes) -> None:
        """Take the next bytes. Raises DownloadError as soon as they can't be an image, or are too many."""
        if self._file is None:
            raise ValueError("begin comes before write")
        self._size += len(chunk)
        self._check_size(self._size)
        if len(self._head) < SNIFFED_BYTES:
            self._head += chunk[: SNIFFED_BYTES - len(self._head)]
            if len(self._head) == SNIFFED_BYTES:
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

    def commit(self, timeout: float) -> str:
        """Put the picture in its place, and return where that is. This blocks until it is safe there.

        A place behind a network is given up after `timeout` seconds.
        """
        if self._file is None:
            raise ValueError("begin comes before commit")
        with self._translated():
            picture = WholePicture(self._file, self._check_kind(), self._hash.hexdigest(), self._size)
            return self.target.put(picture, self.record, overwrite=self.overwrite, timeout=timeout)

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
        except StoreError as fault:
            raise self.error(fault.message, fault.next_step, retryable=fault.transient) from fault
        except FileExistsError as error:
            message = f"{error} is there already"
            raise self.error(message, "Pass overwrite=True (--force) or another path.") from error
        except Exception as error:
            next_step = advice_on_writing(error, "Choose a folder that can be written to.")
            raise self.error(f"the file can't be written ({error})", next_step) from error


def picture_files(
    image: Image, store: PictureStore, name: str | None, overwrite: bool, max_bytes: int
) -> list[PictureFile]:
    """Return the files for all pictures of an image. With several, the name of each ends in its number.

    In a folder, they have the name that is given. None: that of the request.
    """
    count, stem = len(image.urls), safe_name(name if name is not None else image.request_id)
    return [
        PictureFile(store.target(stem, number, count), overwrite, max_bytes, url, number, count)
        for number, url in enumerate(image.urls, 1)
    ]


def _is_all(content_range: str, size: int) -> bool:
    """Whether a `Content-Range` says that these bytes are all there are."""
    match = _RANGE.fullmatch(content_range.strip())
    return match is not None and [*map(int, match.groups())] == [0, size - 1, size]
