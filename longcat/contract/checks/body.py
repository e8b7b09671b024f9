"""Decodes a body as JSON, and names everything in it that RFC 8259 does not allow.

Python's own decoder accepts NaN and repeated names. Other decoders refuse them, or read something else.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NoReturn

from attrs import frozen

from longcat.contract.checks.mismatch import Mismatch, show_body
from longcat.contract.openapi.errors import UnjudgeableError
from longcat.contract.openapi.limits import MAX_VALUE_DEPTH, TOO_DEEP, check_depth
from longcat.decoding import codings_of
from longcat.text import shorten

BOM: Final = b"\xef\xbb\xbf"
MAX_MEDIA_TYPE: Final = 256
"""How many characters of a media type are looked at: RFC 6838 allows 127 on either side of the slash."""
_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)
_WIDE: Final = re.compile(r"utf-(16|32)(le|be)?")
_KNOWN: Final = re.compile(
    r"us-ascii|iso-?8859-([1-9]|1[013-6])|latin([1-9]|10)|(windows-|cp)125[0-8]|koi8-[ru]|shift_jis|euc-(jp|kr)|gb2312"
    r"|gbk|gb18030|big5"
)


@frozen
class Decoded:
    """A body that was read as JSON.

    Attributes:
        value: what it says. It means something only when `is_json`.
        is_json: whether it can be read at all.
        defects: what is wrong with it. They have no `rule`, as the contract is not known here.
    """

    value: Any = None
    is_json: bool = False
    defects: tuple[Mismatch, ...] = ()


def decode_json(body: bytes, charset: str = "") -> Decoded:
    """Return the JSON value in a body, with what is wrong about it. Raises UnjudgeableError for deeper JSON.

    `charset` is what the headers say (see `charset_of`). RFC 8259 demands UTF-8, but another one is believed.
    """
    if not body or body.isspace():
        return Decoded(defects=(_defect("body-empty", "a body of JSON", "an empty body"),))
    defects = []
    if body.startswith(BOM):
        defects.append(_defect("body-not-json", "JSON, which begins with no byte order mark", "a byte order mark"))
    try:
        text = body_text(body.removeprefix(BOM), charset)
    except UnicodeDecodeError:
        return Decoded(defects=(*defects, _defect("body-not-json", "JSON in UTF-8", show_body(body))))
    try:
        value, constants, repeated = _load(text)
    except ValueError as error:
        if isinstance(error, UnjudgeableError):
            raise
        return Decoded(defects=(*defects, _unreadable(error, text, body)))
    if constants:
        defects.append(_defect("body-not-json", "JSON, which has no such number", constants[0]))
    if repeated:
        names = shorten(", ".join(dict.fromkeys(repeated)), 200)
        defects.append(_defect("name-repeated", "each name once in an object", f"{names} more than once"))
    # What else is wrong with NaN or infinity is the same defect, so that such a value is not compared.
    return Decoded(value, not constants, tuple(defects))


def _load(text: str) -> tuple[Any, list[str], list[str]]:
    """Return the value in a text, with the numbers that JSON does not have, and the names that an object has twice.

    Raises ValueError, or UnjudgeableError.
    """
    constants: list[str] = []
    repeated: list[str] = []
    try:
        value, end = _STRICT.raw_decode(text)
        if end != len(text):
            value = _STRICT.decode(text)
    except (ValueError, RecursionError):
        value = _load_all(text, constants, repeated)
    if text.count("{") + text.count("[") > MAX_VALUE_DEPTH:
        check_depth(value)
    return _without_surrogates(value, text), constants, repeated


def _load_all(text: str, constants: list[str], repeated: list[str]) -> Any:
    """Return the value in a text, and add the numbers and names that `_load` returns to the lists."""

    def keep_constant(word: str) -> float:
        constants.append(word)
        return math.nan

    def keep_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            repeated.extend(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        return found

    try:
        return json.loads(text, parse_constant=keep_constant, object_pairs_hook=keep_pairs)
    except RecursionError:
        raise UnjudgeableError(TOO_DEEP) from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


_STRICT: Final = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=_distinct)
"""Reads nearly all bodies. What it refuses is read again by a slower decoder that tells why."""


def _defect(code: str, expected: str, seen: str) -> Mismatch:
    return Mismatch(code, (), "", expected, seen)


def _unreadable(error: ValueError, text: str, body: bytes) -> Mismatch:
    if not isinstance(error, json.JSONDecodeError):  # An integer of more digits than Python reads.
        return _defect("body-not-json", "JSON", "a number too long to read")
    # An error at the very end of a text that began like JSON: the rest of it is missing.
    is_at_end = not text[error.pos :].strip() or error.msg.startswith("Unterminated string")
    if is_at_end and text.lstrip()[:1] in {"{", "["}:
        return _defect("body-cut", "whole JSON", show_body(body))
    return _defect("body-not-json", "JSON", show_body(body))


_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def _without_surrogates(value: Any, text: str) -> Any:
    """Return a value with halves of characters replaced: JSON can escape them, and no text can hold them."""
    return _replace_surrogates(value) if "\\u" in text and _SURROGATE.search(text) else value


def _replace_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_replace_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_replace_surrogates(name): _replace_surrogates(inner) for name, inner in value.items()}
    return value


def is_html(body: bytes, media_type: str) -> bool:
    """Whether a body is an HTML page, by its type or by its looks."""
    start = body[:512].lstrip().lower()
    return media_type in {"text/html", "application/xhtml+xml"} or start.startswith((b"<!doctype html", b"<html"))


def media_type_of(headers: Mapping[str, str]) -> str:
    """Return the media type of a message without parameters, in lower case; empty when the message names none.

    Two headers that name the same one, joined with a comma, are one.
    """
    return _media_type(headers.get("content-type", "")[:MAX_MEDIA_TYPE])


def charset_of(headers: Mapping[str, str]) -> str:
    """Return the character set that a message says its body has, in lower case; empty when it names none."""
    return _charset(headers.get("content-type", "")[:MAX_MEDIA_TYPE])


@lru_cache(maxsize=256)  # The same few come again with every exchange.
def _media_type(content_type: str) -> str:
    text = content_type.lower()
    types = {one.partition(";")[0].strip() for one in text.split(",")}
    return types.pop() if len(types) == 1 else text.partition(";")[0].strip()


@lru_cache(maxsize=256)  # As above.
def _charset(content_type: str) -> str:
    found = _CHARSET.search(content_type)
    return found[1].lower() if found else ""


def body_text(body: bytes, charset: str = "", errors: str = "strict") -> str:
    """Return the text in a body: in UTF-8, or else in the character set that the headers name.

    Many servers name one by habit, and send UTF-8: so that is tried first, but for those sets whose text can be taken
    for it. Raises UnicodeDecodeError, unless `errors` says what is done instead.
    """
    if charset and _WIDE.fullmatch(charset):
        return body.decode(charset, errors)
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode(charset if _KNOWN.fullmatch(charset) else "utf-8", errors)


def is_short(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a body has fewer bytes than its own header says: it was cut on its way.

    A length that was taken of the compressed body says nothing about the one that was recorded after it.
    """
    length = headers.get("content-length", "")
    coded = codings_of(headers.get("content-encoding", ""))
    return length.isascii() and length.isdigit() and not coded and len(body) < float(length)
