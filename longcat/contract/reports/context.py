"""The base of all reports: the run that they are about, findings put together, and text that can do no harm."""

import html
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from attrs import field, frozen

from longcat.contract.model import Finding, Severity
from longcat.contract.openapi.spec import Spec
from longcat.contract.reports.findings import ReportedFinding
from longcat.contract.reports.verdict import (
    MAX_OPERATIONS,
    SEVERITIES,
    Event,
    JudgedExchange,
    Tally,
    summary,
)
from longcat.text import printable


@frozen
class ReportContext:
    """The run that a report is about.

    Attributes:
        spec: the contract.
        spec_file: where it stands, for locations.
        spec_name: what that file is called; relative where it can be.
        subject: what was asked or read, for people.
        fail_on: the least bad severity that makes the run fail.
        tally: what it has come to so far; complete when the last event was taken.
        started: when, with a time zone.
        terminal: whether a person reads it on a terminal.
        root: the root of the repository, which the names of files in annotations are relative to.
    """

    spec: Spec = field(repr=False)
    spec_file: Path
    spec_name: str
    subject: str
    fail_on: Severity
    tally: Tally
    started: datetime
    terminal: bool = False
    root: Path = Path()

    def summary(self, operations: int | None = MAX_OPERATIONS) -> list[str]:
        """Return what the run came to, one sentence each, with so many operations. None: with all of them."""
        return list(summary(self.tally, self.fail_on, operations))

    def gap_lines(self) -> Iterator[str]:
        """Yield what was inconclusive, and what was left out, as lines for a log."""
        yield from (f"{title}: {why}: {what}" for title, reasons in self.tally.gaps() for why, what in reasons.items())


def reported_findings(events: Iterable[Event], context: ReportContext) -> list[ReportedFinding]:
    """Take all events, and return the findings of the run, one for each rule and place, the worst first."""
    for _ in events:
        pass  # The tally has counted it.
    return sorted(context.tally.findings.values(), key=_badness)


def findings_of(event: Event) -> Iterator[Finding]:
    """Yield the findings of an event that nobody accepted."""
    if isinstance(event, JudgedExchange):
        yield from (judged.finding for judged in event.findings if judged.accepted is None)


def markup(text: str, keep: str = "") -> str:
    """Return text that is safe in an element and in a quoted attribute of HTML and XML, whatever their encoding."""
    return html.escape(printable(text, keep)).encode("ascii", "xmlcharrefreplace").decode("ascii")


def _badness(reported: ReportedFinding) -> tuple[bool, int, str, str, str]:
    finding = reported.finding
    place = (finding.operation or "", finding.place, finding.code)
    return (reported.accepted is not None, SEVERITIES.index(finding.severity), *place)
