"""One run: what was observed, judged, compared with the baseline and counted, one event at a time."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from longcat.contract.checks.judge import Judgement
from longcat.contract.checks.observation import observe
from longcat.contract.model import Exchange, Inconclusive
from longcat.contract.openapi.spec import Spec
from longcat.contract.reports.baseline import Baseline
from longcat.contract.reports.verdict import Event, JudgedExchange, JudgedFinding, Tally
from longcat.contract.traffic.recordings import read

Observed: TypeAlias = Exchange | Inconclusive


def events(spec: Spec, observed: Iterable[Observed], baseline: Baseline, tally: Tally) -> Iterator[Event]:
    """Yield what comes of each thing observed, and count it. When the last was taken, the tally is complete."""
    for one in observed:
        event = _event(spec, one, baseline)
        tally.note(event)
        yield event
    tally.remarks.extend(baseline.remarks())


def recorded(spec: Spec, paths: Sequence[Path]) -> Iterator[Exchange | Inconclusive]:
    """Yield what was recorded in files and folders, one exchange at a time."""
    key_headers = {operation.key_header for operation in spec.operations if operation.key_header}
    for path in paths:
        yield from read(path, key_headers)


def _event(spec: Spec, one: Observed, baseline: Baseline) -> Event:
    if isinstance(one, Inconclusive):
        return one
    judgement = Judgement(observe(spec, one))
    if not judgement.observation.is_concerned:
        return Inconclusive(
            one.source, "not of this contract: another host, and a path that it does not have", unclear=False
        )
    # A documented 429 or 500 tells a probe nothing, so it asks again. A recording keeps what somebody wanted to keep.
    if judgement.outage is not None and not judgement.is_documented:
        return Inconclusive(one.source, judgement.outage)
    return JudgedExchange(
        one, tuple(JudgedFinding(finding, baseline.accepts(finding)) for finding in judgement.findings())
    )
