"""Finds how a value of a request breaks its schema, which is read openly: fields that it does not list may come."""

from collections.abc import Mapping
from typing import Any, Final

from longcat.contract.checks.comparison import Comparison
from longcat.contract.checks.mismatch import Mismatch, Path, show_value
from longcat.text.pointer import at, join

_ADDITIVE: Final = frozenset({"field-new", "field-absent"})


def breaking(comparison: Comparison, schema: str, value: Any) -> list[Mismatch]:
    """Return how a value breaks the schema at a pointer. Empty: it does not."""
    if comparison.allows(schema, value):
        return []
    wrong = [one for one in comparison.compare(schema, value) if _is_broken(comparison, schema, value, one)]
    failure = comparison.failure(schema, value)
    if wrong or failure is None:
        return wrong
    path = tuple(reversed(failure.path))
    return [Mismatch("validation-lost", path, failure.pointer, failure.expected, show_value(at(value, join(path))))]


def _is_broken(comparison: Comparison, schema: str, value: Any, mismatch: Mismatch) -> bool:
    """Whether the validator agrees with a mismatch. A field that is not listed breaks only a schema that forbids it."""
    if mismatch.code in _ADDITIVE:
        owner = comparison.schemas.at(mismatch.rule)
        names = ("additionalProperties", "unevaluatedProperties")
        return isinstance(owner, Mapping) and any(owner.get(name) is False for name in names)
    return _breaks(comparison, schema, value, mismatch.path)


def _breaks(comparison: Comparison, schema: str, value: Any, path: Path) -> bool:
    """Whether every value on the way to a place breaks its schema, as it does if what stands there is wrong.

    One does not if the comparison has chosen another variant of a schema than the one that was meant.
    """
    pointers: tuple[str, ...] = (schema,)
    for part in path:
        if comparison.fits(pointers, value):
            return False
        pointers = comparison.inner(pointers, value)(part)
        try:
            value = value[part]
        except (LookupError, TypeError):
            return True  # It is missing.
        if not pointers:
            return True
    return not comparison.fits(pointers, value)
