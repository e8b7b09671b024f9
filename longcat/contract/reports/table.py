"""`--format table`: for people. A table with rich on a terminal, the same in plain lines elsewhere."""

import io
import shutil
from collections.abc import Iterable, Iterator
from typing import Final

from longcat.contract.model import Severity
from longcat.contract.reports.context import ReportContext, clean, grouped
from longcat.contract.reports.findings import ReportedFinding
from longcat.contract.reports.verdict import Event

COLOURS: Final = {Severity.BREAKING: "bold red", Severity.ADDITIVE: "yellow", Severity.NOTICE: "cyan"}


def table(events: Iterable[Event], context: ReportContext) -> Iterator[str]:
    """Yield the report when the last event was taken: the worst comes first."""
    groups = grouped(events, context)
    if groups:
        yield (_rich(groups) if context.terminal else None) or _plain(groups)
    for title, reasons in context.gaps():
        lines = (f"  {clean(why)}: {clean(what)}.\n" for why, what in reasons.items())
        yield f"{title}:\n{''.join(lines)}\n"
    yield "".join(f"{clean(sentence)}\n" for sentence in context.summary())
    if groups:
        yield f"`longcat contract explain {clean(groups[0].finding.code)}` says what the first of them means.\n"


def heading(group: ReportedFinding) -> str:
    """Return the severity as a word, and whether it is accepted."""
    if group.accepted is None:
        return group.finding.severity.value
    return f"accepted until {group.accepted.expires}"


def _plain(groups: list[ReportedFinding]) -> str:
    lines = []
    for group in groups:
        finding = group.finding
        lines += [
            f"{heading(group)}  {clean(finding.code)}  {clean(group.where)}",
            f"    expected  {clean(finding.expected)}",
            f"    seen      {clean(finding.seen)}",
            f"    in        {clean(group.seen_in)}",
            f"    request   {clean(group.request)}, {group.times}",
        ]
        lines += [f"    accepted  {clean(group.accepted.reason)}"] if group.accepted else []
        lines.append("")
    return "\n".join(lines) + "\n"


def _rich(groups: list[ReportedFinding]) -> str | None:
    """Return a table as wide as the terminal, or None when rich is not installed."""
    try:
        from rich.console import Console  # noqa: PLC0415 - it belongs to another extra, and is slow to import.
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415
    except ModuleNotFoundError:
        return None
    shown = Table(show_lines=True, expand=False)
    for column in ("Severity", "Code", "Where", "Expected", "Seen", "In"):
        shown.add_column(column, overflow="fold")
    for group in groups:
        finding = group.finding
        style = COLOURS[finding.severity] if group.accepted is None else "dim"
        words = (finding.code, group.where, finding.expected, finding.seen, group.seen_in)
        shown.add_row(Text(heading(group), style=style), *(Text(clean(word)) for word in words))
    width = shutil.get_terminal_size().columns
    console = Console(file=io.StringIO(), force_terminal=True, width=width, legacy_windows=False)
    with console.capture() as capture:
        console.print(shown)
    return capture.get()
