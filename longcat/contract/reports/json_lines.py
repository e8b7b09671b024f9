"""`--format json`: one finding a line, with the first exchange in which it was seen. The summary is not among them."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from attrs import asdict

from longcat.contract.model import Exchange
from longcat.contract.reports.context import ReportContext, reported_findings
from longcat.contract.reports.findings import ORIGINS, ReportedFinding, fingerprint
from longcat.contract.reports.verdict import Event
from longcat.text import shorten


def json_lines(events: Iterable[Event], context: ReportContext) -> Iterator[str]:
    """Yield a line for each finding when the last event was taken: the worst comes first."""
    for reported in reported_findings(events, context):
        yield json.dumps(as_object(reported)) + "\n"


def as_object(reported: ReportedFinding) -> dict[str, Any]:
    """Return a finding as a JSON object. Every field is always there."""
    finding, accepted = reported.finding, reported.accepted
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "operation": finding.operation,
        "method": finding.exchange.method,
        "path": finding.path,
        "place": finding.place,
        "pointer": finding.pointer,
        "expected": finding.expected,
        "seen": finding.seen,
        "rule": finding.rule,
        "fingerprint": fingerprint(finding),
        "accepted": accepted and {"reason": accepted.reason, "expires": accepted.expires.isoformat()},
        "evidence": ORIGINS[finding.exchange.origin],
        "count": reported.count,
        "exchanges": reported.exchanges,
        "examples": [asdict(example) for example in reported.examples],
        "exchange": _exchange(finding.exchange),
    }


def _exchange(exchange: Exchange) -> dict[str, Any]:
    return {
        "source": exchange.source,
        "origin": exchange.origin,
        "method": exchange.method,
        "url": exchange.url,
        "request_headers": dict(exchange.request_headers),
        "request_body": _text(exchange.request_body),
        "status_code": exchange.status_code,
        "response_headers": {name: shorten(value, 1000) for name, value in exchange.response_headers.items()},
        "response_body": _text(exchange.response_body),
    }


def _text(body: bytes | None) -> str | None:
    return None if body is None else body.decode("utf-8", "replace")
