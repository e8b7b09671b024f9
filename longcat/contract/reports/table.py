"""`--format table`: for people. A table with rich on a terminal, the same in plain lines elsewhere."""

import io
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from longcat.contract.model import Severity
from longcat.contract.reports.context import ReportContext, grouped
from longcat.contract.reports.findings import ReportedFinding
from longcat.contract.reports.verdict import Event
from longcat.text import printable

if TYPE_CHECKING:
    from rich.console import Console

WIDE: Final = 140
"""From how many columns on a terminal has room for a table."""
COLOURS: Final = {Severity.BREAKING: "bold red", Severity.ADDITIVE: "yellow", Severity.NOTICE: "cyan"}


def table(events: Iterable[Event], context: ReportContext) -> Iterator[str]:
    """Yield the report when the last event was taken: the worst comes first."""
    groups = grouped(events, context)
    if groups:
        yield (on_terminal(partial(_draw, groups=groups)) if context.terminal else None) or _plain(groups)
    for title, reasons in context.tally.gaps():
        lines = (f"  {printable(why)}: {printable(what)}.\n" for why, what in reasons.items())
        yield f"{title}:\n{''.join(lines)}\n"
    yield "".join(f"{printable(sentence)}\n" for sentence in context.summary())
    if groups:
        yield f"`longcat contract explain {printable(groups[0].finding.code)}` says what the first of them means.\n"


def heading(group: ReportedFinding) -> str:
    """Return the severity as a word, and whether it is accepted."""
    if group.accepted is None:
        return group.finding.severity.value
    return f"accepted until {group.accepted.expires}"


def _plain(groups: list[ReportedFinding]) -> str:
    lines = []
    for group in groups:
        lines.append(f"{heading(group)}  {printable(group.finding.code)}  {printable(group.where)}")
        lines += [f"    {name:8}  {printable(value)}" for name, value in _details(group)]
        lines.append("")
    return "\n".join(lines) + "\n"


def _details(group: ReportedFinding) -> Iterator[tuple[str, str]]:
    """Yield what there is to say of a finding, each with a word before it."""
    yield "expected", group.finding.expected
    yield "seen", group.finding.seen
    yield "in", group.seen_in
    yield "request", f"{group.request}, {group.times}"
    if group.accepted:
        yield "accepted", group.accepted.reason


def on_terminal(draw: Callable[["Console"], None]) -> str | None:
    """Return what a function prints to a console as wide as the terminal, in colour. None: rich is not installed."""
    try:
        from rich.console import Console  # noqa: PLC0415 - it belongs to another extra, and is slow to import.
    except ModuleNotFoundError:
        return None
    width = shutil.get_terminal_size().columns
    console = Console(file=io.StringIO(), force_terminal=True, width=width, legacy_windows=False)
    with console.capture() as capture:
        draw(console)
    return capture.get()


def _draw(console: "Console", groups: list[ReportedFinding]) -> None:
    (_print_table if console.width >= WIDE else _print_list)(console, groups)


def _print_table(console: "Console", groups: list[ReportedFinding]) -> None:
    """Print a row for each finding."""
    from rich.table import Table  # noqa: PLC0415 - likewise.
    from rich.text import Text  # noqa: PLC0415

    shown = Table(show_lines=True, expand=False)
    for column in ("Severity", "Code", "Where", "Expected", "Seen", "In"):
        shown.add_column(column, overflow="fold")
    for group in groups:
        finding = group.finding
        words = (finding.code, group.where, finding.expected, finding.seen, group.seen_in)
        cells = [Text(printable(word)) for word in words]
        cells[1].append(f"\n{printable(group.request)}", "dim")
        cells[-1].append(f"\n{group.times}", "dim")
        shown.add_row(Text(heading(group), style=_style(group)), *cells)
    console.print(shown)


def _print_list(console: "Console", groups: list[ReportedFinding]) -> None:
    """Print a few lines for each finding: in a table, a narrow terminal has no room for six columns."""
    from rich.table import Table  # noqa: PLC0415 - likewise.
    from rich.text import Text  # noqa: PLC0415

    for group in groups:
        title = (
            (heading(group), _style(group)),
            "  ",
            (printable(group.finding.code), "bold"),
            "  ",
            printable(group.where),
        )
        console.print(Text.assemble(*title), soft_wrap=False)
        lines = Table.grid(padding=(0, 2))
        lines.add_column(style="dim", no_wrap=True, min_width=12)
        lines.add_column(overflow="fold")
        for name, value in _details(group):
            lines.add_row(f"    {name}", Text(printable(value)))
        console.print(lines)
        console.print()


def _style(group: ReportedFinding) -> str:
    return COLOURS[group.finding.severity] if group.accepted is None else "dim"
