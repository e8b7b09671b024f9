"""The result of a coverage: how much of each kind was seen, and each item with what was seen of it.

The denominators follow from the contract alone: every item counts one, whatever was seen, and the percentage is that of
all items together. Beyond `items.MAX_BODY_ITEMS`, what is deeper in a body does not count.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from attrs import Factory, define, evolve, field, frozen

from longcat.contract.coverage.collect import Coverage, SeenOperation, Sighting
from longcat.contract.coverage.items import Item, ItemKind
from longcat.contract.coverage.parts import Part, part_of
from longcat.contract.lazy import cached_property
from longcat.contract.model import Origin
from longcat.contract.openapi.operation import METHODS, Operation
from longcat.text import shorten

MAX_LISTED: Final = 20_000
"""How many items a contract may have so that all are listed. Of a larger one, what is in something that was never seen
is only counted."""
MAX_SHOWN_NAME: Final = 200
"""How many characters of a name are shown."""
NOTHING: Final = Sighting()


class SeenState(StrEnum):
    """Whether an item was seen."""

    SEEN = "seen"
    STALE = "stale"
    """It was last seen before the day that was asked for, or nobody says when."""
    NEVER = "never"


@define
class Totals:
    """The numbers of items of each kind: all, those that were seen, and those that are stale, as it was long ago.

    Attributes:
        cut: how many bodies have more items than count.
    """

    all: Counter[ItemKind] = Factory(Counter)
    seen: Counter[ItemKind] = Factory(Counter)
    stale: Counter[ItemKind] = Factory(Counter)
    by_origin: dict[Origin, Counter[ItemKind]] = Factory(dict)
    cut: int = 0

    def percent(self, kind: ItemKind | None = None) -> float:
        """Return how much was seen of a kind, or of all kinds. Of nothing, everything was seen."""
        seen, all_ = (self.seen[kind], self.all[kind]) if kind else (self.seen.total(), self.all.total())
        return 100.0 * seen / all_ if all_ else 100.0


@frozen
class ReportedItem:
    """An item as a report shows it.

    Attributes:
        kind: None: it only holds others, and does not count.
        name: for people: of an operation its method and path, of a value its JSON.
        place: where it is in a value, for those that are.
        entries: those in it.
        unlisted: how many of each kind are in it that are not listed, as none was seen.
        value: of a VALUE.
    """

    kind: ItemKind | None
    name: str
    place: str
    pointer: str
    state: SeenState
    sighting: Sighting
    entries: "list[ReportedItem]" = Factory(list)
    unlisted: Counter[ItemKind] = Factory(Counter)
    value: Any = None

    @property
    def totals(self) -> Totals:
        """The number of items in it, itself included."""
        totals = Totals(all=self.unlisted.copy())
        if self.kind is not None:
            totals.all[self.kind] += 1
            totals.seen[self.kind] += self.state is SeenState.SEEN
            totals.stale[self.kind] += self.state is SeenState.STALE
        for one in self.entries:
            inner = one.totals
            totals.all.update(inner.all)
            totals.seen.update(inner.seen)
            totals.stale.update(inner.stale)
        return totals


@frozen(slots=False)
class CoverageResult:
    """The result of a coverage. It is made when all was noted.

    Attributes:
        since: what was last seen before does not count. None: all does.
    """

    coverage: Coverage = field(repr=False)
    since: datetime | None = None

    @cached_property
    def totals(self) -> Totals:
        """The numbers of items that were seen, and of all."""
        totals = Totals()
        for operation in self.coverage.spec.operations:
            seen = self._seen(operation)
            self._count(self._part(operation, seen), totals)
            for (one, item), sighting in seen.sightings.items() if seen else ():
                kind, state = (item.kind if item else one.kind), self._state(sighting)
                if kind is not None:
                    (totals.seen if state is SeenState.SEEN else totals.stale)[kind] += 1
                    for origin in sighting.times:
                        totals.by_origin.setdefault(origin, Counter())[kind] += 1
        return totals

    def operations(self) -> Iterator[tuple[Operation, ReportedItem]]:
        """Yield each operation with its entry, by their paths. Only one is held at a time."""
        for operation in sorted(self.coverage.spec.operations, key=_order):
            seen = self._seen(operation)
            yield operation, self._entry_of_part(self._part(operation, seen), seen)

    def entries(self) -> Iterator[ReportedItem]:
        """Yield the entry of each operation, by their paths."""
        return (entry for _, entry in self.operations())

    @cached_property
    def lists_all(self) -> bool:
        """Whether every item is listed."""
        return self.totals.all.total() <= MAX_LISTED

    def _seen(self, operation: Operation) -> SeenOperation | None:
        return self.coverage.operations.get((operation.method, operation.path))

    def _part(self, operation: Operation, seen: SeenOperation | None) -> Part:
        return seen.part if seen else part_of(operation, self.coverage.trees)

    def _state(self, sighting: Sighting) -> SeenState:
        if not sighting.times:
            return SeenState.NEVER
        if self.since is None:
            return SeenState.SEEN
        return SeenState.SEEN if sighting.latest is not None and sighting.latest >= self.since else SeenState.STALE

    def _count(self, part: Part, totals: Totals) -> None:
        """Count a part and what is in it."""
        if part.kind is not None:
            totals.all[part.kind] += 1
        if part.schema is not None:
            tree = self.coverage.trees.outline(part.schema, part.direction)
            totals.all.update(tree.counts)
            totals.cut += tree.is_cut
        for one in part.children():
            self._count(one, totals)

    def _entry_of_part(self, part: Part, seen: SeenOperation | None) -> ReportedItem:
        sighting = seen.sightings.get((part, None), NOTHING) if seen else NOTHING
        state = self._state(sighting)
        entry = ReportedItem(part.kind, shorten(part.name, MAX_SHOWN_NAME), "", part.pointer, state, sighting)
        if state is SeenState.NEVER and part.kind is not None and not self.lists_all:
            inner = Totals()
            self._count(part, inner)
            inner.all[part.kind] -= 1
            return evolve(entry, unlisted=inner.all)
        if part.schema is not None:
            top = self.coverage.trees.tree(part.schema, part.direction).top
            entry.entries.extend(self._entry(part, item, seen) for item in top.children())
        entry.entries.extend(self._entry_of_part(one, seen) for one in part.children())
        return entry

    def _entry(self, part: Part, item: Item, seen: SeenOperation | None) -> ReportedItem:
        sighting = seen.sightings.get((part, item), NOTHING) if seen else NOTHING
        state = self._state(sighting)
        name = shorten(item.name, MAX_SHOWN_NAME)
        entry = ReportedItem(item.kind, name, item.place, item.pointers[0], state, sighting, value=item.value)
        if state is SeenState.NEVER and not self.lists_all:
            return evolve(entry, unlisted=Counter(_below(item)))
        entry.entries.extend(self._entry(part, one, seen) for one in item.children())
        return entry


def _order(operation: Operation) -> tuple[str, int, str]:
    """Return a key that sorts operations by path and method; methods that OpenAPI has no word for come last."""
    method = operation.method.lower()
    return operation.path, METHODS.index(method) if method in METHODS else len(METHODS), method


def _below(item: Item) -> Iterator[ItemKind]:
    """Yield the kinds of all items in one."""
    for one in item.children():
        if one.kind is not None:
            yield one.kind
        yield from _below(one)
