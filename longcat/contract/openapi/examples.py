"""The values that a contract shows at one place, and what is always so in them."""

from collections.abc import Callable, Hashable
from typing import Any, Final

from attrs import field, frozen

from longcat.contract.lazy import cached_property

MAX_SELECTIONS: Final = 1000
"""How many selections are kept: of an `anyOf` with many parts, hostile traffic could choose more than fit in memory."""


@frozen(eq=False)
class Examples:
    """The values that a contract shows at one place. What is derived from them is kept: every exchange asks for it."""

    values: tuple[Any, ...] = ()
    _selections: dict[Hashable, "Examples"] = field(factory=dict, init=False, repr=False)

    def select(self, key: Hashable, is_alike: Callable[[Any], bool]) -> "Examples":
        """Return the values for which a condition holds. The key must name the condition."""
        if key not in self._selections:
            if len(self._selections) >= MAX_SELECTIONS:
                self._selections.clear()
            self._selections[key] = Examples(tuple(filter(is_alike, self.values)))
        return self._selections[key]

    def field(self, name: str) -> "Examples":
        """Return the values of a field, of those objects that have it."""
        return self._fields.get(name, NO_EXAMPLES)

    @cached_property
    def _fields(self) -> dict[str, "Examples"]:
        objects = [one for one in self.values if isinstance(one, dict)]
        names = dict.fromkeys(name for one in objects for name in one)
        return {name: Examples(tuple(one[name] for one in objects if name in one)) for name in names}

    @cached_property
    def items(self) -> "Examples":
        """The items of all lists."""
        return Examples(tuple(item for one in self.values if isinstance(one, list) for item in one))

    @cached_property
    def always(self) -> frozenset[str]:
        """The fields that every one of the objects has."""
        names = [frozenset(one) for one in self.values if isinstance(one, dict)]
        return frozenset.intersection(*names) if names else frozenset()

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The texts; none if one of them is blank."""
        found = tuple(one for one in self.values if isinstance(one, str))
        return found if all(one.strip() for one in found) else ()

    @cached_property
    def schemes(self) -> tuple[str, ...]:
        """The beginnings of the texts, in their order, if they are addresses."""
        return tuple(sorted({scheme_of(one) for one in self.texts}))


def scheme_of(address: str) -> str:
    """Return the scheme of an address, in lower case."""
    return address.partition(":")[0].lower()


NO_EXAMPLES: Final = Examples()
