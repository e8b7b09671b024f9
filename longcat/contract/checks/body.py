"""A body's bytes as a JSON value, and all that a lenient reader would let pass.

Python's own reader takes NaN, repeated names and a byte order mark; others refuse them, or read something else. So
whatever RFC 8259 does not allow is told.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import Factory, define, frozen

from longcat.contract.checks.mismatch import tidy
from longcat.text import describe

BOM: Final = b"\xef\xbb\xbf"


@frozen
class Fault:
    """What is wrong with a body as JSON: the kind of finding, what was expected, and what came."""

    code: str
    expected: str
    seen: str


@define
class Decoded:
    """What came of reading a body. `value` means something only when `is_json`."""

    value: Any = None
    is_json: bool = False
    faults: list[Fault] = Factory(list)


def decode(body: bytes) -> Decoded:
    """Return the JSON value in a body, with what is wrong about it."""
    decoded = Decoded()
    if not body.strip():
        decoded.faults.append(Fault("body-empty", "a body of JSON", "an empty body"))
        return decoded
    if body.startswith(BOM):
        decoded.faults.append(Fault("body-not-json", "JSON, which begins with no byte order mark", "a byte order mark"))
    try:
        text = body.removeprefix(BOM).decode()
    except UnicodeDecodeError:
        decoded.faults.append(Fault("body-not-json", "JSON in UTF-8", _looks(body)))
        return decoded
    _parse(text, body, decoded)
    return decoded


def _parse(text: str, body: bytes, decoded: Decoded) -> None:
    words: list[str] = []
    twice: list[str] = []

    def constant(word: str) -> float:
        words.append(word)
        return math.nan

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            names = [name for name, _ in items]
            twice.extend(name for name in found if names.count(name) > 1)
        return found

    try:
        value = json.loads(text, parse_constant=constant, object_pairs_hook=pairs)
    except RecursionError:
        decoded.faults.append(Fault("body-not-json", "JSON", "JSON nested too deeply to read"))
        return
    except json.JSONDecodeError as error:
        # An error at the very end of a text that began like JSON: the rest of it is missing.
        is_cut = text.lstrip()[:1] in {"{", "["} and (
            not text[error.pos :].strip() or error.msg.startswith("Unterminated string")
        )
        expected = "whole JSON" if is_cut else "JSON"
        decoded.faults.append(Fault("body-cut" if is_cut else "body-not-json", expected, _looks(body)))
        return
    except ValueError:  # An integer of more digits than Python reads.
        decoded.faults.append(Fault("body-not-json", "JSON", "a number too long to read"))
        return
    decoded.value, decoded.is_json = _without_surrogates(value, text), True
    if words:
        decoded.faults.append(Fault("body-not-json", "JSON, which has no such number", words[0]))
        decoded.is_json = False  # What else is wrong with such a number is the same fault.
    if twice:
        names = ", ".join(dict.fromkeys(twice))
        decoded.faults.append(Fault("name-repeated", "each name once in an object", f"{names} more than once"))


def _looks(body: bytes) -> str:
    return tidy(describe(body))


_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def _without_surrogates(value: Any, text: str) -> Any:
    """Return a value with halves of characters replaced: JSON can escape them, and no text can hold them."""
    if not _SURROGATE.search(text):
        return value
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(item, text) for item in value]
    if isinstance(value, Mapping):
        return {_without_surrogates(name, text): _without_surrogates(inner, text) for name, inner in value.items()}
    return value


def is_html(body: bytes, media_type: str) -> bool:
    """Whether a body is an HTML page, by its type or by its looks."""
    start = body[:512].lstrip().lower()
    return media_type in {"text/html", "application/xhtml+xml"} or start.startswith((b"<!doctype html", b"<html"))


def media_type_of(headers: Mapping[str, str]) -> str:
    """Return the media type of a message without parameters, in lower case; empty when the message names none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def is_short(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a body has fewer bytes than its own header says: it was cut on its way.

    A length that was taken of the compressed body says nothing about the one that was recorded after it.
    """
    length = headers.get("content-length", "")
    coded = headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}
    return length.isascii() and length.isdigit() and not coded and len(body) < int(length)
