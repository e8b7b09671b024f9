"""Reads a body by its media type: as JSON, many values of JSON in a row, the events of a stream, a form, or text.

Nothing else is judged: see `UNJUDGED`.
"""

import re
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from functools import lru_cache
from typing import Final

from attrs import frozen

from longcat.contract.openapi.operation import is_json
from longcat.text import shorten, without_queries


class MediaKind(Enum):
    """The format that a body is to be read in."""

    JSON = auto()
    LINES = auto()
    """Many values of JSON, each on a line of its own."""
    RECORDS = auto()
    """Many values of JSON, each after a record separator (RFC 7464)."""
    EVENTS = auto()
    """Events that a server sends one by one (WHATWG, "Server-sent events")."""
    FORM = auto()
    TEXT = auto()
    OTHER = auto()
    """It is not judged."""


KINDS_IN_ROWS: Final = frozenset({MediaKind.EVENTS, MediaKind.LINES, MediaKind.RECORDS})
"""What holds any number of values in a row, and so may hold none."""
UNJUDGED: Final = "a body of {} is not judged"
DONE: Final = "[DONE]"
"""What many services send as the last event of a stream. It is no JSON, and no part of any contract."""
_LINES: Final = re.compile(r"application/((x-)?(ndjson|jsonl|jsonlines|json-lines|json-stream)|stream\+json)|.*\+jsonl")
_RECORDS: Final = re.compile(r".*[/+]json-seq")
_NO_TEXT: Final = frozenset({"text/xml", "text/csv", "text/tab-separated-values"})
_RECORD_SEPARATOR: Final = "\x1e"
_LINE_ENDS: Final = re.compile(r"\r\n|\n|\r")
_EVENT_FIELDS: Final = frozenset({"event", "id", "retry"})


@lru_cache(maxsize=256)  # The same few come again with every exchange.
def kind_of(media_type: str) -> MediaKind:
    """Return what a body of a media type, in lower case and without parameters, is to be read as."""
    if _LINES.fullmatch(media_type):
        return MediaKind.LINES
    if _RECORDS.fullmatch(media_type):
        return MediaKind.RECORDS
    if media_type == "text/event-stream":
        return MediaKind.EVENTS
    if media_type == "application/x-www-form-urlencoded":
        return MediaKind.FORM
    if is_json(media_type):
        return MediaKind.JSON
    is_text = media_type.startswith("text/") and media_type not in _NO_TEXT and not media_type.endswith("+xml")
    return MediaKind.TEXT if is_text else MediaKind.OTHER


def unjudged(media_type: str) -> str:
    """Return why a body of a media type was not judged, in words."""
    return UNJUDGED.format(shorten(without_queries(media_type), 80) or "an unknown type")


# --- Values in a row.


def records(kind: MediaKind, text: str) -> list[str]:
    """Return the texts of the values in a body of lines or of records."""
    parts = text.split(_RECORD_SEPARATOR) if kind is MediaKind.RECORDS else _LINE_ENDS.split(text)
    return [part for part in parts if part.strip()]


@frozen
class StreamEvent:
    """One event of a stream.

    Attributes:
        data: its lines, joined. None: it has none, so that a browser would not tell of it.
        fields: all other fields, such as `event` and `id`.
        is_whole: whether an empty line ends it. One without may be cut.
    """

    data: str | None
    fields: Mapping[str, str]
    is_whole: bool

    @property
    def is_end(self) -> bool:
        """Whether it says that the stream is over."""
        return self.data is not None and self.data.strip() == DONE

    @property
    def is_telling(self) -> bool:
        """Whether it has data: what has none, or an empty one, keeps the connection open."""
        return self.data is not None and bool(self.data.strip()) and not self.is_end


def read_events(text: str) -> Iterator[StreamEvent]:
    """Yield the events in a stream. A line that begins with a colon is a comment, and says nothing."""
    data: list[str] = []
    fields: dict[str, str] = {}
    for line in (*_LINE_ENDS.split(text.removeprefix("\ufeff")), None):
        if not line:
            if data or fields:
                yield StreamEvent("\n".join(data) if data else None, fields, is_whole=line is not None)
            data, fields = [], {}
            continue
        name, _, value = line.partition(":")
        if name == "data":
            data.append(value.removeprefix(" "))
        elif name in _EVENT_FIELDS:
            fields[name] = value.removeprefix(" ")
