"""`--format table`: for people. A table with rich on a terminal, the same in plain lines elsewhere."""

import io
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from longcat.contract.model import Severity
from longcat.contract.reports.context import ReportContext, reported_findings
from longcat.contract.reports.findings import ReportedFinding
from longcat.contract.reports.verdict import Event
from longcat.text import printable

if TYPE_CHECKING:
    from rich.console import Console

MIN_TABLE_WIDTH: Final = 140
"""From how many columns on a terminal has room for a table."""
COLOURS: Final = {Severity.BREAKING: "bold red", Severity.ADDITIVE: "yellow", Severity.NOTICE: "cyan"}


def table(events: Iterable[Event], context: ReportContext) -> Iterator[str]:
    """Yield the report when the last event was taken: the worst comes first."""
    findings = reported_findings(events, context)
    if findings:
        yield (on_terminal(partial(_draw, findings=findings)) if context.terminal else None) or _plain(findings)
    for title, reasons in context.tally.gaps():
        lines = (f"  {printable(why)}: {printable(what)}.\n" for why, what in reasons.items())
        yield f"{title}:\n{''.join(lines)}\n"
    yield "".join(f"{printable(sentence)}\n" for sentence in context.summary())
    if findings:
        yield f"`longcat contract explain {printable(findings[0].finding.code)}` says what the first of them means.\n"


def heading(reported: ReportedFinding) -> str:
    """Return the severity as a word, and whether it is accepted."""
    if reported.accepted is None:
        return reported.finding.severity.value
    return f"accepted until {reported.accepted.expires}"


def _plain(findings: list[ReportedFinding]) -> str:
    lines = []
    for reported in findings:
        lines.append(f"{heading(reported)}  {printable(reported.finding.code)}  {printable(reported.where)}")
        lines += [f"    {name:8}  {printable(value)}" for name, value in _details(reported)]
        lines.append("")
    return "\n".join(lines) + "\n"


def _details(reported: ReportedFinding) -> Iterator[tuple[str, str]]:
    """Yield what there is to say of a finding, each with a word before it."""
    yield "expected", reported.finding.expected
    yield "seen", reported.finding.seen
    yield "in", reported.seen_in
    yield "request", f"{reported.request}, {reported.times}"
    if reported.accepted:
        yield "accepted", reported.accepted.reason


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


def _draw(console: "Console", findings: list[ReportedFinding]) -> None:
    (_print_table if console.width >= MIN_TABLE_WIDTH else _print_list)(console, findings)


def _print_table(console: "Console", findings: list[ReportedFinding]) -> None:
    """Print a row for each finding."""
    from rich.table import Table  # noqa: PLC0415 - likewise.
    from rich.text import Text  # noqa: PLC0415

    shown = Table(show_lines=True, expand=False)
    for column in ("Severity", "Code", "Where", "Expected", "Seen", "In"):
        shown.add_column(column, overflow="fold")
    for reported in findings:
        finding = reported.finding
        words = (finding.code, reported.where, finding.expected, finding.seen, reported.seen_in)
        cells = [Text(printable(word)) for word in words]
        cells[1].append(f"\n{printable(reported.request)}", "dim")
        cells[-1].append(f"\n{reported.times}", "dim")
        shown.add_row(Text(heading(reported), style=_style(reported)), *cells)
    console.print(shown)


def _print_list(console: "Console", findings: list[ReportedFinding]) -> None:
    """Print a few lines for each finding: in a table, a narrow terminal has no room for six columns."""
    from rich.table import Table  # noqa: PLC0415 - likewise.
    from rich.text import Text  # noqa: PLC0415

    for reported in findings:
        title = (
            (heading(reported), _style(reported)),
            "  ",
            (printable(reported.finding.code), "bold"),
            "  ",
            printable(reported.where),
        )
        console.print(Text.assemble(*title), soft_wrap=False)
        lines = Table.grid(padding=(0, 2))
        lines.add_column(style="dim", no_wrap=True, min_width=12)
        lines.add_column(overflow="fold")
        for name, value in _details(reported):
            lines.add_row(f"    {name}", Text(printable(value)))
        console.print(lines)
        console.print()


def _style(reported: ReportedFinding) -> str:
    return COLOURS[reported.finding.severity] if reported.accepted is None else "dim"
