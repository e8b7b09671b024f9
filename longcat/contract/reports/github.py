"""`--format github`: workflow commands of GitHub Actions, which show each finding at its line of the contract.

GitHub shows ten annotations of a kind for a step, so the tenth says how many more there are. What was seen is only ever
a part of a value: a line that begins with `::`, and `##[` anywhere in a line, would be commands to the runner.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Final

from attrs import frozen

from longcat.contract.model import Severity
from longcat.contract.reports.context import ReportContext, reported_findings
from longcat.contract.reports.findings import ReportedFinding
from longcat.contract.reports.locations import Location, Locations
from longcat.contract.reports.table import heading
from longcat.contract.reports.verdict import Event, GapReason
from longcat.text import printable, shorten

MAX_ANNOTATIONS: Final = 10
"""How many annotations of a kind GitHub shows."""
MAX_IN_LOG: Final = 200
"""How many of the findings that are no annotation are listed."""
MAX_MESSAGE: Final = 1000
"""Characters of a message. GitHub takes some 4 KiB."""
COMMANDS: Final = {Severity.BREAKING: "error", Severity.ADDITIVE: "warning", Severity.NOTICE: "notice"}


@frozen
class _Annotation:
    """The text that is shown at a line."""

    command: str
    location: Location
    title: str
    lines: Sequence[str]

    def __str__(self) -> str:
        where = f"file={_property(self.location.name)},line={self.location.line},title={_property(self.title)}"
        message = "%0A".join(_data(line, MAX_MESSAGE // len(self.lines)) for line in self.lines)
        return f"::{self.command} {where}::{message}\n"


def github(events: Iterable[Event], context: ReportContext) -> Iterator[str]:
    """Yield the commands when the last event was taken, the worst first; then for the log what else there is."""
    findings = reported_findings(events, context)
    gaps = [one for one in context.tally.reasons if one.unclear]
    locations = Locations(context, context.root)
    in_log = [one for one in findings if one.accepted is not None]
    for severity, command in COMMANDS.items():
        found = [one for one in findings if one.finding.severity is severity and one.accepted is None]
        annotations = [partial(_of_finding, one, command, locations) for one in found]
        annotations += [partial(_of_gap, one, command, locations) for one in gaps if severity is Severity.NOTICE]
        shown = len(annotations) if len(annotations) <= MAX_ANNOTATIONS else MAX_ANNOTATIONS - 1
        yield from (str(annotate()) for annotate in annotations[:shown])
        if more := len(annotations) - shown:
            message = f"{more} more like these are in the log, and in the other formats of the report."
            yield str(_Annotation(command, locations.of(""), f"{more} more", [message]))
        in_log += found[shown:]
    for one in in_log[:MAX_IN_LOG]:
        yield _line(f"{heading(one)}  {one.finding.code}  {one.where}: {_seen_in(one)}")
    if len(in_log) > MAX_IN_LOG:
        yield _line(f"{len(in_log) - MAX_IN_LOG} more are left out here.")
    yield from map(_line, [*context.gap_lines(), *context.summary()])


def _seen_in(reported: ReportedFinding) -> str:
    return f"{reported.times} of {reported.request}: {reported.seen_in_public}"


def _line(text: str) -> str:
    return f"longcat: {_harmless(text)}\n"


def _of_finding(reported: ReportedFinding, command: str, locations: Locations) -> _Annotation:
    finding = reported.finding
    lines = f"Expected: {finding.expected}", f"Seen: {finding.seen}", _seen_in(reported)
    return _Annotation(command, locations.of(finding.rule), f"{finding.code}: {reported.where}", lines)


def _of_gap(reason: GapReason, command: str, locations: Locations) -> _Annotation:
    location = locations.of_operation(next(iter(reason.operations), ""))
    return _Annotation(command, location, "Could not be told", [f"{reason.why}: {reason.where}"])


def _harmless(text: str) -> str:
    return printable(text).replace("##[", "## [")


def _data(text: str, limit: int) -> str:
    """Return text as a line of the message of a command, cut short."""
    return shorten(_harmless(text), limit).replace("%", "%25")


def _property(text: str) -> str:
    """Return text as the value of a property of a command, cut short."""
    return _data(text, MAX_MESSAGE // 5).replace(":", "%3A").replace(",", "%2C")
