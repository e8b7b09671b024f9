"""`--format sarif`: SARIF 2.1.0, for code scanning. A finding stands where the broken rule does, in the contract."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from longcat._version import __version__
from longcat.contract.codes import CODES
from longcat.contract.model import Severity
from longcat.contract.reports.about import About, Group, grouped
from longcat.contract.reports.lines import line_finder
from longcat.contract.reports.verdict import EVIDENCE, Event, fingerprint, verdict

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS: Final = {Severity.BREAKING: "error", Severity.ADDITIVE: "warning", Severity.NOTICE: "note"}


def sarif(events: Iterable[Event], about: About) -> Iterator[str]:
    """Yield the report when the last event was taken; findings of one kind are one result with a count."""
    groups = grouped(events)
    names = list(dict.fromkeys([*CODES, *(group.finding.code for group in groups)]))
    line_of = line_finder(about.spec_file)
    results = [_result(group, names.index(group.finding.code), about, line_of(group.finding.rule)) for group in groups]
    run = {
        "tool": {"driver": _driver(names)},
        "invocations": [_invocation(about)],
        "artifacts": [{"location": _location(about), "hashes": {"longcat-spec-sha-256": about.spec.digest}}],
        "results": results,
        "columnKind": "unicodeCodePoints",
        "properties": {"target": about.target, "summary": about.summary()},
    }
    yield json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _driver(names: list[str]) -> dict[str, Any]:
    return {
        "name": "longcat contract",
        "semanticVersion": __version__,
        "rules": [_rule(name) for name in names],
    }


def _rule(name: str) -> dict[str, Any]:
    if name not in CODES:
        return {"id": name}
    code = CODES[name]
    return {
        "id": name,
        "shortDescription": {"text": code.meaning},
        "fullDescription": {"text": f"{code.meaning} {code.hurts}"},
        "help": {"text": f"{code.hurts} {code.do}"},
        "defaultConfiguration": {"level": LEVELS[code.severity]},
    }


def _result(group: Group, rule: int, about: About, line: int) -> dict[str, Any]:
    finding = group.finding
    message = f"{group.where}: the contract says {finding.expected}; seen: {finding.seen}. Seen in: {group.seen_in}."
    origins = list(dict.fromkeys(exchange.origin for exchange in group.places))
    place: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": {**_location(about), "index": 0}, "region": {"startLine": line}}
    }
    if finding.operation:
        name = f"{finding.operation}{'' if finding.pointer.startswith('/') else ' '}{finding.pointer}".strip()
        place["logicalLocations"] = [{"name": finding.operation, "fullyQualifiedName": name, "kind": "function"}]
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": LEVELS[finding.severity],
        "message": {"text": message},
        "locations": [place],
        "partialFingerprints": {"longcatContract/v1": fingerprint(finding)},
        "occurrenceCount": group.count,
        "properties": {"severity": finding.severity.value, "evidence": [EVIDENCE[origin] for origin in origins]},
    }
    if group.accepted is not None:
        why = f"{group.accepted.reason} (until {group.accepted.expires})"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": why}]
    return result


def _location(about: About) -> dict[str, Any]:
    return {"uri": about.spec_name}


def _invocation(about: About) -> dict[str, Any]:
    return {
        "executionSuccessful": not about.tally.unclear,
        "exitCode": int(verdict(about.tally, about.fail_on)),
        "startTimeUtc": f"{about.started:%Y-%m-%dT%H:%M:%SZ}",
        "toolExecutionNotifications": [
            {"level": "error" if reason.unclear else "note", "message": {"text": f"{reason.what}: {reason.why}"}}
            for reason in about.tally.reasons
        ],
    }
