"""`--format json`: one document, for programs. Each item that counts is in its list, unless the contract is large."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from longcat.contract.coverage.items import ItemKind
from longcat.contract.coverage.parts import REQUEST_BODY
from longcat.contract.coverage.results import ReportedItem, Totals
from longcat.contract.coverage.summary import CoverageContext
from longcat.contract.reports.findings import ORIGINS


def document(context: CoverageContext) -> Iterator[str]:
    """Yield the report, one item a line."""
    result = context.result
    head = {
        "spec": {"name": context.spec_name, "sha256": result.coverage.spec.digest},
        "subject": context.subject,
        "created": _time(context.started),
        "percent": result.totals.percent(),
        "fail_under": context.fail_under,
        "stale_after": context.stale_after,
        "exit_code": int(context.verdict),
        "totals": {kind.value: _total(result.totals, kind) for kind in ItemKind},
        "exchanges": _origins(result.coverage.exchanges.times, result.coverage.exchanges.last),
        "lists_all": result.lists_all,
        "summary": list(context.sentences()),
        "gaps": dict(context.tally.gaps()),
    }
    yield json.dumps(head, indent=1).removesuffix("\n}") + ',\n "items": ['
    separator = "\n  "
    for operation, entry in result.operations():
        about = {"operation": operation.operation_id, "method": operation.method, "path": operation.path}
        for item in _items(entry, {**about, "part": "", "media_type": None}):
            yield separator + json.dumps(item)
            separator = ",\n  "
    yield "\n ]\n}\n"


def _items(entry: ReportedItem, about: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield an entry and all in it as objects. Every field is always there."""
    if entry.kind is not None:
        yield {
            "kind": entry.kind.value,
            **about,
            "name": entry.name,
            "place": entry.place,
            "value": entry.value,
            "pointer": entry.pointer,
            "state": entry.state.value,
            "times": entry.sighting.times.total(),
            "last": _time(entry.sighting.latest),
            "origins": _origins(entry.sighting.times, entry.sighting.last),
            "unlisted": entry.unlisted.total(),
        }
    for one in entry.entries:
        yield from _items(one, _about(entry, one, about))


def _about(entry: ReportedItem, inner: ReportedItem, about: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return where an entry is that is directly in another one."""
    if inner.kind in {ItemKind.STATUS, ItemKind.PARAMETER} or (inner.kind is None and inner.name == REQUEST_BODY):
        return {**about, "part": inner.name}
    if inner.kind is ItemKind.HEADER:
        return {**about, "part": f"{entry.name} {inner.name}"}
    if inner.kind is None and not inner.place:
        return {**about, "media_type": inner.name}
    return about


def _total(totals: Totals, kind: ItemKind) -> dict[str, Any]:
    all_, seen, stale = totals.all[kind], totals.seen[kind], totals.stale[kind]
    origins = {origin: counts[kind] for origin, counts in totals.by_origin.items() if counts[kind]}
    return {"total": all_, "seen": seen, "stale": stale, "never": all_ - seen - stale, "by_origin": origins}


def _origins(times: Counter[Any], last: Mapping[Any, datetime]) -> dict[str, Any]:
    return {one: {"times": times[one], "last": _time(last.get(one))} for one in ORIGINS if times[one]}


def _time(when: datetime | None) -> str | None:
    """Return a time in UTC. One at the end of the calendar, as a stranger may write it, keeps its own zone."""
    if when is None:
        return None
    with suppress(OverflowError):
        when = when.astimezone(UTC)
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")
