"""Decodes the bodies of recorded messages to the bytes that were meant, or says why that is not possible."""

import base64
import json
import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any, Final, TypeVar

from longcat.decoding import KNOWN, MAX_CODINGS, CodingError, ContentDecoder, codings_of
from longcat.text import shorten

Body = TypeVar("Body", bytes, bytearray)
MAX_BODY: Final = 16 * 1024 * 1024
"""How many bytes a body may have. The documented ones have some 300; a browser's recording has pictures as well."""
GZIP_IN_HEX: Final = "1f8b08"
PIECE_BYTES: Final = 16
"""How many bytes a package gets at once: a few can stand for 16 MiB, and older releases bound nothing."""

ZSTD: Final = b"\x28\xb5\x2f\xfd"
"""What a body in zstd begins with (RFC 8878, section 3.1.1)."""
_BASE64: Final = str.maketrans("-_", "+/")


class UnreadableError(ValueError):
    """Something recorded can't be read. The message says why.

    Attributes:
        url: where the request went, if that could be read.
    """

    def __init__(self, message: str, url: str | None = None) -> None:
        super().__init__(message)
        self.url = url


class BrokenFileError(UnreadableError):
    """The rest of a file can't be read either. The message says why."""


class NoExchangeError(UnreadableError):
    """Something recorded can't be judged: it is no HTTP, or no answer came. The message says why."""


class UnquotedText(str):
    """A text that a YAML file has without quotes, so that it may be meant as a number or a boolean."""

    __slots__ = ()

    @property
    def meaning(self) -> float | bool | str:
        """The number or the boolean, or the text where it is neither."""
        lower = self.lower()
        if lower in {"true", "false"}:
            return lower == "true"
        try:
            return float(lower.replace(".inf", "inf").replace(".nan", "nan")) if "." in lower else int(lower)
        except ValueError:
            return str(self)


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
        decoded = _decoded(name, decoded)
    if decoded != body and "content-length" in plain:
        plain["content-length"] = str(len(decoded))
    return plain, decoded


def from_hex(text: str) -> bytes:
    """Return what the hexadecimal digits in a text stand for. Raises UnreadableError when there are others in it."""
    try:
        body = bytes.fromhex(text)
    except ValueError as error:
        raise UnreadableError("has a value that should be hexadecimal and is not") from error
    return bounded(body)


def from_pieces(pieces: object, encoding: str) -> bytes | None:
    """Return the body that Polly and nock keep as a list of the pieces that came, in base64 or hexadecimal.

    None: it is no such list. Nothing marks a list of hexadecimal digits, and an answer may itself be a list of texts,
    so it must begin as a body in gzip does.
    """
    if not isinstance(pieces, list) or not pieces or not all(isinstance(one, str) for one in pieces):
        return None
    if encoding == "base64":
        return bounded(b"".join(map(from_base64, pieces)))
    return from_hex("".join(pieces)) if pieces[0].startswith(GZIP_IN_HEX) else None


def from_value(value: object) -> bytes:
    """Return the JSON of a body that a recorder keeps as the value that it stands for.

    Raises UnreadableError for one that JSON can't write.
    """
    try:
        return from_text(json.dumps(_meant(value), ensure_ascii=False))
    except TypeError as error:
        raise UnreadableError("has a body with bytes in it, which JSON can't write") from error
    except RecursionError as error:
        raise UnreadableError("is nested too deeply") from error


def _meant(value: Any) -> Any:
    """Return a value from a YAML file with the numbers and the booleans that were meant."""
    if isinstance(value, dict):
        return {str(name): _meant(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_meant(inner) for inner in value]
    return value.meaning if isinstance(value, UnquotedText) else value


def from_base64(text: str) -> bytes:
    """Return what the text encodes, in either alphabet, whether its padding and line breaks were kept or not.

    Raises UnreadableError when it is not base64.
    """
    packed = "".join(text.split()).rstrip("=").translate(_BASE64)
    try:
        body = base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except ValueError as error:  # Not only binascii's: letters outside ASCII are refused with a plain one.
        raise UnreadableError("has a value that should be base64 and is not") from error
    return bounded(body)


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


# --- Content encodings. ---


def _decoded(name: str, body: bytes) -> bytes:
    """Return a body without a content encoding; as it is where the recorder has undone that."""
    if name not in {*KNOWN, "br", "zstd"}:
        raise UnreadableError(f"has a body with the unknown content encoding {shorten(name)!r}")
    magic = {"gzip": b"\x1f\x8b", "zstd": ZSTD}.get(name)
    if _is_text(body) if magic is None else not body.startswith(magic):
        return body
    return _OTHERS.get(name, partial(_inflated, name))(body)


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
    brotli = _first_of("br", "brotli", "brotlicffi")
    decompressor = brotli.Decompressor()
    return _expanded(body, decompressor.process, decompressor.is_finished, brotli.error)


def _without_zstd(body: bytes) -> bytes:
    zstd = _first_of("zstd", "zstandard", "compression.zstd", "backports.zstd")
    decompressor = zstd.ZstdDecompressor()
    if hasattr(decompressor, "decompressobj"):  # That of `zstandard` undoes a body at once, whatever comes out.
        decompressor = decompressor.decompressobj()
    return _expanded(body, decompressor.decompress, lambda: decompressor.eof, zstd.ZstdError)


_OTHERS: Final[dict[str, Callable[[bytes], bytes]]] = {"br": _without_br, "zstd": _without_zstd}


def _first_of(coding: str, *names: str) -> Any:
    """Return the first of some modules that is installed. Raises UnreadableError when none is."""
    for name in names:
        with suppress(ImportError):
            return import_module(name)
    raise UnreadableError(f"has a body compressed with {coding}, for which the package {names[0]} is not installed")


def _expanded(
    body: bytes, step: Callable[[bytes], bytes], is_finished: Callable[[], bool], damaged: type[Exception]
) -> bytes:
    """Return what a package makes of a body, a few bytes at a time: there is no other bound for what comes out."""
    plain = bytearray()
    try:
        for start in range(0, len(body), PIECE_BYTES):
            plain += step(body[start : start + PIECE_BYTES])
            bounded(plain)
    except (damaged, EOFError) as error:
        raise UnreadableError("has a compressed body that is damaged") from error
    if not is_finished():
        raise UnreadableError("has a compressed body that is cut off")
    return bytes(plain)


def _is_text(body: bytes) -> bool:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return False
    return not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", text)
