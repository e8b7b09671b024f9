"""Finds out what became of the fields that an object should have: renamed, moved, or gone."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any, Final

from attrs import frozen

from longcat.contract.checks.mismatch import Mismatch, Path, show_value
from longcat.contract.openapi.limits import StepBudget
from longcat.contract.openapi.schema.fields import Fields
from longcat.contract.openapi.schema.schemas import Schemas
from longcat.contract.openapi.schema.variants import normal
from longcat.gateway.schema import MISSING
from longcat.text import words_of

MAX_SEARCH_DEPTH: Final = 4
"""How many levels down a missing field or an enveloped value is looked for."""
STEPS_PER_PAIR: Final = 5000
"""What it costs to compare two names, in steps of the validator."""
MAX_COMPARED_NAME: Final = 100
"""How many characters a name may have to be compared with another. A longer one is rather a text."""
SAME: Final = 3.0
"""How alike two names are that differ in nothing but case, separators and a plural. No other two are so alike."""
ALIKE: Final = 0.7
"""How similar two names must be, from 0 to 1, to be taken for one renamed."""
_LINKING: Final = frozenset({"at", "by", "in", "is", "of", "on", "to"})
"""Words that say little: `updated_at` is not `created_at`."""
_KINDS: Final = frozenset({"count", "date", "id", "ids", "key", "name", "number", "time", "type", "uri", "url"})
"""Words for a kind of value: `team_url` is not `search_url`."""


@frozen
class MissingField:
    """A field that should be there.

    Attributes:
        pointers: where its schemas stand.
        rule: where it is said that it must be there.
        expected: what its schemas want, in words.
        fields: the fields of the object that it is.
    """

    name: str
    pointers: tuple[str, ...]
    rule: str
    is_required: bool
    expected: str
    fields: Fields
    schemas: Schemas
    budget: StepBudget

    def fits(self, value: Any) -> bool:
        """Whether a value could be the field's."""
        return self.schemas.fits(self.pointers, value, self.budget)

    def mismatch(self, path: Path) -> Mismatch:
        """Return the difference that the field is not there, in an object at a path."""
        code = "field-missing" if self.is_required else "field-absent"
        return Mismatch(code, (*path, self.name), self.rule, self.expected, MISSING)


def match_fields(
    missing: Sequence[MissingField],
    unknown: Mapping[str, Any],
    owner: str,
    path: Path,
    compare: Callable[[tuple[str, ...], Any, Path], Iterable[Mismatch]],
) -> Iterator[Mismatch]:
    """Yield which missing field of an object is which unknown one, renamed or moved, and which are gone or new.

    `owner` is where a new field would be entered, and `compare` finds what differs in the value of a renamed one.
    """
    missing, unknown = list(missing), dict(unknown)
    for one, name in _renamed(missing, unknown):
        value = unknown.pop(name)
        missing.remove(one)
        where = one.pointers[0] if one.pointers else one.rule
        seen = f"named {name}: {show_value(value)}"
        yield Mismatch("field-renamed", (*path, name), where, f"named {one.name}", seen, value)
        yield from compare(one.pointers, value, (*path, name))
    for one, names in _flattened(missing, unknown):
        missing.remove(one)
        inner = {name: unknown.pop(name) for name in names}
        where = f"{', '.join(names)} inside of {one.name}"
        yield Mismatch("field-moved", (*path, names[0]), owner, where, show_value(inner), inner)
    for name, value in list(unknown.items()):
        moved = [one for one in missing if _is_inside(one, name, value, MAX_SEARCH_DEPTH)]
        if moved:
            missing = [one for one in missing if one not in moved]
            del unknown[name]
            where = f"{', '.join(one.name for one in moved)} outside of {name}"
            yield Mismatch("field-moved", (*path, name), owner, where, show_value(value), value)
    yield from (one.mismatch(path) for one in missing)
    for name, value in unknown.items():
        yield Mismatch("field-new", (*path, name), owner, "no such field", show_value(value), value)


def _renamed(missing: Sequence[MissingField], unknown: Mapping[str, Any]) -> Iterator[tuple[MissingField, str]]:
    """Yield which missing field is which unknown one, the surest first."""
    pairs = [(_likeness(one, name, value), one, name) for one in missing for name, value in unknown.items()]
    if len(pairs) == 1 and not pairs[0][0] and pairs[0][1].is_required:
        # One field is gone, one is new, and the new one could be the old one.
        _, one, name = pairs[0]
        if one.fits(unknown[name]):
            yield one, name
        return
    taken: set[tuple[str, str]] = set()
    for likeness, one, name in sorted(pairs, key=lambda pair: -pair[0]):
        both = {("old", one.name), ("new", name)}
        if likeness and taken.isdisjoint(both):
            taken |= both
            yield one, name


def _flattened(missing: Sequence[MissingField], unknown: Mapping[str, Any]) -> Iterator[tuple[MissingField, list[str]]]:
    """Yield which missing object's fields stand where the object itself should be."""
    for one in list(missing):
        inner = one.fields
        names = [
            name
            for name, pointers in inner.named.items()
            if name in unknown and one.schemas.fits(pointers, unknown[name], one.budget)
        ]
        if names and inner.required.keys() <= set(names):
            yield one, names


def _likeness(missing: MissingField, name: str, value: Any) -> float:
    """Return how sure it is that a missing field is now called `name`: 0, not at all, to `SAME`."""
    missing.budget.spend(STEPS_PER_PAIR)
    if max(len(missing.name), len(name)) > 4 * MAX_COMPARED_NAME:
        return 0.0  # Such a name is not kept.
    likeness = _likeness_of_names(missing.name, name)
    return likeness if likeness in (0.0, SAME) or missing.fits(value) else 0.0


@lru_cache(maxsize=8192)  # The same names are compared for each item of a list, and for each schema of a union.
def _likeness_of_names(old: str, new: str) -> float:
    """Return how sure it is that a field is now called `new`, if its value fits: 0, not at all, to `SAME`, anyway."""
    one, other = normal(old), normal(new)
    if one.rstrip("s") == other.rstrip("s"):
        return SAME
    if max(len(one), len(other)) > MAX_COMPARED_NAME:
        return 0.0
    ratio = SequenceMatcher(None, *_told_apart(old, new)).ratio()
    return 1.0 + ratio if ratio >= ALIKE or _share_a_word(old, new) else 0.0


def _share_a_word(old: str, new: str) -> bool:
    """Whether two names have a word in common that says what they are about.

    Those that many names end in do not, unless one of the names has no other.
    """
    one, other = (set(words_of(name)) - _LINKING for name in (old, new))
    shared = one & other
    return bool(shared - _KINDS) or (bool(shared) and (one <= other or other <= one))


def _told_apart(old: str, new: str) -> tuple[str, str]:
    """Return two names without the word for a kind of value in which both end, unless that is all of a name."""
    one, other = words_of(old), words_of(new)
    if len(one) > 1 and len(other) > 1 and one[-1] == other[-1] and one[-1] in _KINDS:
        one, other = one[:-1], other[:-1]
    return normal("".join(one)), normal("".join(other))


def _is_inside(missing: MissingField, outer: str, value: Any, depth: int) -> bool:
    """Whether a missing field, with a value that fits, is somewhere inside of the value of the field `outer`."""
    if isinstance(value, list):
        value = value[0] if value else None
    if depth == 0 or not isinstance(value, dict):
        return False
    for name, inner in value.items():
        # `result_url` may have become `url` in `result`.
        is_like = normal(outer + name) == normal(missing.name) or _likeness(missing, name, inner)
        if is_like and missing.fits(inner):
            return True
    return any(_is_inside(missing, name, inner, depth - 1) for name, inner in value.items())


def unwrapped(value: Any, path: Path = (), depth: int = MAX_SEARCH_DEPTH) -> Iterator[tuple[Path, Any]]:
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
