"""`--format table`: for people. Tables with rich on a terminal, the same in plain lines elsewhere."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from longcat.contract.coverage.items import ItemKind
from longcat.contract.coverage.results import SeenState, Totals
from longcat.contract.coverage.summary import HEADINGS, NAMES, CoverageContext, Missing, cells, day, missing, percent
from longcat.contract.reports.table import on_terminal
from longcat.text import printable

if TYPE_CHECKING:
    from rich.console import Console

MAX_LINES: Final = 50
"""How many operations, and how much that was not seen, are named."""
BAR_WIDTH: Final = 20
_STALE: Final = "Stale"
_NEVER: Final = "Never seen of these operations"
_UNUSED: Final = "Operations never seen"


def table(context: CoverageContext) -> Iterator[str]:
    """Yield the report: how much of each kind, each operation that was seen, what was not, and the summary."""
    draw = _rich if context.terminal else _plain
    totals = context.result.totals
    yield draw(("Kind", "", "Seen", "Of", "Percent", "Stale"), [*_kinds(totals)])
    operations: list[tuple[str, ...]] = []
    missed: dict[str, list[str]] = {title: [] for title in (_STALE, _NEVER, _UNUSED)}
    for entry in context.result.entries():
        if entry.sighting.times:
            operations.append(cells(entry))
        for one in missing([entry]):
            missed[_title(one)].append(_line(one))
    if operations:
        yield "\n" + draw(HEADINGS, operations[:MAX_LINES]) + _more(len(operations))
    for title, lines in missed.items():
        if lines:
            yield f"\n{title}:\n" + "".join(lines[:MAX_LINES]) + _more(len(lines))
    for title, reasons in context.tally.gaps():
        yield f"\n{title}:\n" + "".join(f"  {printable(why)}: {printable(what)}.\n" for why, what in reasons.items())
    yield "\n" + "".join(f"{printable(sentence)}\n" for sentence in context.sentences())


def _kinds(totals: Totals) -> Iterator[tuple[str, ...]]:
    for kind, name in (*NAMES.items(), (None, "all")):
        seen, all_, stale = ((one[kind] if kind else one.total()) for one in (totals.seen, totals.all, totals.stale))
        share = totals.percent(kind)
        filled = int(share * BAR_WIDTH / 100)
        bar = "█" * filled + "░" * (BAR_WIDTH - filled)
        if all_:
            yield (name, bar, f"{seen:,}", f"{all_:,}", percent(share), f"{stale:,}")


def _title(one: Missing) -> str:
    """Return below which title something is named that was not seen."""
    if one.entry.state is SeenState.STALE:
        return _STALE
    return _UNUSED if one.entry.kind is ItemKind.OPERATION else _NEVER


def _line(one: Missing) -> str:
    inside = f", and {one.inside} in it" if one.inside else ""
    last = f", last on {day(one.entry.sighting.latest)}" if one.entry.state is SeenState.STALE else ""
    return f"  {printable(one.where)}{last}{inside}\n"


def _more(count: int) -> str:
    if count <= MAX_LINES:
        return ""
    return f"  {count - MAX_LINES} more: --format json, markdown or html has them.\n"


def _plain(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [[printable(word) for word in row] for row in (headings, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)) for line in lines)
    return "".join(f"{line.rstrip()}\n" for line in padded)


def _rich(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as wide as the terminal; plain lines when rich is not installed."""

    def draw(console: "Console") -> None:
        from rich.table import Table  # noqa: PLC0415 - it belongs to another extra, and is slow to import.
        from rich.text import Text  # noqa: PLC0415 - likewise.

        shown = Table(expand=False)
        for heading in headings:
            shown.add_column(heading, overflow="fold")
        for row in rows:
            shown.add_row(*(Text(printable(word), style=_style(word)) for word in row))
        console.print(shown)

    return on_terminal(draw) or _plain(headings, rows)


def _style(word: str) -> str:
    return "green" if word.startswith(("█", "░")) else ""
