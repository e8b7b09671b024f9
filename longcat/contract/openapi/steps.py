"""How many steps a validator takes at most to hold a value against a schema.

A few lines of `allOf` and `$ref` can apply a schema to one value a thousand million times, and a validator in Rust
can't be stopped. So the steps are counted here before it is asked. Schemas that a schema applies to the same value (by
`$ref`, `allOf`, `anyOf`, `oneOf`, `not`, `if`, `dependentSchemas`) multiply at once; those of fields and items multiply
with each level of the value.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf
from typing import Any, Final, TypeAlias

from attrs import Factory, define

from longcat.contract.openapi.document import Node, follow
from longcat.contract.openapi.limits import UnjudgeableError
from longcat.pointer import escape

MAX_APPLIED: Final = 10_000
"""How many times schemas may be applied to one value by a schema, itself included."""
MAX_CHAIN: Final = 100
"""How many schemas may apply each other to the same value, one the next."""
MAX_VISITS: Final = 1_000_000
"""How many schemas are visited at most to find out what the schemas of one document apply."""
MAX_KEPT: Final = 300_000
"""How many counts are kept."""
BACKTRACKING: Final = 1000
"""What a pattern that needs backtracking counts as. All others take a time that grows with the length of the text."""

_BACKTRACKS: Final = re.compile(r"\(\?[=!<]|\\[1-9k]")
_PARTS: Final = ("allOf", "anyOf", "oneOf")
_WHOLES: Final = ("not", "if", "then", "else")
APPLICATORS: Final = frozenset({"$ref", "dependentSchemas", *_PARTS, *_WHOLES})
"""The keywords by which a schema applies others to the same value."""
_OF_FIELDS: Final = frozenset({"additionalProperties", "unevaluatedProperties", "propertyNames"})
_INSIDE: Final = _OF_FIELDS | {"items", "contains", "unevaluatedItems"}
_Children: TypeAlias = dict[str, int]
"""Where schemas of inner values stand, and how often each is applied."""


class TooManyStepsError(UnjudgeableError):
    """A schema applies too many others to a value. The message says how many are allowed."""


@define
class _Applied:
    """What a schema comes to for one value.

    Attributes:
        steps: how many schemas are applied to the value itself.
        named: for each name of a field, and for each index, the schemas that are applied to that one.
        fields: the schemas that are applied to any field.
        items: the schemas that are applied to any item.
    """

    steps: int = 0
    named: dict[str | int, _Children] = Factory(dict)
    fields: _Children = Factory(dict)
    items: _Children = Factory(dict)


class Steps:
    """Counts the steps for the schemas of one document."""

    def __init__(self, document: Node, at: Callable[[str], Any]) -> None:
        self._document = document
        self._at = at
        self._visits = 0
        self._in_place: dict[str, Counter[str]] = {}
        self._applied: dict[str, _Applied] = {}
        self._most: dict[tuple[str, int], int] = {}

    def check(self, pointer: str) -> None:
        """Raise TooManyStepsError for a schema that applies too many others to the same value, or in too long a row."""
        if self._schemas(pointer).total() > MAX_APPLIED:
            raise TooManyStepsError(
                f"by $ref, allOf, anyOf, oneOf, not and if, it applies more than {MAX_APPLIED:,} schemas to one value"
            )

    def most(self, pointer: str, levels: int) -> int:
        """Return how often schemas are applied at most to a value of so many levels, per value in it.

        Raises UnjudgeableError when that can't be found out within bounds.
        """
        if (pointer, levels) in self._most:
            return self._most[pointer, levels]
        if len(self._most) > MAX_KEPT:
            self._most.clear()
            raise UnjudgeableError("it can't be judged: it is nested deeply, and its schemas refer to too many others")
        applied = self._of(pointer)
        steps = applied.steps
        if levels:
            inner = levels - 1
            of_name = max(
                (self._sum(one, inner) for name, one in applied.named.items() if isinstance(name, str)), default=0
            )
            of_index = max(
                (self._sum(one, inner) for name, one in applied.named.items() if isinstance(name, int)), default=0
            )
            steps += max(of_name + self._sum(applied.fields, inner), of_index + self._sum(applied.items, inner))
        self._most[pointer, levels] = steps
        return steps

    def _sum(self, children: _Children, levels: int) -> int:
        return sum([times * self.most(pointer, levels) for pointer, times in children.items()])

    def _of(self, pointer: str) -> _Applied:
        """Return what the schema at a pointer comes to."""
        if pointer not in self._applied:
            self._applied[pointer] = found = _Applied()
            for one, times in self._schemas(pointer).items():
                self._enter(found, one, times)
        return self._applied[pointer]

    def _enter(self, found: _Applied, pointer: str, times: int) -> None:
        """Enter one schema, without those that it applies to the same value."""
        schema = self._at(pointer)
        found.steps += times
        if not isinstance(schema, Mapping):
            return
        if isinstance(schema.get("pattern"), str) and _BACKTRACKS.search(schema["pattern"]):
            found.steps += times * BACKTRACKING

        def add(children: _Children, where: str) -> None:
            children[where] = children.get(where, 0) + times

        for name in _names(schema, "properties"):
            add(found.named.setdefault(name, {}), f"{pointer}/properties/{escape(name)}")
        for index in _indexes(schema, "prefixItems"):
            add(found.named.setdefault(index, {}), f"{pointer}/prefixItems/{index}")
        for pattern in _names(schema, "patternProperties"):
            found.steps += times * BACKTRACKING * bool(_BACKTRACKS.search(pattern))
            add(found.fields, f"{pointer}/patternProperties/{escape(pattern)}")
        for keyword in _INSIDE & schema.keys():
            add(found.fields if keyword in _OF_FIELDS else found.items, f"{pointer}/{keyword}")

    # --- What is applied to the same value.

    def _schemas(self, pointer: str) -> Counter[str]:
        """Return all schemas that the one at a pointer applies to the same value, and how often. Raises the error."""
        if pointer not in self._in_place:
            self._in_place[pointer] = self._visit(pointer, {})[0]
        return self._in_place[pointer]

    def _visit(self, pointer: str, above: dict[str, int]) -> tuple[Counter[str], float]:
        """Return the same, and the least depth of a schema above that this one leads back to.

        A validator stops where a schema leads back to itself. What it comes to then depends on what is above, and can't
        be kept.
        """
        if pointer in self._in_place:
            return self._in_place[pointer], inf
        if pointer in above:
            return Counter(), above[pointer]
        depth, least = len(above), inf
        self._visits += 1
        if depth > MAX_CHAIN or self._visits > MAX_VISITS:
            raise TooManyStepsError(
                f"by $ref, allOf, anyOf, oneOf, not and if, more than {MAX_CHAIN} schemas apply each other to one value"
                if depth > MAX_CHAIN
                else f"its schemas refer to each other in more than {MAX_VISITS:,} ways"
            )
        above[pointer] = depth
        found = Counter([pointer])
        for one in self._children(pointer):
            inner, back = self._visit(one, above)
            found.update(inner)
            least = min(least, back)
        del above[pointer]
        schema = self._at(pointer)
        if isinstance(schema, Mapping) and ("unevaluatedProperties" in schema or "unevaluatedItems" in schema):
            found.update(found)  # To see what was evaluated, everything is evaluated once more.
        if least >= depth:
            self._in_place[pointer], least = found, inf
        return found, least

    def _children(self, pointer: str) -> Iterator[str]:
        schema = self._at(pointer)
        if not isinstance(schema, Mapping):
            return
        if isinstance(schema.get("$ref"), str):
            yield follow(self._document, {"$ref": schema["$ref"]}, "")[1]
        for keyword in _PARTS:
            yield from (f"{pointer}/{keyword}/{index}" for index in _indexes(schema, keyword))
        yield from (f"{pointer}/{keyword}" for keyword in _WHOLES if keyword in schema)
        yield from (f"{pointer}/dependentSchemas/{escape(name)}" for name in _names(schema, "dependentSchemas"))


# A keyword may stand in what is no schema, where it is anything.


def _names(schema: Node, keyword: str) -> Iterable[str]:
    names: Any = schema.get(keyword)
    return names if isinstance(names, dict) else ()


def _indexes(schema: Node, keyword: str) -> range:
    parts: Any = schema.get(keyword)
    return range(len(parts)) if isinstance(parts, list) else range(0)
