"""`--format sarif`: SARIF 2.1.0, for code scanning. A finding stands where the broken rule does, in the contract."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from longcat._version import __version__
from longcat.contract.codes import CODES
from longcat.contract.model import Severity
from longcat.contract.reports.context import ReportContext, describe_places, grouped
from longcat.contract.reports.findings import ReportedFinding, fingerprint
from longcat.contract.reports.verdict import ORIGINS, Event, verdict
from longcat.pointer import split

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS: Final = {Severity.BREAKING: "error", Severity.ADDITIVE: "warning", Severity.NOTICE: "note"}


def sarif(events: Iterable[Event], context: ReportContext) -> Iterator[str]:
    """Yield the report when the last event was taken; findings of one kind are one result with a count."""
    groups = grouped(events, context)
    names = list(dict.fromkeys([*CODES, *(group.finding.code for group in groups)]))
    line_of = line_finder(context.spec_file)
    results = [
        _result(group, names.index(group.finding.code), context, line_of(group.finding.rule)) for group in groups
    ]
    artifact = {"location": {"uri": context.spec_name}, "hashes": {"longcat-spec-sha-256": context.spec.digest}}
    run = {
        "tool": {
            "driver": {
                "name": "longcat contract",
                "semanticVersion": __version__,
                "rules": [_rule(name) for name in names],
            }
        },
        "invocations": [_invocation(context)],
        "artifacts": [artifact],
        "results": results,
        "columnKind": "unicodeCodePoints",
        "properties": {"target": context.subject, "summary": context.summary()},
    }
    yield json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


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


def _result(group: ReportedFinding, rule: int, context: ReportContext, line: int) -> dict[str, Any]:
    finding = group.finding
    message = f"{group.where}: the contract says {finding.expected}; seen: {finding.seen}. Seen in: {group.seen_in}."
    origins = list(dict.fromkeys(exchange.origin for exchange in group.examples))
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": {"uri": context.spec_name, "index": 0}, "region": {"startLine": line}}
    }
    if finding.operation:
        name = f"{finding.operation}{'' if finding.pointer.startswith('/') else ' '}{finding.pointer}".strip()
        location["logicalLocations"] = [{"name": finding.operation, "fullyQualifiedName": name, "kind": "function"}]
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": LEVELS[finding.severity],
        "message": {"text": message},
        "locations": [location],
        "partialFingerprints": {"longcatContract/v1": fingerprint(finding)},
        "occurrenceCount": group.count,
        "properties": {"severity": finding.severity.value, "evidence": [ORIGINS[origin] for origin in origins]},
    }
    if group.accepted is not None:
        why = f"{group.accepted.reason} (until {group.accepted.expires})"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": why}]
    return result


def _invocation(context: ReportContext) -> dict[str, Any]:
    return {
        "executionSuccessful": not context.tally.unclear,
        "exitCode": int(verdict(context.tally, context.fail_on)),
        "startTimeUtc": f"{context.started:%Y-%m-%dT%H:%M:%SZ}",
        "toolExecutionNotifications": [
            {
                "level": "error" if reason.unclear else "note",
                "message": {"text": f"{describe_places(reason)}: {reason.why}"},
            }
            for reason in context.tally.reasons
        ],
    }


def line_finder(path: Path) -> Callable[[str], int]:
    """Return a function from a JSON pointer to its line, counted from 1: the nearest parent's where it has none.

    JSON is YAML, so one parser will do for both. A file that can't be read has one line.
    """
    import yaml  # type: ignore[import-untyped]  # noqa: PLC0415 - only this report needs it, and it is slow to import.

    try:
        document = yaml.compose(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, ValueError, yaml.YAMLError):
        document = None

    def line_of(pointer: str) -> int:
        node, line = document, 1
        for name in split(pointer):
            children = node.value if isinstance(node, yaml.CollectionNode) else ()
            if isinstance(node, yaml.MappingNode):
                found = next(((key, value) for key, value in children if key.value == name), None)
            else:
                found = next(((item, item) for index, item in enumerate(children) if str(index) == name), None)
            if found is None:
                break
            node, line = found[1], found[0].start_mark.line + 1
        return line

    return line_of
