"""A URL into a file, safely: only an image, only whole, only over http(s), and without the key."""

import os
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Any, Final, Self
from urllib.parse import urljoin, urlsplit

from attrs import define, field

from longcat.errors import APIConnectionError, DownloadError
from longcat.gateway.messages import (
    Answer,
    Call,
)
from longcat.settings import is_http_url
from longcat.text import describe, show
from longcat.waiting.commands import (
    Flow,
    Sleep,
    ask,
    backoff,
)
from longcat.waiting.polling import (
    Random,
)

MAX_BYTES: Final = 100 * 1024 * 1024
ATTEMPTS: Final = 4
"""How often a download is tried when the fault may pass."""
MAX_REDIRECTS: Final = 5
HEAD: Final = 32
"""How many bytes tell what kind of file it is."""

# The first bytes of the kinds of image that the service documents (png, jpeg, webp) or might come to send.
SIGNATURES: Final = (
    ("png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("jpg", re.compile(rb"\xff\xd8\xff")),
    ("webp", re.compile(rb"RIFF....WEBP", re.DOTALL)),
    ("gif", re.compile(rb"GIF8[79]a")),
    ("avif", re.compile(rb"....ftyp(avif|avis)", re.DOTALL)),
    ("heic", re.compile(rb"....ftyp(heic|heix|mif1)", re.DOTALL)),
    ("tiff", re.compile(rb"II\*\x00|MM\x00\*")),
    ("bmp", re.compile(rb"BM....\x00\x00\x00\x00", re.DOTALL)),
)


def image_suffix(head: bytes) -> str | None:
    """Return the usual suffix for the image that begins so, without a dot. None: it is no image."""
    return next((suffix for suffix, signature in SIGNATURES if signature.match(head)), None)


def existing(path: Path, stem: str) -> Path | None:
    """Return the file that an image would replace; in a folder, one of its name and any kind. None: there is none."""
    if not path.is_dir():
        return path if path.exists() else None
    files = (path / f"{_safe_name(stem)}.{suffix}" for suffix, _ in SIGNATURES)
    return next((file for file in files if file.exists()), None)


def url_stem(url: str) -> str:
    """Return the name in a URL without its suffix, for a file of that name; `image` when it has none."""
    with suppress(ValueError):  # Not a URL. That is said when it is to be asked.
        return PurePosixPath(urlsplit(url).path).stem or "image"
    return "image"


@define
class Target:
    """A file that appears whole or not at all: the bytes go into a temporary file beside it.

    A context manager: what was not committed is removed on the way out.

    Attributes:
        path: the file to write; or a folder, in which the file is called `stem` and has the suffix of its kind.
        stem: that name. Characters that a file name can't have are replaced.
        overwrite: whether a file that is there already may be replaced.
        max_bytes: how many bytes are accepted.
        url: where the bytes come from, for the errors.
        part: the temporary file's name. None: one that nobody else has.
        record: told of the file, its SHA-256 in hex and its size, when it is whole and about to be put in its place.
    """

    path: Path
    stem: str
    overwrite: bool
    max_bytes: int
    url: str
    part: str | None = None
    record: Callable[[Path, str, int], object] | None = None
    _file: IO[bytes] | None = field(default=None, init=False)
    _head: bytes = field(default=b"", init=False)
    _hash: Any = field(factory=sha256, init=False)
    _size: int = field(default=0, init=False)
    _declared: int | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        try:
            old = existing(self.path, self.stem)
        except (OSError, ValueError) as error:
            raise self._unwritable(error) from error
        if old is not None and not self.overwrite:
            raise self._exists(old) from FileExistsError(old)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._discard()

    def begin(self, headers: Mapping[str, str]) -> None:
        """Start anew, with an empty temporary file. Raises DownloadError when that can't be, or is bound to fail."""
        self._discard()
        self._head, self._size, self._hash = b"", 0, sha256()
        length = headers.get("content-length", "")
        # With a content encoding, the length is that of other bytes than those that arrive here.
        plain = headers.get("content-encoding", "identity") == "identity"
        self._declared = int(length) if plain and re.fullmatch(r"\d{1,18}", length, re.ASCII) else None
        if self._declared is not None:
            self._check_size(self._declared)
        folder = self.path if self.path.is_dir() else self.path.parent
        try:
            self._file = (
                (folder / self.part).open("wb")
                if self.part is not None
                else (folder / f".longcat-{secrets.token_hex(8)}.part").open("xb")
            )
        except (OSError, ValueError) as error:
            raise self._unwritable(error) from error

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
        try:
            self._file.write(chunk)
        except OSError as error:
            raise self._unwritable(error) from error

    def finish(self) -> None:
        """Raise DownloadError unless all that was announced has come, and is an image."""
        if self._declared is not None and self._size != self._declared:
            message = f"{self._size} bytes came instead of the {self._declared} announced"
            raise self._refusal(message, "Try again.", retryable=True)
        self._check_kind()

    def commit(self) -> Path:
        """Put the file in its place, and return where that is. Raises DownloadError when that can't be."""
        if self._file is None:
            raise ValueError("begin comes before commit")
        path = self.path
        if path.is_dir():
            path = path / f"{_safe_name(self.stem)}.{image_suffix(self._head)}"
        temporary = Path(self._file.name)
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            if self.record is not None:
                self.record(path, self._hash.hexdigest(), self._size)
            if self.overwrite:
                temporary.replace(path)
            else:
                _rename_new(temporary, path)
        except FileExistsError as error:
            raise self._exists(path) from error
        except (OSError, ValueError) as error:
            raise self._unwritable(error) from error
        return path

    def _discard(self) -> None:
        if self._file is None:
            return
        with suppress(OSError):  # On a full disk, closing fails too, as it writes what is left.
            self._file.close()
        with suppress(FileNotFoundError):
            Path(self._file.name).unlink()
        self._file = None

    def _check_size(self, size: int) -> None:
        if size > self.max_bytes:
            raise self._refusal(f"it has more than {self.max_bytes} bytes", "Raise max_bytes if it is wanted.")

    def _check_kind(self) -> None:
        if image_suffix(self._head) is None:
            raise self._refusal(f"it is not an image but {describe(self._head)}", "Look at the URL in a browser.")

    def _exists(self, path: Path) -> DownloadError:
        return self._refusal(f"{path} is there already", "Pass overwrite=True (--force) or another path.")

    def _unwritable(self, error: OSError | ValueError) -> DownloadError:
        return self._refusal(f"the file can't be written ({error})", "Choose a folder that can be written to.")

    def _refusal(self, message: str, next_step: str, *, retryable: bool = False) -> DownloadError:
        return DownloadError(self.url, message, next_step, retryable=retryable)


def _rename_new(temporary: Path, path: Path) -> None:
    """Rename, and raise FileExistsError rather than replace a file, even one made a moment ago."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # A file system without hard links. The check and the rename are two steps there.
        if path.exists():
            raise FileExistsError(path) from None
        temporary.replace(path)
    else:
        temporary.unlink()


def _safe_name(stem: str) -> str:
    """Return a file name that is no path and not hidden. Two stems have two names: what was changed is numbered."""
    name = re.sub(r"[^\w.-]+", "_", stem).strip("._-").encode()[:150].decode(errors="ignore")
    if name == stem:
        return name
    return f"{name or 'image'}-{sha256(stem.encode(errors='surrogatepass')).hexdigest()[:8]}"


def fetch(
    url: str, target: Target, timeout: float | None, monotonic: Callable[[], float], random: Random
) -> Flow[None]:
    """Bring what is at the URL into the target, and raise DownloadError if it can't be had.

    A fault that may pass (no answer, a cut body, 408, 429, 5xx) is tried again, three times at most, with a pause.
    """
    deadline = float("inf") if timeout is None else monotonic() + timeout
    for attempt in range(1, ATTEMPTS + 1):
        try:
            yield from _fetch_once(url, target, deadline, monotonic)
        except DownloadError as error:
            left = deadline - monotonic()
            if not error.transient or attempt == ATTEMPTS or left <= 0:
                raise
            yield Sleep(min(backoff(attempt, random), left))
        else:
            return


def _fetch_once(url: str, target: Target, deadline: float, monotonic: Callable[[], float]) -> Flow[None]:
    location = ""
    for _ in range(1 + MAX_REDIRECTS):
        url = _follow(url, location, target)
        left = deadline - monotonic()
        if left <= 0:
            raise DownloadError(target.url, "there was no time left", "Try again with a longer timeout.")
        try:
            answer = yield from ask(Call("GET", url, left, {"Accept": "image/*"}, sink=target, cross_origin=True))
        except APIConnectionError as error:
            next_step = "Try again, or with a longer timeout."
            raise DownloadError(target.url, error.message, next_step, retryable=True) from error
        if answer.status_code == HTTPStatus.OK:
            target.finish()
            return
        is_redirect = HTTPStatus.MULTIPLE_CHOICES <= answer.status_code < HTTPStatus.BAD_REQUEST
        location = answer.headers.get("location", "")
        if not is_redirect or not location:
            raise _refused(answer, target)
    raise DownloadError(target.url, f"it redirects more than {MAX_REDIRECTS} times", "Look at the URL in a browser.")


def _follow(url: str, location: str, target: Target) -> str:
    """Return where a redirect leads, or raise DownloadError when we don't go there."""
    with suppress(ValueError):  # From a location that is no URL.
        url = urljoin(url, location)
        location = ""
    if location or not is_http_url(url):
        message = f"{show(location or url)} is not http:// or https:// and a host"
        raise DownloadError(target.url, message, "Check where it came from.")
    return url


def _refused(answer: Answer, target: Target) -> DownloadError:
    code = answer.status_code
    passing = code in {408, 425, 429} or code >= HTTPStatus.INTERNAL_SERVER_ERROR
    next_step = "Try again later." if passing else "The URL may have expired: ask for the status again."
    return DownloadError(target.url, f"the storage answered {code}", next_step, status_code=code, retryable=passing)
