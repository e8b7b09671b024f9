"""`--format markdown`: for the summary of a CI job, or an issue. What was seen can't break out of its cell."""

import html
import re
from collections.abc import Iterable, Iterator
from typing import Final

from longcat.contract.reports.context import ReportContext, reported_findings
from longcat.contract.reports.findings import ReportedFinding
from longcat.contract.reports.verdict import Event, Tally, bodies_of
from longcat.text import printable

MAX_ROWS: Final = 200
"""How many findings are shown: the summary of a job takes 1 MiB."""
SIGNS: Final = {"breaking": "🔴", "additive": "🟡", "notice": "🔵"}


def markdown(events: Iterable[Event], context: ReportContext) -> Iterator[str]:
    """Yield the report when the last event was taken: the worst comes first."""
    findings = reported_findings(events, context)
    yield f"## Contract drift: {plain(context.subject)}\n\n"
    yield "\n".join(f"- {plain(sentence)}" for sentence in context.summary()) + "\n"
    if findings:
        yield "\n| Severity | Code | Where | The contract says | Seen | Times |\n"
        yield "| --- | --- | --- | --- | --- | ---: |\n"
        yield from map(_row, findings[:MAX_ROWS])
    if len(findings) > MAX_ROWS:
        yield f"\n{len(findings) - MAX_ROWS} more kinds of findings are left out here.\n"
    yield from gap_lists(context.tally)
    bodies = bodies_of(context.tally)
    if bodies:
        yield "\n<details><summary>How many bodies were read</summary>\n\n"
        yield "| Operation | Bodies | Read | Compared |\n| --- | ---: | ---: | ---: |\n"
        yield "".join(
            f"| {code(name)} | {one.due} | {one.read} | {one.compared} |\n" for name, one in bodies[:MAX_ROWS]
        )
        yield "\n</details>\n"
    yield (
        f"\nChecked against {code(context.spec_name)} (SHA-256 {code(context.spec.digest[:12])}) "
        f"at {context.started:%Y-%m-%d %H:%M} UTC. `longcat contract explain CODE` says what a finding means.\n"
    )


def gap_lists(tally: Tally) -> Iterator[str]:
    """Yield what was inconclusive, and what was left out, each as a heading with a list of reasons."""
    for title, reasons in tally.gaps():
        yield f"\n### {title}\n\n"
        yield "".join(f"- {plain(why)}: {plain(what)}\n" for why, what in reasons.items())


def plain(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    text = html.escape(printable(text), quote=False)
    # Letters after a backslash stay, so only what ASCII has for punctuation is escaped; `&` and `;` make the entities.
    return re.sub(r"([\\`*_{}\[\]()#+!|~@:$-])", r"\\\1", text)


def code(text: str) -> str:
    """Return text as code for a cell of a table: in an HTML element, as backticks can't be escaped within backticks."""
    shown = html.escape(printable(text))
    return f"<code>{re.sub(r'[^A-Za-z0-9 .,/;&-]', lambda found: f'&#{ord(found[0])};', shown)}</code>" if text else ""


def _row(reported: ReportedFinding) -> str:
    finding = reported.finding
    severity = f"{SIGNS[finding.severity]} {finding.severity.value}"
    if reported.accepted is not None:
        severity = f"accepted until {reported.accepted.expires}: {plain(reported.accepted.reason)}"
    where = f"{code(reported.where)}<br>{code(reported.request)}"
    seen = f"{code(finding.seen)}<br>in {plain(reported.seen_in_public)}"
    cells = (severity, code(finding.code), where, plain(finding.expected), seen, str(reported.count))
    return f"| {' | '.join(cells)} |\n"
