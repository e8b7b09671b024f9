"""What all formats of recorded traffic have in common: headers, bodies, and ways to be unreadable."""

import base64
import binascii
import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from importlib import import_module
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from longcat.contract.model import Exchange, Intent, Origin
from longcat.contract.traffic.redact import redact
from longcat.decoding import KNOWN, MAX_CODINGS, CodingError, ContentDecoder, codings_of
from longcat.text import shorten

Body = TypeVar("Body", bytes, bytearray)
_METHOD: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,31}")
MAX_BODY: Final = 16 * 1024 * 1024
"""How many bytes a body may have. The documented ones have some 300; a browser's recording has pictures as well."""
BROTLI_PIECE: Final = 16
"""How many bytes are undone at once, as a few can stand for 16 MiB and there is no other bound in older releases."""


class UnreadableError(ValueError):
    """Why something recorded can't be read, in words for people."""


class BrokenFileError(UnreadableError):
    """Why the rest of a file can't be read either."""


def make_exchange(  # noqa: PLR0913 - all that was observed, each by its name.
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
    recorded: datetime | None = None,
) -> Exchange:
    """Return a recorded exchange with its bodies decoded and its secrets taken out.

    Where a recorder does not say when it was, the answer's `Date` does.

    Raises UnreadableError when something in it can't be.
    """
    request_head, request_body = undo_encoding(_folded(request_headers), request_body)
    response_head, response_body = undo_encoding(_folded(response_headers), response_body)
    exchange = Exchange(
        method=_method(method),
        url=_url(url),
        request_headers=request_head,
        request_body=request_body,
        status_code=_status_code(status_code),
        response_headers=response_head,
        response_body=response_body,
        source=source,
        origin=origin,
        intent=intent,
        recorded=recorded or moment(response_head.get("date")),
    )
    return redact(exchange, key_headers, thorough=False)


def moment(value: object) -> datetime | None:
    """Return the time that a text gives, as ISO 8601 or as mails and HTTP write it; in UTC where it names no zone.

    None: it gives none.
    """
    if not isinstance(value, str) or not value:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        from email.utils import parsedate_to_datetime  # noqa: PLC0415 - it is slow to import.

        try:
            found = parsedate_to_datetime(value)
        except ValueError:
            return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _folded(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers with their names in lower case, and those of one name joined.

    HTTP/2 sends method, path and status as headers whose names begin with a colon. Recorders keep them; they go.
    """
    folded: dict[str, str] = {}
    for name, value in pairs:
        key = _header_name(name)
        if key in folded:
            folded[key] += f", {value}"
        elif key and key[0] != ":":
            folded[key] = value
    return folded


@lru_cache(maxsize=1024)  # The same few names come again with every exchange.
def _header_name(text: str) -> str:
    return text.strip().lower()


def undo_encoding(headers: dict[str, str], body: bytes | None) -> tuple[dict[str, str], bytes | None]:
    """Return headers and body without the content encoding. Some recorders have undone it, but kept the header.

    Raises UnreadableError when the body can't be decoded.
    """
    if body is None or "content-encoding" not in headers:
        return headers, body
    plain = dict(headers)
    names = codings_of(plain.pop("content-encoding"))
    if len(names) > MAX_CODINGS:
        raise UnreadableError(f"has a body in more than {MAX_CODINGS} content encodings")
    decoded = body
    for name in reversed(names):
        decoded = _undone(name, decoded)
    if decoded != body and "content-length" in plain:
        plain["content-length"] = str(len(decoded))
    return plain, decoded


def from_base64(text: str) -> bytes:
    """Return what the text encodes, whether its padding and line breaks were kept or not.

    Raises UnreadableError when it is not base64.
    """
    packed = "".join(text.split()).rstrip("=")
    try:
        return bounded(base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True))
    except (binascii.Error, UnicodeError) as error:
        raise UnreadableError("has a value that should be base64 and is not") from error


def from_text(text: str, encoding: str = "utf-8") -> bytes:
    """Return text that was read from a recording as the bytes that it was.

    Raises UnreadableError when the bytes can't be known.
    """
    try:
        body = text.encode(encoding, "surrogateescape")
    except LookupError:
        return from_text(text)
    except UnicodeError:
        if encoding == "utf-8":
            raise UnreadableError("has a body that is neither text nor marked as binary") from None
        return from_text(text)
    return bounded(body)


def bounded(body: Body) -> Body:
    """Return the body. Raises UnreadableError when it is too large to be a response of an API."""
    if len(body) > MAX_BODY:
        raise UnreadableError(f"has a body of more than {MAX_BODY // 1024**2} MiB")
    return body


def _method(value: object) -> str:
    if not isinstance(value, str) or not _METHOD.fullmatch(value):
        raise UnreadableError(f"has no usable method, but {shorten(value)!r}")
    return value.upper()


def _url(value: object) -> str:
    if isinstance(value, str) and _is_http(value):
        return value
    # What comes after the scheme may hold a secret.
    shown = value.partition(":")[0] + ":..." if isinstance(value, str) and ":" in value else value
    raise UnreadableError(f"has no absolute HTTP URL, but {shorten(shown)!r}")


@lru_cache(maxsize=256)  # Thousands of exchanges go to a few URLs.
def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _status_code(value: object) -> int:
    if type(value) is int and 100 <= value <= 999:  # noqa: PLR2004 - what HTTP has.
        return value
    if value in (0, -1, "0", "-1") and not isinstance(value, bool | float):
        raise UnreadableError("has no answer: the request was aborted or blocked")
    if not isinstance(value, str) or not re.fullmatch(r"[1-9]\d\d", value, re.ASCII):
        raise UnreadableError(f"has no usable status code, but {shorten(value)!r}")
    return int(value)


# --- Content encodings. ---


def _undone(name: str, body: bytes) -> bytes:
    """Return a body without a content encoding; as it is where the recorder has undone that."""
    if name not in {*KNOWN, "br"}:
        raise UnreadableError(f"has a body with the unknown content encoding {shorten(name)!r}")
    if (not body.startswith(b"\x1f\x8b")) if name == "gzip" else _is_text(body):
        return body
    return _without_br(body) if name == "br" else _inflated(name, body)


def _inflated(name: str, body: bytes) -> bytes:
    decoder, plain = ContentDecoder(name), bytearray()
    try:
        for piece in decoder.decode(body):
            plain += piece
            bounded(plain)
    except CodingError as error:
        raise UnreadableError("has a compressed body that is damaged") from error
    try:
        decoder.finish()
    except CodingError as error:
        raise UnreadableError("has a compressed body that is cut off") from error
    return bytes(plain)


def _without_br(body: bytes) -> bytes:
    for name in ("brotli", "brotlicffi"):
        try:
            brotli: Any = import_module(name)
        except ImportError:
            continue
        break
    else:
        raise UnreadableError("has a body compressed with br, for which the package brotli is not installed")
    decompressor, plain = brotli.Decompressor(), bytearray()
    try:
        for start in range(0, len(body), BROTLI_PIECE):
            plain += decompressor.process(body[start : start + BROTLI_PIECE])
            bounded(plain)
    except brotli.error as error:
        raise UnreadableError("has a compressed body that is damaged") from error
    if not decompressor.is_finished():
        raise UnreadableError("has a compressed body that is cut off")
    return bytes(plain)


def _is_text(body: bytes) -> bool:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return False
    return not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", text)
