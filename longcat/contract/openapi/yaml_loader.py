"""Loads YAML as plain JSON values, with libyaml's parser. It is slow to import, and JSON does without it.

Scalars are resolved by the core schema of YAML 1.2 (section 10.3.2): only `true` and `false` are booleans, and nothing
is a date. Merge keys, which the schema does not have, are followed, as people use them.
"""

import re
from typing import Any, ClassVar, Final

import yaml  # type: ignore[import-untyped]

from longcat.contract.openapi.limits import MAX_DEPTH, MAX_VALUES

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


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Resolves scalars by the core schema, and refuses a mapping that has a name twice."""

    _merged = 0
    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}

    def flatten_mapping(self, node: Any) -> None:
        """Follow the merge keys of a mapping. Raises ConstructorError when a name is there twice."""
        names = set()
        for key, _ in node.value:
            if _name(key) in names:
                why = f"found duplicate key {key.value!r}"
                raise yaml.constructor.ConstructorError(None, None, why, key.start_mark)
            names.add(_name(key))
        self._merged += sum(map(_merged_by, node.value))
        if self._merged > MAX_VALUES:
            raise ValueError(_TOO_MUCH)
        super().flatten_mapping(node)
        # What was merged comes first, so that the mapping's own values win. Without this, it would grow ever more.
        node.value = [*{_name(key): (key, value) for key, value in node.value}.values()]

    def construct_yaml_int(self, node: Any) -> int:
        """Return a number: unlike YAML 1.1, the core schema has no octal numbers that begin with a bare zero."""
        text = self.construct_scalar(node)
        return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)


_Loader.add_constructor(f"{_TAG}int", _Loader.construct_yaml_int)
for _name_of_tag, (_pattern, _first) in _CORE_SCHEMA.items():
    _Loader.add_implicit_resolver(f"{_TAG}{_name_of_tag}", re.compile(f"(?:{_pattern})$"), [*_first])


def _merged_by(entry: tuple[Any, Any]) -> int:
    """Return how many values the merge key in an entry stands for. 0: it is none."""
    key, value = entry
    if key.tag != f"{_TAG}merge":
        return 0
    return sum(len(one.value) for one in (value.value if isinstance(value, yaml.SequenceNode) else [value]))


def _name(key: Any) -> tuple[str, str]:
    return key.tag, key.value if isinstance(key, yaml.ScalarNode) else str(id(key))


def load_yaml(text: str) -> Any:
    """Return the value in a text. What an alias stands for is the same object wherever it stands.

    Raises YAMLError or ValueError for what is no YAML, and RecursionError for what is nested too deeply.
    """
    depth = size = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        size += isinstance(event, yaml.NodeEvent)
        if depth > MAX_DEPTH:  # Far more would overflow the stack of libyaml's binding, and end the process.
            raise RecursionError
        if size > 2 * MAX_VALUES:  # Names are counted as well.
            raise ValueError(f"it holds more than {MAX_VALUES:,} values")
    value = yaml.load(text, Loader=_Loader)  # noqa: S506 - it is a safe one.
    if _size(value, {}) > MAX_VALUES:
        raise ValueError(_TOO_MUCH)
    return value


_TOO_MUCH: Final = f"its aliases stand for too much, for more than {MAX_VALUES:,} values"


def _size(value: Any, known: dict[int, int]) -> int:
    """Return how many values there are in a value, with its aliases written out."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        inner = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(one, known) for one in inner)
    return known[id(value)]
