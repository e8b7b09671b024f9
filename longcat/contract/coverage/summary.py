"""The run that all reports of a coverage are about, in sentences, and what was not seen."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from attrs import field, frozen

from longcat.contract.coverage.items import MAX_BODY_ITEMS, ItemKind
from longcat.contract.coverage.results import CoverageResult, ReportedItem, SeenState
from longcat.contract.reports.findings import ORIGINS
from longcat.contract.reports.verdict import Tally, Verdict, evidence_sentence, left_out_sentences
from longcat.text import abbreviate, counted

NAMES: Final[dict[ItemKind, str]] = {
    ItemKind.OPERATION: "operations",
    ItemKind.STATUS: "status codes",
    ItemKind.PARAMETER: "parameters",
    ItemKind.HEADER: "headers",
    ItemKind.FIELD: "fields",
    ItemKind.VALUE: "values",
    ItemKind.MEMBER: "union members",
}
"""What several of a kind are called, in the order of the reports."""
MAX_PLACE: Final = 300
"""How many characters of a place are shown."""
_COLUMNS: Final = (ItemKind.STATUS, ItemKind.PARAMETER, ItemKind.FIELD, ItemKind.VALUE, ItemKind.MEMBER)
HEADINGS: Final = ("Operation", *(NAMES[kind].capitalize() for kind in _COLUMNS), "Times", "Last", "From")
"""What the `cells` of an operation are called."""


@frozen
class CoverageContext:
    """The run that a report of a coverage is about.

    Attributes:
        result: complete.
        spec_name: what the file of the contract is called.
        subject: what was read, for people.
        tally: what could not be read, and what was left out.
        started: when, with a time zone.
        fail_under: how much must have been seen, in percent. None: it is not asked.
        stale_after: after how many days what was seen counts as not seen. None: never.
        terminal: whether a person reads it on a terminal.
    """

    result: CoverageResult
    spec_name: str
    subject: str
    tally: Tally = field(repr=False)
    started: datetime
    fail_under: float | None = None
    stale_after: int | None = None
    terminal: bool = False

    @property
    def verdict(self) -> Verdict:
        """The verdict on the run: 3 when nothing was seen, 1 when too little was, 3 when something is unclear."""
        if not self.result.coverage.operations:
            return Verdict.UNCLEAR
        if self.fail_under is not None and self.result.totals.percent() < self.fail_under:
            return Verdict.DRIFTED
        return Verdict.UNCLEAR if self.tally.unclear else Verdict.KEPT

    def sentences(self) -> Iterator[str]:
        """Yield what the run came to, one sentence at a time."""
        totals = self.result.totals
        if not self.result.coverage.operations:
            yield "Nothing was seen of this contract."
        else:
            yield f"Seen: {totals.seen.total():,} of {totals.all.total():,} items, {percent(totals.percent())}."
        if self.fail_under is not None:
            is_less = totals.percent() < self.fail_under
            yield f"That is {'less than' if is_less else 'enough for'} --fail-under {self.fail_under:g}."
        if self.stale_after is not None:
            count = f"{totals.stale.total():,} more do not count"
            yield f"{count}: they were last seen more than {self.stale_after} days ago, or nobody says when."
        exchanges = self.result.coverage.exchanges
        yield evidence_sentence(exchanges.times, exchanges.last)
        if totals.cut:
            bodies = "1 body has" if totals.cut == 1 else f"{totals.cut} bodies have"
            yield f"{bodies} more than {MAX_BODY_ITEMS:,} items; those nearest to the top count."
        if defects := len(self.result.coverage.trees.defects):
            yield f"At {counted(defects, 'place')} the spec can't be read, and what is there does not count."
        if self.tally.unclear:
            yield f"{counted(self.tally.unclear, 'thing')} could not be told."
        yield from left_out_sentences(self.tally)


@frozen
class Missing:
    """Something that was not seen: where it is, in words, and how many items are in it."""

    entry: ReportedItem
    where: str
    inside: int


def missing(entries: Iterable[ReportedItem]) -> Iterator[Missing]:
    """Yield what was never seen, and what is stale. What is in something of that kind is not named by itself."""

    def find(entry: ReportedItem, above: tuple[str, ...]) -> Iterator[Missing]:
        if entry.kind is not None and entry.state is not SeenState.SEEN:
            yield Missing(entry, abbreviate(" ".join((*above, label(entry))), MAX_PLACE), entry.totals.all.total() - 1)
            return
        inner = above if entry.place else (*above, entry.name)
        for one in entry.entries:
            yield from find(one, inner)

    for entry in entries:
        yield from find(entry, ())


def label(entry: ReportedItem) -> str:
    """Return what an entry is called below its operation."""
    if entry.kind is ItemKind.VALUE:
        return f"{entry.place} = {entry.name}".strip()
    return entry.place or entry.name


def cells(operation: ReportedItem) -> tuple[str, ...]:
    """Return what was seen of an operation: how much of each kind, how often, when last and from where."""
    totals, sighting = operation.totals, operation.sighting
    shares = (f"{totals.seen[kind]}/{totals.all[kind]}" for kind in _COLUMNS)
    return (operation.name, *shares, str(sighting.times.total()), day(sighting.latest), origins(operation))


def percent(number: float) -> str:
    """Return a percentage in words. It is never rounded up: 100 % is all."""
    return f"{int(number * 10) / 10:g} %"


def day(when: datetime | None) -> str:
    """Return the day of a time, for people."""
    return f"{when:%Y-%m-%d}" if when is not None else "unknown"


def origins(entry: ReportedItem, *, dated: bool = False) -> str:
    """Return from where an entry was seen, and in how many exchanges; dated: and when last, as far as that is known."""
    times, last = entry.sighting.times, entry.sighting.last
    found = []
    for origin in ORIGINS:
        if times[origin]:
            when = f" (last {day(last[origin])})" if dated and origin in last else ""
            found.append(f"{origin} {times[origin]}{when}")
    return ", ".join(found)
