"""Reads a YAML file one value at a time, in the memory that one value takes.

The parser is libyaml's. We take its events: nothing that a tag names is ever made, and it is five times as fast as to
take PyYAML's objects. What a value may hold is bounded with its aliases written out, so that a few lines of them can't
stand for gigabytes.
"""

import re
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import yaml  # type: ignore[import-untyped]

from longcat.contract.traffic.decoding import BrokenFileError, UnquotedText, UnreadableError, from_base64, from_text
from longcat.text import shorten

LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_COST: Final = 400_000
"""What a value may cost: one for each value within it, and one for each hundred characters."""
MAX_DEPTH: Final = 50
"""How deeply a value may be nested."""
MAX_SKIPPED_DEPTH: Final = 200
"""The same for what is skipped. libyaml takes a time that grows with the square of it."""
MAX_ANCHORS: Final = 100
"""How many values are remembered for aliases to them."""
MAX_SCALAR: Final = 40 * 1024 * 1024
"""How many bytes one value may take in the file."""

TEXTS: Final = frozenset({"!", "str", "timestamp", "python/str", "python/unicode"})
TYPED: Final = frozenset({f"{prefix}{name}" for prefix in ("", "python/") for name in ("int", "long", "float", "bool")})
BINARY_TAGS: Final = frozenset({"binary", "!binary", "python/bytes"})
"""Ruby writes its own tag, and not that of YAML."""
COLLECTIONS: Final = frozenset({"", "!", "map", "seq", "python/list", "python/dict", "python/tuple"})
PYTHON_OBJECTS: Final = {"python/object/new:_io.BytesIO": "state", "python/object/apply:builtins.iter": "args"}
"""The Python objects as which vcrpy may write a body, and in which field of each the body is."""
OF_RUBY: Final = re.compile(r"!(?:ruby/|str\b|map:|seq:|sym)")
"""Tags of Ruby, which name classes. What they stand for is plain text, lists and mappings, and is read as such."""
IN_RUBY: Final = {
    "!ruby/string": "str",
    "!ruby/object:String": "str",
    "!str": "str",
    "!ruby/hash-with-ivars": "elements",
}
"""Where the value is in the mapping of an object that has more than its value."""

_YAML: Final = "tag:yaml.org,2002:"
_UNQUOTED: Final = re.compile(
    r"true|false|[-+]?(?:0|[1-9][0-9]*|(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:e[-+][0-9]+)?)|[-+]?\.inf|\.nan",
    re.ASCII | re.IGNORECASE,
)
"""Numbers and booleans as both YAML 1.1 and 1.2 have them: PyYAML leaves a text such as `1e5` or `089` unquoted."""
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})


class _BoundedFile:
    """A file that can be read only so far before the parser finds an event in it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.taken = 0

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        self.taken += size
        if self.taken > MAX_SCALAR:
            raise BrokenFileError(f"has a value of more than {MAX_SCALAR // 1024**2} MiB; the rest can't be read")
        return self._file.read(size)


class YAMLStream:
    """A YAML file and a place in it. Values are made of text, bytes and None: numbers and dates stay text.

    What may be meant as a number or a boolean is an `UnquotedText`.

    Every method raises BrokenFileError when the rest of the file can't be read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = _BoundedFile(file)
        self._parser = LOADER(self._file)
        self._depth = 0
        self._cost = 0
        self._anchors: dict[str, tuple[Any, int]] = {}

    def documents(self) -> Iterator[None]:
        """Go to each document in the file."""
        while not isinstance(event := self._take(), yaml.StreamEndEvent):
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors.clear()
                yield

    def fields(self) -> Iterator[Any]:
        """Yield the name of each field of the mapping that comes next. The place is then before the field's value."""
        self._take()
        while not isinstance(self._look(), yaml.MappingEndEvent):
            yield self.value()
        self._take()

    def items(self) -> Iterator[None]:
        """Go to each item of the list that comes next."""
        self._take()
        while not isinstance(self._look(), yaml.SequenceEndEvent):
            yield
        self._take()

    def peek(self) -> str:
        """Return the bracket with which the next value would begin in JSON. Empty: it is a scalar."""
        event = self._look()
        return "[" if isinstance(event, yaml.SequenceStartEvent) else "{" * isinstance(event, yaml.MappingStartEvent)

    def value(self) -> Any:
        """Return the next value, or the UnreadableError that says why it can't be read, and go past it."""
        outside = self._depth
        self._cost = 0
        try:
            return self._value(self._take(), 0)
        except BrokenFileError:
            raise
        except UnreadableError as error:
            while self._depth > outside:
                self._take()
            return error

    def skip(self) -> None:
        """Go past the next value. What has an anchor in it is known to later aliases."""
        self.value()

    def _look(self) -> Any:
        """Return the next event, and stay before it."""
        self._file.taken = 0
        try:
            return self._parser.peek_event()
        except yaml.YAMLError as error:
            raise BrokenFileError(f"is not YAML: {_reason(error)}") from error

    def _take(self) -> Any:
        """Return the next event, and go past it."""
        event = self._look()
        self._parser.get_event()
        if isinstance(event, yaml.CollectionStartEvent):
            self._depth += 1
            if self._depth > MAX_SKIPPED_DEPTH:
                raise BrokenFileError("is nested too deeply; the rest can't be read")
        elif isinstance(event, yaml.CollectionEndEvent):
            self._depth -= 1
        return event

    def _value(self, event: Any, depth: int) -> Any:
        before = self._cost
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise UnreadableError(f"has an alias for nothing, {shorten(event.anchor)!r}")
            value, cost = self._anchors[event.anchor]
            self._spend(cost)
            return value
        self._spend(1)
        if depth > MAX_DEPTH:
            raise UnreadableError("is nested too deeply")
        if isinstance(event, yaml.ScalarEvent):
            self._spend(len(event.value) // 100)
            value = _scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = []
            while not isinstance(inner := self._take(), yaml.SequenceEndEvent):
                value.append(self._value(inner, depth + 1))
            value = _collection(event, value)
        else:
            value = _collection(event, self._mapping(depth + 1))
        if event.anchor:
            self._remember(event.anchor, value, self._cost - before)
        return value

    def _mapping(self, depth: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(inner := self._take(), yaml.MappingEndEvent):
            key = self._value(inner, depth)
            if isinstance(key, bytes):  # Ruby writes so what it does not know the encoding of.
                key = key.decode("utf-8", "surrogateescape")
            if not isinstance(key, str):
                raise UnreadableError("has a name that is not text")
            value = self._value(self._take(), depth)
            if key == "<<" and isinstance(value, dict):  # Its entries are those of this mapping (YAML 1.1).
                mapping = {**value, **mapping}
            else:
                mapping[key] = value
        return mapping

    def _spend(self, cost: int) -> None:
        self._cost += cost
        if self._cost > MAX_COST:
            raise UnreadableError("holds too much, perhaps through aliases that refer to aliases")

    def _remember(self, anchor: str, value: Any, cost: int) -> None:
        """Keep a value for its aliases, and drop the oldest ones when they grow too many."""
        self._anchors.pop(anchor, None)
        self._anchors[anchor] = value, cost
        while sum(cost for _, cost in self._anchors.values()) > MAX_COST or len(self._anchors) > MAX_ANCHORS:
            del self._anchors[next(iter(self._anchors))]


def _reason(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f" in line {mark.line + 1}" if mark is not None else ""
    return shorten(getattr(error, "problem", None) or getattr(error, "reason", None) or error) + where


def _scalar(event: Any) -> str | bytes | None:
    text: str = event.value
    tag = event.tag
    if not tag:
        if not event.implicit[0]:
            return text
        return None if text in _NULLS else UnquotedText(text) if _UNQUOTED.fullmatch(text) else text
    tag = tag.removeprefix(_YAML)
    if tag in BINARY_TAGS:
        return from_base64(text)
    if tag == "null":
        return None
    if tag in TYPED:
        return UnquotedText(text)
    if tag not in TEXTS and not OF_RUBY.match(tag):
        raise UnreadableError(f"has the tag {shorten(event.tag)!r}, which is not followed")
    return text


def _collection(event: Any, value: Any) -> Any:
    tag = (event.tag or "").removeprefix(_YAML)
    if tag in COLLECTIONS:
        return value
    if OF_RUBY.match(tag):
        inner = next((field for start, field in IN_RUBY.items() if tag.startswith(start)), None)
        return value[inner] if isinstance(value, dict) and inner in value else value
    if tag not in PYTHON_OBJECTS:
        raise UnreadableError(f"has the tag {shorten(event.tag)!r}, which is not followed")
    content = value.get(PYTHON_OBJECTS[tag]) if isinstance(value, dict) else None
    if not isinstance(content, list) or not content:
        raise UnreadableError(f"has a Python object without {PYTHON_OBJECTS[tag]!r}")
    return b"".join(map(_bytes_of, content[0])) if isinstance(content[0], list) else content[0]


def _bytes_of(piece: Any) -> bytes:
    if not isinstance(piece, str | bytes):
        raise UnreadableError("has a body in pieces that are neither text nor bytes")
    return from_text(piece) if isinstance(piece, str) else piece
