"""`--format json`: one finding a line, written as it comes. The summary is not among them."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from longcat.contract.model import Exchange
from longcat.contract.reports.context import ReportContext
from longcat.contract.reports.verdict import ORIGINS, Event, JudgedExchange, JudgedFinding, fingerprint
from longcat.text import shorten

MOST: Final = 4096
"""How much of a body is quoted, in bytes."""


def json_lines(events: Iterable[Event], _context: ReportContext) -> Iterator[str]:
    """Yield a line for each finding."""
    for event in events:
        for judged in event.findings if isinstance(event, JudgedExchange) else ():
            yield json.dumps(as_object(judged)) + "\n"


def as_object(judged: JudgedFinding) -> dict[str, Any]:
    """Return a finding as a JSON object. Every field is always there."""
    finding, accepted = judged.finding, judged.accepted
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "operation": finding.operation,
        "pointer": finding.pointer,
        "expected": finding.expected,
        "seen": finding.seen,
        "rule": finding.rule,
        "fingerprint": fingerprint(finding),
        "accepted": accepted and {"reason": accepted.reason, "expires": accepted.expires.isoformat()},
        "evidence": ORIGINS[finding.exchange.origin],
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
    """Return a body as text, its end cut off when it is long."""
    return None if body is None else body[:MOST].decode("utf-8", "replace")
