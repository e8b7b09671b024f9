"""Loads YAML as plain JSON values, with libyaml's parser. It is slow to import, and JSON does without it.

Scalars are resolved by the core schema of YAML 1.2 (section 10.3.2): only `true` and `false` are booleans, and nothing
is a date. Merge keys, which the schema does not have, are followed, as people use them. The values are made out of the
parser's events, which takes a third of the time that PyYAML's own constructors take.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import yaml  # type: ignore[import-untyped]
from attrs import Factory, define

from longcat.contract.openapi.limits import MAX_SPEC_DEPTH, MAX_SPEC_VALUES

_TAG: Final = "tag:yaml.org,2002:"
_CORE_SCHEMA: Final = {
    "null": ("~|null|Null|NULL|", ["", *"~nN"]),
    "bool": ("true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": ("[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "merge": ("<<", "<"),
}
"""For each tag, a pattern of its plain scalars and what they may begin with."""
_PATTERNS: Final = {tag: re.compile(f"(?:{pattern})$") for tag, (pattern, _) in _CORE_SCHEMA.items()}
_BY_START: Final = {
    start: [tag for tag, (_, starts) in _CORE_SCHEMA.items() if start in starts]
    for _, starts in _CORE_SCHEMA.values()
    for start in starts
}
_TOO_MUCH: Final = f"its aliases stand for too much, for more than {MAX_SPEC_VALUES:,} values"
_MERGE: Final = object()
"""The key of a mapping that others are merged into."""


@define
class _Collection:
    """A mapping or a list that is being read, and for a mapping the key whose value comes next."""

    value: Any
    mark: Any
    merged: list[Any] = Factory(list)
    key: Any = None
    has_key: bool = False


def load_yaml(text: str, *, strict: bool = False) -> Any:
    """Return the value in a text. What an alias stands for is the same object wherever it stands.

    Of a name that a mapping has twice, the last one counts; strict: it is refused. Raises YAMLError or ValueError for
    what is no YAML, and RecursionError for what is nested too deeply.
    """
    value = _Builder(strict).build(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    if _size(value, {}) > MAX_SPEC_VALUES:
        raise ValueError(_TOO_MUCH)
    return value


@define
class _Builder:
    """Makes a value out of the events of a parser."""

    _strict: bool
    _anchors: dict[str, Any] = Factory(dict)
    _open: list[_Collection] = Factory(list)
    _result: list[Any] = Factory(list)
    _size: int = 0
    _merged: int = 0

    def build(self, events: Iterator[Any]) -> Any:
        """Return the value."""
        for event in events:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._add(self._scalar(event), event)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._begin(event, {} if kind is yaml.MappingStartEvent else [])
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._end()
            elif kind is yaml.AliasEvent:
                if event.anchor not in self._anchors:
                    raise _error(f"found undefined alias {event.anchor!r}", event.start_mark)
                self._add(self._anchors[event.anchor], event)
            elif kind is yaml.DocumentStartEvent and self._result:
                raise _error("expected a single document, but found another one", event.start_mark)
        return self._result[0] if self._result else None

    def _begin(self, event: Any, value: Any) -> None:
        if event.tag is not None and event.tag not in {"!", f"{_TAG}map" if value == {} else f"{_TAG}seq"}:
            raise _error(f"could not determine a constructor for the tag {event.tag!r}", event.start_mark)
        if len(self._open) >= MAX_SPEC_DEPTH:  # Far more would overflow the stack of what walks through it.
            raise RecursionError
        self._add(value, event)
        self._open.append(_Collection(value, event.start_mark))

    def _end(self) -> None:
        ended = self._open.pop()
        if not ended.merged:
            return
        # What was merged comes first, so that the mapping's own values win, and of the others the first.
        others = [other for one in ended.merged for other in (one if isinstance(one, list) else [one])]
        if not all(isinstance(other, dict) for other in others):
            raise _error("expected a mapping or a list of mappings for merging", ended.mark)
        self._merged += sum(map(len, others))
        if self._merged > MAX_SPEC_VALUES:
            raise ValueError(_TOO_MUCH)
        own = dict(ended.value)
        ended.value.clear()
        for other in reversed(others):
            ended.value.update(other)
        ended.value.update(own)

    def _add(self, value: Any, event: Any) -> None:
        """Add a value to the collection that is being read."""
        self._size += 1
        if self._size > 2 * MAX_SPEC_VALUES:  # Names are counted as well.
            raise ValueError(f"it holds more than {MAX_SPEC_VALUES:,} values")
        if getattr(event, "anchor", None) and type(event) is not yaml.AliasEvent:
            self._anchors[event.anchor] = value
        if not self._open:
            self._result.append(value)
            return
        above = self._open[-1]
        if type(above.value) is list:
            above.value.append(None if value is _MERGE else value)
        elif not above.has_key:
            self._key(above, value, event)
        else:
            above.has_key = False
            if above.key is _MERGE:
                above.merged.append(value)
            else:
                above.value[above.key] = None if value is _MERGE else value

    def _key(self, above: _Collection, value: Any, event: Any) -> None:
        if isinstance(value, dict | list):
            raise _error("found unhashable key", event.start_mark)
        above.has_key, above.key = True, value if value is _MERGE else key_name(value)
        if self._strict and (above.key in above.value):
            raise _error(f"found duplicate key {above.key!r}", event.start_mark)

    def _scalar(self, event: Any) -> Any:
        plain, quoted = event.implicit
        if plain:
            tags = _BY_START.get(event.value[:1], ())
            tag = next((one for one in tags if _PATTERNS[one].match(event.value)), "str")
        elif quoted or event.tag == "!":
            tag = "str"
        else:
            tag = event.tag.removeprefix(_TAG)
        try:
            return _CONSTRUCTORS[tag](event.value)
        except (KeyError, ValueError):
            if tag in _CONSTRUCTORS and plain:
                raise  # A number of more digits than Python reads.
            why = f"could not determine a constructor for the tag {event.tag!r}"
            raise _error(why, event.start_mark) from None


def key_name(key: Any) -> str:
    """Return a key of a mapping in YAML, such as a number, as JSON has it."""
    return str(key).lower() if isinstance(key, bool) else str(key)


def _integer(text: str) -> int:
    """Return a number: unlike YAML 1.1, the core schema has no octal numbers that begin with a bare zero."""
    return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_CONSTRUCTORS: Final[Mapping[str, Callable[[str], Any]]] = {
    "str": str,
    "null": lambda _: None,
    "bool": lambda text: text.lower() == "true",
    "int": _integer,
    "float": _float,
    "merge": lambda _: _MERGE,
}


def _error(problem: str, mark: Any) -> Exception:
    error: Exception = yaml.constructor.ConstructorError(None, None, problem, mark)
    return error


def _size(value: Any, known: dict[int, int]) -> int:
    """Return how many values there are in a value, with its aliases written out."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        inner = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(one, known) for one in inner)
    return known[id(value)]
