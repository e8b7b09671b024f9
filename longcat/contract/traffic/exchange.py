"""What all formats of recorded traffic have in common: headers, bodies, and ways to be unreadable."""

import base64
import binascii
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib import import_module
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import frozen

from longcat.contract.model import Exchange, Intent, Origin
from longcat.contract.traffic.redact import redact
from longcat.text import shorten

MAX_BODY: Final = 16 * 1024 * 1024
"""How many bytes a body may have. The documented ones have some 300; a browser's recording has pictures as well."""


@frozen
class Problem:
    """Something recorded that could not be read. The rest of the file, and of the run, goes on.

    Attributes:
        source: the file, and after a `#` the number of the exchange in it, counted from 1.
        message: why.
    """

    source: str
    message: str


class UnreadableError(ValueError):
    """Why something recorded can't be read, in words for people."""


class LostError(UnreadableError):
    """Why nothing after this place in a file can be found either."""


def exchange(  # noqa: PLR0913 - all that was observed, each by its name.
    *,
    method: object,
    url: object,
    request_headers: Iterable[tuple[str, str]],
    request_body: bytes | None,
    status_code: object,
    response_headers: Iterable[tuple[str, str]],
    response_body: bytes | None,
    source: str,
    key_headers: Collection[str],
    origin: Origin = "unknown",
    intent: Intent | None = None,
) -> Exchange:
    """Return the exchange with its bodies decoded and its secrets taken out.

    Raises UnreadableError when it is none.
    """
    asked, question = decode(fold(request_headers), request_body)
    answered, answer = decode(fold(response_headers), response_body)
    whole = Exchange(
        method=_method(method),
        url=_url(url),
        request_headers=asked,
        request_body=question,
        status_code=_status_code(status_code),
        response_headers=answered,
        response_body=answer,
        source=source,
        origin=origin,
        intent=intent,
    )
    return redact(whole, key_headers, thorough=False)


def fold(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers with their names in lower case, and those of one name joined.

    HTTP/2 sends method, path and status as headers whose names begin with a colon. Recorders keep them; they go.
    """
    folded: dict[str, str] = {}
    for name, value in pairs:
        key = name.strip().lower()
        if key and not key.startswith(":"):
            folded[key] = f"{folded[key]}, {value}" if key in folded else value
    return folded


def decode(headers: Mapping[str, str], body: bytes | None) -> tuple[dict[str, str], bytes | None]:
    """Return headers and body without the content encoding. Some recorders have undone it, but kept the header.

    Raises UnreadableError when the body can't be decoded.
    """
    plain = dict(headers)
    encodings = [name.strip().lower() for name in plain.pop("content-encoding", "").split(",")]
    encodings = [name for name in encodings if name not in {"", "identity"}]
    if body is None or not encodings:
        return dict(headers) if body is None else plain, body
    decoded = body
    for name in reversed(encodings):
        if name not in DECODERS:
            raise UnreadableError(f"has a body with the unknown content encoding {shorten(name)!r}")
        decoded = DECODERS[name](decoded)
    if decoded != body and "content-length" in plain:
        plain["content-length"] = str(len(decoded))
    return plain, decoded


def from_base64(text: str) -> bytes:
    """Return what the text encodes, whether its padding and line breaks were kept or not.

    Raises UnreadableError when it is not base64.
    """
    packed = re.sub(r"\s|=+\s*$", "", text)
    if len(packed) > MAX_BODY * 4 // 3 + 4:
        raise too_large()
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableError("has a value that should be base64 and is not") from error


def from_text(text: str, encoding: str = "utf-8") -> bytes:
    """Return text that was read from a recording as the bytes that it was.

    Raises UnreadableError when that can't be told.
    """
    try:
        body = text.encode(encoding, "surrogateescape")
    except LookupError:
        return from_text(text)
    except UnicodeError:
        if encoding == "utf-8":
            raise UnreadableError("has a body that is neither text nor marked as binary") from None
        return from_text(text)
    if len(body) > MAX_BODY:
        raise too_large()
    return body


def too_large() -> UnreadableError:
    """Return the error for a body that is too large to be an answer of an API."""
    return UnreadableError(f"has a body of more than {MAX_BODY // 1024**2} MiB")


def _method(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,31}", value):
        raise UnreadableError(f"has no usable method, but {shorten(value)!r}")
    return value.upper()


def _url(value: object) -> str:
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
        usable = parts is not None and parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable or not isinstance(value, str):
        raise UnreadableError(f"has no absolute HTTP URL, but {shorten(_scheme(value))!r}")
    return value


def _scheme(url: object) -> object:
    """Return a URL without what may hold a secret."""
    return url.partition(":")[0] + ":..." if isinstance(url, str) and ":" in url else url


def _status_code(value: object) -> int:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if text in {"0", "-1"}:
        raise UnreadableError("has no answer: the request was aborted or blocked")
    if not re.fullmatch(r"[1-9]\d\d", text, re.ASCII):
        raise UnreadableError(f"has no usable status code, but {shorten(value)!r}")
    return int(text)


# --- Content encodings. ---


def _inflated(body: bytes, window: int) -> bytes:
    """Return what zlib makes of a body, within bounds: a few bytes can stand for gigabytes."""
    inflater = zlib.decompressobj(window)
    try:
        plain = inflater.decompress(body, MAX_BODY + 1)
    except zlib.error as error:
        raise UnreadableError("has a compressed body that is damaged") from error
    if len(plain) > MAX_BODY:
        raise too_large()
    if not inflater.eof:
        raise UnreadableError("has a compressed body that is cut off")
    return plain


def _gzip(body: bytes) -> bytes:
    return _inflated(body, zlib.MAX_WBITS | 16) if body.startswith(b"\x1f\x8b") else body


def _deflate(body: bytes) -> bytes:
    if body[:1] == b"\x78" and int.from_bytes(body[:2], "big") % 31 == 0:  # RFC 1950's header.
        return _inflated(body, zlib.MAX_WBITS)
    return body if _is_text(body) else _inflated(body, -zlib.MAX_WBITS)  # Some servers leave the header out.


def _br(body: bytes) -> bytes:
    if _is_text(body):
        return body
    for name in ("brotli", "brotlicffi"):
        try:
            brotli: Any = import_module(name)
        except ImportError:
            continue
        return _pieces(brotli.Decompressor(), brotli.error, body)
    raise UnreadableError("has a body compressed with br, for which the package brotli is not installed")


def _pieces(decompressor: Any, error: type[Exception], body: bytes) -> bytes:
    """Return what brotli makes of a body, fed to it in small pieces to notice early when it grows too large."""
    plain = bytearray()
    try:
        for start in range(0, len(body), 1024):
            plain += decompressor.process(body[start : start + 1024])
            if len(plain) > MAX_BODY:
                raise too_large()
    except error as reason:
        raise UnreadableError("has a compressed body that is damaged") from reason
    if not decompressor.is_finished():
        raise UnreadableError("has a compressed body that is cut off")
    return bytes(plain)


def _is_text(body: bytes) -> bool:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return False
    return not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", text)


DECODERS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _br,
}
