"""Other values that a field might get: of another type, in another form, or out of its bounds."""

import re
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

DATE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
URL_ORIGIN: Final = re.compile(r"https?://[^/]+")
WORD: Final = re.compile(r"[A-Za-z][\w.-]{1,30}")


class OtherValue(NamedTuple):
    """Another value that a field might get.

    Attributes:
        kind: the first part of the drift's name.
        suffix: what follows the field in the drift's name; empty for none.
        words: the rest of a sentence about the field, such as `is a text`.
        make: returns the new value for any value of this kind.
    """

    kind: str
    suffix: str
    words: str
    make: Callable[[Any], Any]


def other_types(value: Any) -> Iterator[OtherValue]:
    """Yield a value as other types."""
    if not isinstance(value, str):
        yield OtherValue("retyped", "text", "is a text", text_of)
    if isinstance(value, str) and DATE_TIME.fullmatch(value):
        yield OtherValue("retyped", "number", "is a number of seconds", seconds_of)
    elif isinstance(value, str | bool):
        yield OtherValue("retyped", "number", "is a number", number_of)
    if isinstance(value, list):
        yield OtherValue("retyped", "single", "is a single value", first_of)
        yield OtherValue("retyped", "nested-list", "is a list in a list", lambda value: [value])
    else:
        yield OtherValue("retyped", "list", "is a list", lambda value: [value])
    yield OtherValue("retyped", "object", "is an object", lambda value: {"value": value, "unit": "1"})
    if not isinstance(value, bool):
        yield OtherValue("retyped", "flag", "is true", lambda _: True)


def other_values(value: Any) -> Iterator[OtherValue]:
    """Yield other values of the same type. The caller has to try which of them a contract forbids."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield OtherValue("reunited", "", "is a hundred times as much", lambda value: round(value * 100, 4) or 4500)
        yield OtherValue("negative", "", "is -1", lambda _: -1)
        yield OtherValue("fractional", "", "has a fraction", lambda value: int(value) + 0.5)
    elif isinstance(value, str):
        yield from _other_texts(value)
    elif isinstance(value, list) and value:
        yield OtherValue("empty", "", "is an empty list", lambda _: [])


def _other_texts(value: str) -> Iterator[OtherValue]:
    yield OtherValue("empty", "", "is empty", lambda _: "")
    if DATE_TIME.fullmatch(value):
        yield OtherValue("reformatted", "", "has no zone", lambda text: re.sub(r"([Zz]|[+-]\d\d:\d\d)$", "", text))
        yield OtherValue("reformatted", "http", "is an HTTP date", http_date)
        yield OtherValue("reformatted", "date", "is a day", lambda text: text[:10])
        yield OtherValue("reformatted", "blank", "has a blank and no zone", lambda text: f"{text[:10]} {text[11:19]}")
    elif URL_ORIGIN.match(value):
        yield OtherValue("reformatted", "", "is relative", lambda text: URL_ORIGIN.sub("", text) or "/")
        yield OtherValue("reformatted", "bare", "has no scheme", lambda text: text.partition("//")[2])
    else:
        yield OtherValue("new-word", "", f"is {value}_v2", lambda text: f"{text}_v2")
        if WORD.fullmatch(value):
            yield OtherValue("new-word", "cased", f"is {other_case(value)}", other_case)


def other_case(word: str) -> str:
    """Return a word in another case."""
    return word.upper() if word != word.upper() else word.lower()


def text_of(value: Any) -> str:
    """Return a value as text; in the place of an object or a list, some words."""
    if isinstance(value, dict | list):
        return "see elsewhere"
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def number_of(value: Any) -> float:
    """Return a number for a text: the one that it says, or a checksum."""
    if isinstance(value, str) and not re.fullmatch(r"-?\d{1,15}", value):
        return zlib.crc32(value.encode())
    return int(value) if isinstance(value, str | int | float) else 0


def seconds_of(value: Any) -> Any:
    """Return a date as seconds since 1970; another value as it is."""
    return datetime.fromisoformat(value.upper()).timestamp() if _is_date(value) else value


def http_date(value: Any) -> Any:
    """Return a date as HTTP writes it; another value as it is."""
    return f"{datetime.fromisoformat(value.upper()):%a, %d %b %Y %H:%M:%S} GMT" if _is_date(value) else value


def _is_date(value: Any) -> bool:
    return isinstance(value, str) and DATE_TIME.fullmatch(value) is not None


def first_of(value: Any) -> Any:
    """Return the first item of a list; another value, or nothing, as null."""
    return value[0] if isinstance(value, list) and value else None
