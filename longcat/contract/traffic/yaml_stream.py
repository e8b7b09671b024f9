"""Reads the long list in a YAML file item by item, in the memory that one item takes.

The parser is libyaml's, and it gives events, not objects: nothing that a tag names is ever made. What an item may hold
is bounded with its aliases written out, so that a few lines of them can't stand for gigabytes.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, BinaryIO, Final

import yaml  # type: ignore[import-untyped]

from longcat.contract.traffic.exchange import LostError, UnreadableError, from_base64
from longcat.contract.traffic.json_stream import BEGIN
from longcat.text import shorten

LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_COST: Final = 400_000
"""What an item may cost: one for each value in it, and one for each hundred characters."""
MAX_DEPTH: Final = 50
"""How deeply the values of an item may be nested."""
MAX_NESTING: Final = 200
"""The same for what is skipped. libyaml takes a time that grows with the square of it."""
MAX_ANCHORS: Final = 100
"""How many values are remembered for aliases to them."""
MAX_SCALAR: Final = 40 * 1024 * 1024
"""How many bytes one value may take in the file."""

_YAML: Final = "tag:yaml.org,2002:"
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})


def walk(
    file: BinaryIO, *, lists: Collection[str], values: Collection[str] = (), inside: Collection[str] = ()
) -> Iterator[tuple[str, Any]]:
    """Yield what the documents in the file hold, as `json_stream.walk` does.

    Scalars come as text, bytes or None; only those who ask know what number or date a text should be. Fields are not
    looked into: HAR files, which need it, are JSON.
    """
    del inside
    events = _Events(file)
    for event in events:
        if isinstance(event, yaml.SequenceStartEvent):
            yield from _items(events, "")
        elif isinstance(event, yaml.MappingStartEvent):
            yield from _fields(events, lists, values)


def _fields(events: "_Events", lists: Collection[str], values: Collection[str]) -> Iterator[tuple[str, Any]]:
    while not isinstance(key := next(events), yaml.MappingEndEvent):
        name = events.read(key)
        value = next(events)
        known = isinstance(name, str)
        if known and name in lists and isinstance(value, yaml.SequenceStartEvent):
            yield from _items(events, name)
        elif known and (name in values or name in lists):
            yield name, events.read(value)
        else:
            events.skip(value)


def _items(events: "_Events", name: str) -> Iterator[tuple[str, Any]]:
    yield name, BEGIN
    while not isinstance(event := next(events), yaml.SequenceEndEvent):
        yield name, events.read(event)


class _Measured:
    """A file that notices when it is read and read, and nothing comes of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.taken = 0

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        self.taken += size
        if self.taken > MAX_SCALAR:
            raise LostError(f"has a value of more than {MAX_SCALAR // 1024**2} MiB; the rest can't be read")
        return self._file.read(size)


class _Events:
    """The events of a file, and values made from them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = _Measured(file)
        self._events = yaml.parse(self._file, Loader=LOADER)
        self._depth = 0
        self._cost = 0
        self._anchors: dict[str, tuple[Any, int]] = {}

    def __iter__(self) -> "_Events":
        return self

    def __next__(self) -> Any:
        self._file.taken = 0
        try:
            event = next(self._events)
        except yaml.YAMLError as error:
            raise LostError(f"is not YAML: {_reason(error)}") from error
        self._depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if self._depth > MAX_NESTING:
            raise LostError("is nested too deeply; the rest can't be read")
        if isinstance(event, yaml.DocumentStartEvent):
            self._anchors.clear()
        return event

    def read(self, event: Any) -> Any:
        """Return the value that begins with this event, or the UnreadableError that says why it can't be read."""
        outside = self._depth - isinstance(event, yaml.CollectionStartEvent)
        self._cost = 0
        try:
            return self._value(event, 0)
        except LostError:
            raise
        except UnreadableError as error:
            self._leave(outside)
            return error

    def skip(self, event: Any) -> None:
        """Go past the value that begins with this event."""
        self._leave(self._depth - isinstance(event, yaml.CollectionStartEvent))

    def _leave(self, depth: int) -> None:
        while self._depth > depth:
            next(self)

    def _value(self, event: Any, depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent):
            value, cost = self._anchored(event)
            self._spend(cost)
            return value
        before = self._cost
        self._spend(1)
        if depth > MAX_DEPTH:
            raise UnreadableError("is nested too deeply")
        if isinstance(event, yaml.ScalarEvent):
            self._spend(len(event.value) // 100)
            value = _scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = []
            while not isinstance(inner := next(self), yaml.SequenceEndEvent):
                value.append(self._value(inner, depth + 1))
            value = _collection(event, value)
        else:
            value = {}
            while not isinstance(inner := next(self), yaml.MappingEndEvent):
                key = self._value(inner, depth + 1)
                if not isinstance(key, str):
                    raise UnreadableError("has a name that is not text")
                value[key] = self._value(next(self), depth + 1)
            value = _collection(event, value)
        if event.anchor:
            self._keep(event.anchor, value, self._cost - before)
        return value

    def _spend(self, cost: int) -> None:
        self._cost += cost
        if self._cost > MAX_COST:
            raise UnreadableError("holds too much, perhaps through aliases that refer to aliases")

    def _anchored(self, event: Any) -> tuple[Any, int]:
        try:
            return self._anchors[event.anchor]
        except KeyError:
            raise UnreadableError(f"has an alias for nothing, {shorten(event.anchor)!r}") from None

    def _keep(self, anchor: str, value: Any, cost: int) -> None:
        """Remember a value for its aliases, and forget the oldest ones when they grow too many."""
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
    tag = (event.tag or "").removeprefix(_YAML)
    if tag == "binary":
        return from_base64(text)
    if tag == "null" or (not tag and event.implicit[0] and text in _NULLS):
        return None
    if tag not in SCALARS:
        raise UnreadableError(f"has the tag {shorten(event.tag)!r}, which is not followed")
    return text


def _collection(event: Any, value: Any) -> Any:
    tag = (event.tag or "").removeprefix(_YAML)
    if tag not in COLLECTIONS:
        raise UnreadableError(f"has the tag {shorten(event.tag)!r}, which is not followed")
    return COLLECTIONS[tag](value)


def _first(name: str) -> Callable[[Any], Any]:
    """Return what finds the contents of a Python object that an old cassette holds."""

    def first(value: Any) -> Any:
        state = value.get(name) if isinstance(value, dict) else None
        if not isinstance(state, list) or not state:
            raise UnreadableError(f"has a Python object without {name!r}")
        return state[0]

    return first


def _same(value: Any) -> Any:
    return value


SCALARS: Final = frozenset({"", "!", "str", "int", "float", "bool", "timestamp", "python/str", "python/unicode"})
# Old versions of vcrpy wrote their requests, headers and bodies as Python objects. These are the ones that hold data.
COLLECTIONS: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("", "!", "map", "seq", "python/list", "python/dict", "python/tuple"), _same),
    "python/object:vcr.request.Request": _same,
    "python/object/apply:__builtin__.frozenset": lambda value: value[0] if len(value) == 1 else value,
    "python/object/apply:builtins.frozenset": lambda value: value[0] if len(value) == 1 else value,
    "python/object/new:_io.BytesIO": _first("state"),
    "python/object/apply:builtins.iter": _first("args"),
}
