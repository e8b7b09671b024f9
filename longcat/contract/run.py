"""One run: what was observed, judged, compared with the baseline and counted, one event at a time."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from attrs import evolve

from longcat.contract.checks.judge import Judgement
from longcat.contract.checks.repeats import CachingJudge
from longcat.contract.history import History
from longcat.contract.model import Exchange, Inconclusive
from longcat.contract.openapi.spec import Spec
from longcat.contract.openapi.urls.templates import split_url
from longcat.contract.reports.baseline import Baseline
from longcat.contract.reports.findings import JudgedFinding
from longcat.contract.reports.verdict import Event, JudgedExchange, Tally
from longcat.contract.traffic.read_ahead import is_worth_it, read_ahead
from longcat.contract.traffic.recordings import read

OTHER_SERVER: Final = (
    "not of this contract: another host, or a path below none of its servers (--server URL names others)"
)
OTHER_PATH: Final = "not of this contract: another host, and a path that it does not have"
Observed: TypeAlias = Judgement | Inconclusive


def events(observed: Iterable[Observed], baseline: Baseline, tally: Tally) -> Iterator[Event]:
    """Yield what comes of each thing observed, and count it. After the last one, the tally is complete."""
    for one in concerned(observed, tally):
        event = _event(one, baseline)
        tally.note(event)
        yield event
    tally.remarks.extend(baseline.remarks())


def concerned(observed: Iterable[Observed], tally: Tally) -> Iterator[Observed]:
    """Yield what is about the contract, and once for each other host that its exchanges are left out."""
    for one in observed:
        if isinstance(one, Inconclusive) or one.is_concerned:
            yield one
            continue
        host = split_url(one.exchange.url).netloc.rpartition("@")[2] or "no host"
        if tally.note_elsewhere(host):
            yield Inconclusive(host, OTHER_SERVER if one.spec.names_hosts else OTHER_PATH, unclear=False)


def recorded(spec: Spec, paths: Sequence[Path]) -> Iterator[Observed]:
    """Yield what was recorded in files and folders, one judgement at a time."""
    traffic = (one for path in paths for one in read(path, spec.key_names))
    return judged(spec, read_ahead(traffic) if any(map(is_worth_it, paths)) else traffic)


def judged(spec: Spec, exchanges: Iterable[Exchange | Inconclusive]) -> Iterator[Observed]:
    """Yield the judgement of each exchange of one run, in its order: an earlier one may be evidence for a later one."""
    history, judge = History(), CachingJudge(spec)
    for one in exchanges:
        yield _as_known(spec, one) if isinstance(one, Inconclusive) else judge.judge(history.add(one))


def _as_known(spec: Spec, unread: Inconclusive) -> Inconclusive:
    """Return what could not be read, left out where it is of a host that is none of the contract's."""
    is_ours = unread.url is None or spec.covers(unread.url)
    return evolve(unread, unclear=unread.unclear and is_ours, url=None)


def _event(one: Observed, baseline: Baseline) -> Event:
    if isinstance(one, Inconclusive):
        return one
    exchange = one.exchange
    # A documented 429 or 500 is inconclusive in a probe. A recording keeps what somebody wanted to keep.
    if one.outage is not None and not one.is_documented:
        return Inconclusive(exchange.source, one.outage)
    findings = tuple(JudgedFinding(finding, baseline.accepts(finding)) for finding in one.findings())
    operation = one.operation.operation_id if one.operation else None
    return JudgedExchange(exchange, findings, one.gaps, operation, one.body, one.is_compared)
