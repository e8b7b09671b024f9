"""`--format sarif`: SARIF 2.1.0, for code scanning. A finding stands where the broken rule does, in the contract."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote

from attrs import Factory, asdict, define

from longcat._version import __version__
from longcat.contract.codes import CODES
from longcat.contract.model import Severity
from longcat.contract.reports.context import ReportContext, reported_findings
from longcat.contract.reports.findings import ReportedFinding, fingerprint
from longcat.contract.reports.locations import Location, Locations
from longcat.contract.reports.verdict import Event, GapReason, bodies_of, verdict

SCHEMA_URL: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS: Final = {Severity.BREAKING: "error", Severity.ADDITIVE: "warning", Severity.NOTICE: "note"}
MAX_LOCATIONS: Final = 100
"""How many operations one notification names."""


def sarif(events: Iterable[Event], context: ReportContext) -> Iterator[str]:
    """Yield the report when the last event was taken; findings of one kind are one result with a count."""
    findings = reported_findings(events, context)
    names = list(dict.fromkeys([*CODES, *(reported.finding.code for reported in findings)]))
    files = _Files(Locations(context))
    results = [_result(reported, names.index(reported.finding.code), files) for reported in findings]
    run = {
        "tool": {
            "driver": {
                "name": "longcat contract",
                "semanticVersion": __version__,
                "rules": [_rule(name) for name in names],
            }
        },
        "invocations": [_invocation(context, files)],
        "artifacts": files.artifacts(),
        "results": results,
        "columnKind": "unicodeCodePoints",
        "properties": {
            "target": context.subject,
            "summary": context.summary(),
            "bodies": {name: asdict(one) for name, one in bodies_of(context.tally)},
        },
    }
    yield json.dumps({"$schema": SCHEMA_URL, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


@define
class _Files:
    """The files of the contract to which the report refers, by their numbers: its own is the first."""

    locations: Locations
    numbers: dict[str, int] = Factory(dict)

    def __attrs_post_init__(self) -> None:
        self.location(self.locations.of(""))

    def location(self, location: Location) -> dict[str, Any]:
        """Return a location as SARIF has it."""
        number = self.numbers.setdefault(location.name, len(self.numbers))
        artifact = {"uri": quote(location.name), "index": number}
        return {"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": location.line}}}

    def artifacts(self) -> list[dict[str, Any]]:
        """Return the files. The digest is of the whole contract, as its canonical form."""
        found: list[dict[str, Any]] = [{"location": {"uri": quote(name)}} for name in self.numbers]
        found[0]["hashes"] = {"longcat-spec-sha-256": self.locations.context.spec.digest}
        return found


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


def _result(reported: ReportedFinding, rule: int, files: _Files) -> dict[str, Any]:
    finding = reported.finding
    message = (
        f"{reported.where}: the contract says {finding.expected}; seen: {finding.seen}. "
        f"{reported.times} of {reported.request}: {reported.seen_in}."
    )
    location = files.location(files.locations.of(finding.rule))
    if finding.operation:
        name = f"{finding.operation}{'' if finding.place.startswith('/') else ' '}{finding.place}".strip()
        location["logicalLocations"] = [{"name": finding.operation, "fullyQualifiedName": name, "kind": "function"}]
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": LEVELS[finding.severity],
        "message": {"text": message},
        "locations": [location],
        "partialFingerprints": {"longcatContract/v2": fingerprint(finding)},
        "occurrenceCount": reported.count,
        "properties": {
            "severity": finding.severity.value,
            "evidence": reported.evidence,
            "request": reported.request,
            "place": finding.place,
            "exchanges": reported.exchanges,
            "examples": [asdict(example) for example in reported.examples],
        },
    }
    if reported.accepted is not None:
        why = f"{reported.accepted.reason} (until {reported.accepted.expires})"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": why}]
    return result


def _invocation(context: ReportContext, files: _Files) -> dict[str, Any]:
    return {
        "executionSuccessful": not context.tally.unclear,
        "exitCode": int(verdict(context.tally, context.fail_on)),
        "startTimeUtc": f"{context.started:%Y-%m-%dT%H:%M:%SZ}",
        "toolExecutionNotifications": [_notification(reason, files) for reason in context.tally.reasons],
    }


def _notification(reason: GapReason, files: _Files) -> dict[str, Any]:
    """Return what was not judged, at the operations that it is about, or at the start of the contract."""
    operations = list(reason.operations)[:MAX_LOCATIONS] or [""]
    locations = dict.fromkeys(files.locations.of_operation(name) for name in operations)
    return {
        "level": "error" if reason.unclear else "note",
        "message": {"text": f"{reason.where}: {reason.why}"},
        "locations": [files.location(one) for one in locations],
    }
