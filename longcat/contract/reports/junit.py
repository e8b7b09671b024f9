"""`--format junit`: a test case for each exchange. Drift fails it; what was inconclusive is an error."""

from collections.abc import Iterable, Iterator, Sequence
from tempfile import SpooledTemporaryFile

from longcat.contract.model import Finding, Inconclusive
from longcat.contract.reports.context import ReportContext, findings_of, markup, reported_findings
from longcat.contract.reports.findings import ReportedFinding
from longcat.contract.reports.verdict import Event, bodies_of, verdict
from longcat.text import printable

IN_MEMORY = 1024 * 1024
"""Bytes that are held in memory. The counts stand before the cases, so the cases have to wait somewhere."""


def junit(events: Iterable[Event], context: ReportContext) -> Iterator[str]:
    """Yield the report when the last event was taken. It fits the schemas of Ant and of Jenkins."""
    cases = failures = errors = skipped = 0
    with SpooledTemporaryFile(IN_MEMORY, "w+", encoding="utf-8", newline="\n") as waiting:
        for event in events:
            found = [one for one in findings_of(event) if one.code not in context.tally.hints]
            gaps = (event,) if isinstance(event, Inconclusive) else event.gaps
            is_unclear = any(one.unclear for one in gaps)
            cases += 1
            failures += bool(found)
            errors += is_unclear and not found
            skipped += bool(gaps) and not is_unclear and not found
            waiting.write(_case(event, found, gaps))
        waiting.seek(0)
        yield '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n'
        yield (
            f'  <testsuite id="0" package="longcat.contract" name={_quoted(f"contract of {context.subject}")} '
            f'tests="{cases}" failures="{failures}" errors="{errors}" skipped="{skipped}" time="0" '
            f'timestamp="{context.started:%Y-%m-%dT%H:%M:%S}" hostname="localhost">\n    <properties>\n'
        )
        facts = {
            "spec": context.spec_name,
            "spec.sha256": context.spec.digest,
            "exit.code": str(int(verdict(context.tally, context.fail_on))),
        }
        for name, one in bodies_of(context.tally):
            facts[f"bodies of {name}"] = f"{one.read} of {one.due} read, {one.compared} compared"
        yield "".join(
            f"      <property name={_quoted(name)} value={_quoted(value)}/>\n" for name, value in facts.items()
        )
        yield "    </properties>\n"
        yield from waiting
        told = "\n".join([*context.summary(), *map(_reported_line, reported_findings((), context))])
        yield f"    <system-out>{_lines(told)}</system-out>\n    <system-err/>\n  </testsuite>\n</testsuites>\n"


def _case(event: Event, found: list[Finding], gaps: Sequence[Inconclusive]) -> str:
    """Return the case of an exchange. The schemas allow one outcome in it, so all of its findings stand in one."""
    name = event.what if isinstance(event, Inconclusive) else event.exchange.source
    if found:
        kinds = _quoted(", ".join(dict.fromkeys(finding.code for finding in found)))
        details = _lines("\n".join([*map(_line, found), *map(_gap, gaps)]))
        return _element(name, f"      <failure message={_quoted(_line(found[0]))} type={kinds}>{details}</failure>\n")
    if not gaps:
        return _element(name, "")
    is_unclear = any(one.unclear for one in gaps)
    why = _quoted("; ".join(f"{one.operation or ''}: {one.why}".removeprefix(": ") for one in gaps))
    outcome = f'error message={why} type="could-not-tell"' if is_unclear else f"skipped message={why}"
    return _element(name, f"      <{outcome}/>\n")


def _gap(gap: Inconclusive) -> str:
    return printable(f"{'could not be told' if gap.unclear else 'left out'}: {gap.why}")


def _element(name: str, body: str) -> str:
    start = f'    <testcase classname="longcat.contract" name={_quoted(name)} time="0"'
    return f"{start}>\n{body}    </testcase>\n" if body else f"{start}/>\n"


def _line(finding: Finding) -> str:
    where = " ".join(part for part in (finding.operation, finding.place) if part)
    line = f"{finding.severity.value} {finding.code} at {where}: expected {finding.expected}; seen {finding.seen}"
    return printable(line)


def _reported_line(reported: ReportedFinding) -> str:
    """Return a line on a finding, however often it was seen."""
    accepted = f"; accepted until {reported.accepted.expires}: {reported.accepted.reason}" if reported.accepted else ""
    return printable(f"{_line(reported.finding)}; {reported.times} of {reported.request}: {reported.seen_in}{accepted}")


def _lines(text: str) -> str:
    return markup(text, keep="\n")


def _quoted(text: str) -> str:
    return f'"{markup(text)}"'
