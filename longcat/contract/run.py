"""One run: what was observed, judged, compared with the baseline and counted, one event at a time."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from longcat.contract.checks.body import decode
from longcat.contract.checks.judge import concerns, judge, outage
from longcat.contract.model import Exchange
from longcat.contract.openapi.spec import Spec
from longcat.contract.reports.baseline import Baseline
from longcat.contract.reports.verdict import Event, Inconclusive, JudgedExchange, JudgedFinding, Tally
from longcat.contract.traffic.exchange import Problem
from longcat.contract.traffic.probe import Unanswered
from longcat.contract.traffic.recordings import read

Observed: TypeAlias = Exchange | Unanswered | Problem


def events(spec: Spec, observed: Iterable[Observed], baseline: Baseline, tally: Tally) -> Iterator[Event]:
    """Yield what comes of each thing observed, and count it. When the last was taken, the tally is complete."""
    for one in observed:
        event = _event(spec, one, baseline)
        tally.note(event)
        yield event
    tally.remarks.extend(baseline.remarks())


def recorded(spec: Spec, paths: Sequence[Path]) -> Iterator[Exchange | Problem]:
    """Yield what was recorded in files and folders, one exchange at a time."""
    key_headers = {operation.key_header for operation in spec.operations if operation.key_header}
    for path in paths:
        yield from read(path, key_headers)


def _event(spec: Spec, one: Observed, baseline: Baseline) -> Event:
    if isinstance(one, Unanswered):
        return Inconclusive(one.question.name, one.reason, unclear=one.unclear)
    if isinstance(one, Problem):
        return Inconclusive(one.source, one.message)
    if not concerns(spec, one):
        return Inconclusive(
            one.source, "not of this contract: another host, and a path that it does not have", unclear=False
        )
    silence = outage(spec, one)
    if silence is not None and not _is_documented(spec, one):
        return Inconclusive(one.source, silence)
    return JudgedExchange(one, tuple(JudgedFinding(finding, baseline.accepts(finding)) for finding in judge(spec, one)))


def _is_documented(spec: Spec, exchange: Exchange) -> bool:
    """Whether the contract has this answer, such as a 429 or a 500 in its documented form.

    To the probe it says nothing, so it asks again. In a recording it was what somebody wanted to keep, and it agrees.
    """
    operation = spec.match(exchange.method, exchange.url)
    documented = operation is not None and operation.response(exchange.status_code) is not None
    return documented and decode(exchange.response_body or b"").is_json
