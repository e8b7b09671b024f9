"""The fields of an object: those that its schemas name, and how they might have moved or been renamed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Final, Protocol

from attrs import Factory, define, frozen

from longcat.contract.checks.mismatch import MISSING, Mismatch, Path, seen
from longcat.contract.openapi.schemas import Schemas
from longcat.contract.openapi.variants import normal
from longcat.pointer import escape

DEEPEST: Final = 4
"""How many levels down a lost field or an enveloped value is looked for."""
ALIKE: Final = 0.7
"""How similar two names must be, from 0 to 1, to be taken for one renamed."""


@define
class Fields:
    """What several schemas together say about an object's fields.

    Attributes:
        named: for each field, where its schemas stand.
        required: for each field that must be there, where that is said.
        is_closed: whether any other field is new.
        owner: where a new field would be entered: the last of the schemas that name fields, as it is the most special.
        patterns: for each pattern of names, where the schema of such fields stands.
        others: where the schemas of all other fields stand.
    """

    named: dict[str, list[str]] = Factory(dict)
    required: dict[str, str] = Factory(dict)
    is_closed: bool = False
    owner: str = ""
    patterns: dict[str, str] = Factory(dict)
    others: list[str] = Factory(list)

    @classmethod
    def of(cls, schemas: Schemas, pointers: Sequence[str]) -> "Fields":
        """Return what the schemas at these pointers say."""
        fields, is_open = cls(), False
        for pointer in pointers:
            schema = schemas.at(pointer)
            if not isinstance(schema, Mapping):
                continue
            for name in schema.get("properties", ()):
                fields.named.setdefault(name, []).append(f"{pointer}/properties/{escape(name)}")
            for pattern in schema.get("patternProperties", ()):
                fields.patterns[pattern] = f"{pointer}/patternProperties/{escape(pattern)}"
            for name in schema.get("required", ()):
                fields.required.setdefault(name, f"{pointer}/required")
            others = schema.get("additionalProperties")
            if isinstance(others, dict) and others:
                fields.others.append(f"{pointer}/additionalProperties")
            is_open |= others is True or others == {} or schema.get("unevaluatedProperties") is True
            fields.is_closed |= bool(schema.get("properties")) or others is False
            fields.owner = pointer if schema.get("properties") else fields.owner
        fields.is_closed = fields.is_closed and not is_open
        fields.owner = fields.owner or pointers[0]
        return fields

    def places(self, name: str) -> list[str]:
        """Return where the schemas of a field stand; of a field that is not named, there may be some as well."""
        found = [*self.named.get(name, ()), *(place for one, place in self.patterns.items() if _matches(one, name))]
        return found or self.others


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:  # The contract's patterns are ECMAScript's, and Python's differ in rare things.
        return True


@frozen
class Lost:
    """A field that should be there and is not: where its schemas stand, and where it is said that it must be there."""

    name: str
    places: tuple[str, ...]
    rule: str
    is_required: bool


class Asked(Protocol):
    """What can be asked about a value at some place in the contract."""

    def fits(self, places: Sequence[str], value: Any) -> bool:
        """Whether a value fits all schemas at these pointers."""

    def inside(self, places: Sequence[str], value: Any, path: Path) -> Iterator[Mismatch]:
        """Yield how a value differs from the schemas at these pointers."""

    def fields_of(self, places: Sequence[str], value: Any) -> Fields:
        """Return what the schemas at these pointers say about the fields of a value."""

    def words_for(self, places: Sequence[str]) -> str:
        """Return what the schemas at these pointers want."""


def explain(asked: Asked, fields: Fields, lost: list[Lost], unknown: dict[str, Any], path: Path) -> Iterator[Mismatch]:
    """Yield what became of the lost and whence come the unknown fields of one object: renamed, moved, gone or new."""
    lost, unknown = list(lost), dict(unknown)
    for one, name in _renamed(asked, lost, unknown):
        value = unknown.pop(name)
        lost.remove(one)
        where = one.places[0] if one.places else one.rule
        yield Mismatch(
            "field-renamed", (*path, name), where, f"named {one.name}", f"named {name}: {seen(value)}", value
        )
        yield from asked.inside(one.places, value, (*path, name))
    for one, names in _flattened(asked, lost, unknown):
        lost.remove(one)
        inner = {name: unknown.pop(name) for name in names}
        where = f"{', '.join(names)} inside of {one.name}"
        yield Mismatch("field-moved", (*path, names[0]), fields.owner, where, seen(inner), inner)
    for name, value in list(unknown.items()):
        moved = [one for one in lost if _is_inside(asked, one, name, value, DEEPEST)]
        if moved:
            lost = [one for one in lost if one not in moved]
            del unknown[name]
            where = f"{', '.join(one.name for one in moved)} outside of {name}"
            yield Mismatch("field-moved", (*path, name), fields.owner, where, seen(value), value)
    for one in lost:
        code = "field-missing" if one.is_required else "field-absent"
        yield Mismatch(code, (*path, one.name), one.rule, asked.words_for(one.places), MISSING)
    for name, value in unknown.items():
        yield Mismatch("field-new", (*path, name), fields.owner, "no such field", seen(value), value)


def _renamed(asked: Asked, lost: list[Lost], unknown: dict[str, Any]) -> Iterator[tuple[Lost, str]]:
    """Yield which lost field is which unknown one, the surest first."""
    pairs = [(_likeness(asked, one, name, value), one, name) for one in lost for name, value in unknown.items()]
    if not [pair for pair in pairs if pair[0]] and len(pairs) == 1 and pairs[0][1].is_required:
        # One field is gone, one is new, and the new one could be the old one.
        _, one, name = pairs[0]
        if asked.fits(one.places, unknown[name]):
            yield one, name
        return
    taken: set[str] = set()
    for likeness, one, name in sorted(pairs, key=lambda pair: -pair[0]):
        if likeness and not taken & {f"lost {one.name}", f"new {name}"}:
            taken |= {f"lost {one.name}", f"new {name}"}
            yield one, name


def _flattened(asked: Asked, lost: list[Lost], unknown: dict[str, Any]) -> Iterator[tuple[Lost, list[str]]]:
    """Yield which lost object's fields stand where the object itself should be."""
    for one in list(lost):
        inner = asked.fields_of(one.places, {}) if one.places else Fields()
        names = [name for name, value in unknown.items() if asked.fits(inner.named.get(name, ()), value)]
        if names and inner.required.keys() <= set(names):
            yield one, names


def _likeness(asked: Asked, lost: Lost, name: str, value: Any) -> float:
    """Return how sure it is that a lost field is now called `name`: 0, not at all, to 2."""
    old, new = normal(lost.name), normal(name)
    if old.rstrip("s") == new.rstrip("s"):
        return 2.0
    if not asked.fits(lost.places, value):
        return 0.0
    ratio = SequenceMatcher(None, old, new).ratio()
    shared = _tokens(lost.name) & _tokens(name)
    return 1.0 + ratio if ratio >= ALIKE or shared else 0.0


def _tokens(name: str) -> set[str]:
    """Return the words that a name is made of, without those that say little: `updated_at` is not `created_at`."""
    found = {word.casefold() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}
    return found - {"at", "by", "in", "is", "of", "on", "to"}


def _is_inside(asked: Asked, lost: Lost, outer: str, value: Any, depth: int) -> bool:
    """Whether a lost field, with a value that fits, is somewhere inside of the value of the field `outer`."""
    if isinstance(value, list):
        value = value[0] if value else None
    if depth == 0 or not isinstance(value, dict):
        return False
    for name, inner in value.items():
        # `result_url` may have become `url` in `result`.
        is_like = normal(outer + name) == normal(lost.name) or _likeness(asked, lost, name, inner)
        if is_like and asked.fits(lost.places, inner):
            return True
    return any(_is_inside(asked, lost, name, inner, depth - 1) for name, inner in value.items())


def unwrapped(value: Any, path: Path = (), depth: int = DEEPEST) -> Iterator[tuple[Path, Any]]:
    """Yield every object and list inside of a value, with the path to it, the outermost first."""
    inner: list[tuple[Path, Any]] = []
    if isinstance(value, dict):
        inner = [((*path, name), one) for name, one in value.items()]
    elif isinstance(value, list):
        inner = [((*path, index), one) for index, one in enumerate(value[:1])]
    for where, one in inner:
        if isinstance(one, dict | list):
            yield where, one
    for where, one in inner if depth else ():
        yield from unwrapped(one, where, depth - 1)
