"""The events of a run, their tally, and the one function that decides the exit code."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import IntEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from attrs import Factory, define, frozen

from longcat.contract.model import BodyEvidence, Exchange, Inconclusive, Origin, Severity
from longcat.contract.reports.findings import (
    MAX_EXAMPLES,
    ORIGINS,
    JudgedFinding,
    ReportedFinding,
    fingerprint,
    shortened,
)
from longcat.text import counted

SEVERITIES: Final = tuple(Severity)
"""From worst to least."""
MAX_HOSTS: Final = 1000
"""How many hosts are kept of which the contract is not."""
NOTHING_COMPARED: Final = "Could not tell: nothing was compared with the contract."
MAX_OPERATIONS: Final = 5
"""Of how many operations the summary says how many bodies were read: first of those of which the fewest were."""
MAX_REASONS: Final = 20
"""How many reasons are kept of each kind, and of each how many places. What goes beyond them is only counted."""


class Verdict(IntEnum):
    """The verdict on a run. The numbers are the exit codes of the command line."""

    KEPT = 0
    """No finding is as bad as was asked for."""
    DRIFTED = 1
    UNCLEAR = 3
    """Something was inconclusive, or nothing was compared."""


@frozen
class JudgedExchange:
    """An exchange that could be judged.

    Attributes:
        findings: how it differs from the contract.
        gaps: what of it was not judged.
        operation: the operationId. None: it is about no operation.
        body: what the body of its answer is as evidence.
        is_compared: whether it says anything about the contract.
    """

    exchange: Exchange
    findings: tuple[JudgedFinding, ...] = ()
    gaps: tuple[Inconclusive, ...] = ()
    operation: str | None = None
    body: BodyEvidence = "none"
    is_compared: bool = True


Event: TypeAlias = JudgedExchange | Inconclusive


@define
class GapReason:
    """The reason for which something was not judged, and what it was said of.

    Attributes:
        why, unclear: as in `Inconclusive`.
        count: how often it was said.
        operations: which ones it is about, as far as that is known, in the order in which they were met.
        places: the first places where it was said.
    """

    why: str
    unclear: bool
    count: int = 0
    operations: dict[str, None] = Factory(dict)
    places: list[str] = Factory(list)

    def add(self, gap: Inconclusive) -> None:
        """Count what was not judged for this reason."""
        self.count += 1
        if gap.operation is not None:
            self.operations[gap.operation] = None
        if len(self.places) < MAX_REASONS:
            self.places.append(gap.what)

    @property
    def where(self) -> str:
        """The operations that could not be judged for this reason, and the places where that was seen."""
        operations, places = list(self.operations), self.places[: MAX_EXAMPLES if self.operations else None]
        more = [f"{self.count - len(places)} more"] if self.count > len(places) else []
        seen_in = "; and ".join(["; ".join(places), *more])
        return f"{', '.join(operations)} (in {seen_in})" if operations else seen_in


@define
class BodyCount:
    """The numbers of bodies of answers: those that should be there, were read, and were compared with the contract."""

    due: int = 0
    read: int = 0
    compared: int = 0

    def add(self, body: BodyEvidence) -> None:
        """Count a body."""
        self.due += body != "none"
        self.read += body in {"read", "compared"}
        self.compared += body == "compared"


@define
class Tally:
    """The result of a run so far. Its size grows with the kinds of findings, not with the number of exchanges.

    Attributes:
        judged: how many exchanges, by the kind of evidence they are.
        compared: how many of them say anything about the contract.
        bodies: how many bodies were read, by the operation.
        found: how many findings that nobody accepted, by severity. Seen in many exchanges, a finding is one.
        times: how often they were seen.
        hints: the codes of findings that are shown and are no drift; in `hinted`, how many of these there are.
        findings: each of all these, by its fingerprint.
        accepted: how many findings the baseline accepts.
        unclear: how many things were inconclusive.
        left_out: how many things were left out.
        elsewhere: how many exchanges are not of this contract, by their hosts.
        reasons: the first reasons why things were inconclusive or left out.
        remarks: what else a reader must know, such as entries of the baseline that expired.
    """

    judged: Counter[Origin] = Factory(Counter)
    compared: int = 0
    bodies: dict[str, BodyCount] = Factory(dict)
    found: Counter[Severity] = Factory(Counter)
    times: int = 0
    accepted: int = 0
    hints: frozenset[str] = frozenset()
    hinted: int = 0
    findings: dict[str, ReportedFinding] = Factory(dict)
    unclear: int = 0
    left_out: int = 0
    elsewhere: Counter[str] = Factory(Counter)
    reasons: list[GapReason] = Factory(list)
    remarks: list[str] = Factory(list)

    def note(self, event: Event) -> None:
        """Count an event."""
        if isinstance(event, Inconclusive):
            self._note_gap(event)
            return
        for gap in event.gaps:
            self._note_gap(gap)
        self.judged[event.exchange.origin] += 1
        self.compared += event.is_compared
        if event.operation is not None:
            self.bodies.setdefault(event.operation, BodyCount()).add(event.body)
        for judged in event.findings:
            self._note_finding(judged)

    def note_elsewhere(self, host: str) -> bool:
        """Count an exchange that is not of this contract, and return whether it is the first with its host."""
        if host not in self.elsewhere and len(self.elsewhere) >= MAX_HOSTS:
            host = "others"
        self.elsewhere[host] += 1
        return self.elsewhere[host] == 1

    def gaps(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield what was inconclusive, and what was left out: a title, and the reasons with what they are about."""
        for title, unclear, count in (("Could not be told", True, self.unclear), ("Left out", False, self.left_out)):
            reasons = [one for one in self.reasons if one.unclear is unclear]
            found = {one.why[:1].upper() + one.why[1:]: one.where for one in reasons}
            more = count - sum(one.count for one in reasons)
            if more > 0:
                found["And more"] = f"{more} that are not named here"
            if found:
                yield title, found

    def _note_finding(self, judged: JudgedFinding) -> None:
        finding, accepted = judged.finding, judged.accepted
        is_hint = finding.code in self.hints
        self.times += finding.times if accepted is None and not is_hint else 0
        name = fingerprint(finding)
        if name not in self.findings:
            self.findings[name] = ReportedFinding(shortened(finding), accepted)
            if accepted is not None:
                self.accepted += 1
            elif is_hint:
                self.hinted += 1
            else:
                self.found[finding.severity] += 1
        known = self.findings[name]
        if SEVERITIES.index(finding.severity) < SEVERITIES.index(known.finding.severity):
            if accepted is None and not is_hint:
                self.found[known.finding.severity] -= 1
                self.found[finding.severity] += 1
            known.finding = shortened(finding)  # A refusal is worse where the same request was answered before.
        known.add(finding)

    def _note_gap(self, gap: Inconclusive) -> None:
        if gap.unclear:
            self.unclear += 1
        else:
            self.left_out += 1
        alike = [one for one in self.reasons if one.unclear is gap.unclear]
        reason = next((one for one in alike if one.why == gap.why), None)
        if reason is None:
            if len(alike) >= MAX_REASONS:
                return
            reason = GapReason(gap.why, gap.unclear)
            self.reasons.append(reason)
        reason.add(gap)


def verdict(tally: Tally, fail_on: Severity) -> Verdict:
    """Return what a run came to, which is also its exit code.

    1 when a finding that nobody accepted is as bad as `fail_on` or worse; else 3 when something was inconclusive, or
    when nothing was compared at all; else 0. That something is used wrongly, 2, is an error and never gets here.
    """
    if any(tally.found[severity] for severity in SEVERITIES[: SEVERITIES.index(fail_on) + 1]):
        return Verdict.DRIFTED
    if tally.unclear or not tally.compared:
        return Verdict.UNCLEAR
    return Verdict.KEPT


def evidence_sentence(times: Mapping[Origin, int], last: Mapping[Origin, datetime] = MappingProxyType({})) -> str:
    """Return one sentence on how many exchanges there were of each origin, and on which day the last one was."""
    kinds = []
    for origin, source in {**ORIGINS, "unknown": "a source that is not named"}.items():
        if times.get(origin):
            when = f", last on {last[origin]:%Y-%m-%d}" if origin in last else ""
            kinds.append(f"{counted(times[origin], 'exchange')} from {source}{when}")
    return f"Evidence: {'; '.join(kinds) or 'none'}."


def body_sentence(tally: Tally, most: int | None = MAX_OPERATIONS) -> str | None:
    """Return one sentence on the bodies that a run rests on, with so many operations; None: with all of them.

    None is returned where there should be no body.
    """
    counts = bodies_of(tally)
    if not counts:
        return None
    due, read, compared = (sum(getattr(one, name) for _, one in counts) for name in ("due", "read", "compared"))
    is_same = read == compared
    found = [f"{name} {one.read} of {one.due}" for name, one in counts]
    more = [f"{len(found) - most} more operations"] if most is not None and len(found) > most else []
    what = f"{read:,} of {counted(due, 'body')} {'was' if 1 in {read, due} else 'were'} read"
    what += " and compared" if is_same else f", {compared:,} compared"
    return f"{what}: {', '.join([*found[:most], *more])}."


def bodies_of(tally: Tally) -> list[tuple[str, BodyCount]]:
    """Return how many bodies were read of each operation that should have some: first where the fewest were."""
    return sorted(((name, one) for name, one in tally.bodies.items() if one.due), key=lambda pair: _least_read(*pair))


def _least_read(name: str, count: BodyCount) -> tuple[float, str]:
    return count.read / count.due, name


def summary(tally: Tally, fail_on: Severity, operations: int | None = MAX_OPERATIONS) -> Iterator[str]:
    """Yield what a run came to, one sentence at a time. Of so many operations, it says how many bodies were read.

    None: of all of them.
    """
    code = verdict(tally, fail_on)
    total = tally.found.total()
    found = ", ".join(f"{tally.found[severity]} {severity.value}" for severity in SEVERITIES if tally.found[severity])
    if total:
        mild = "" if code is Verdict.DRIFTED else f", none as bad as --fail-on {fail_on.value}"
        times = f", seen {tally.times} times" if tally.times > total else ""
        yield f"Drift: {counted(total, 'finding')} ({found}){times}{mild}."
    elif tally.compared:
        yield "No drift was found."
    if code is Verdict.UNCLEAR or tally.unclear:
        yield f"{counted(tally.unclear, 'thing')} could not be told." if tally.unclear else NOTHING_COMPARED
    if tally.judged.total():
        yield evidence_sentence(tally.judged)
    else:
        yield "Nothing could be judged, so this rests on no evidence."
    yield from filter(None, [body_sentence(tally, operations)])
    if tally.accepted:
        yield f"The baseline accepts {counted(tally.accepted, 'more finding')}."
    if tally.hinted:
        kinds = " and ".join(sorted(tally.hints))
        yield (
            f"{counted(tally.hinted, 'finding')} of {kinds} {'fails' if tally.hinted == 1 else 'fail'} nothing, as the "
            f"contract does not say that its examples show every field. --fail-on notice counts "
            f"{'it' if tally.hinted == 1 else 'them'}."
        )
    yield from left_out_sentences(tally)
    yield from tally.remarks


def left_out_sentences(tally: Tally) -> Iterator[str]:
    """Yield how much was left out, one sentence at a time."""
    if tally.elsewhere:
        yield (
            f"{counted(tally.elsewhere.total(), 'exchange')} with {counted(len(tally.elsewhere), 'other host')} "
            f"{'is' if tally.elsewhere.total() == 1 else 'are'} not of this contract."
        )
    if tally.left_out:
        yield f"{counted(tally.left_out, 'thing')} {'was' if tally.left_out == 1 else 'were'} left out."
