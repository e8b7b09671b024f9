"""`--format html`: one page that needs nothing else. No script runs in it, and what was seen is only ever text."""

from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import Final

from longcat.contract.codes import CODES
from longcat.contract.reports.context import ReportContext, markup, reported_findings
from longcat.contract.reports.findings import ReportedFinding, fingerprint
from longcat.contract.reports.verdict import BodyCount, Event, Tally, bodies_of, verdict

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
PAGE_END: Final = "</main>\n</body>\n</html>\n"
ANSWERS: Final = {0: ("fine", "It agrees"), 1: ("no", "Drift"), 3: ("unclear", "Could not tell")}


def html(events: Iterable[Event], context: ReportContext) -> Iterator[str]:
    """Yield the page when the last event was taken: the worst comes first."""
    findings = reported_findings(events, context)
    kind, answer = ANSWERS[int(verdict(context.tally, context.fail_on))]
    style = (files(__package__) / "report.css").read_text("utf-8")
    when = f"{context.started:%Y-%m-%d at %H:%M} UTC"
    about = f"Checked on {when} against {context.spec_name}, SHA-256 {context.spec.digest[:12]}."
    yield page_start(f"{answer}: {context.subject}", f"Contract of {context.subject}", about, style)
    sentences = "".join(f"<p>{markup(sentence)}</p>\n" for sentence in context.summary())
    yield f'<section class="answer {kind}" aria-label="Result">\n<p>{answer}</p>\n{sentences}</section>\n'
    for title, accepted in (("Findings", False), ("Accepted by the baseline", True)):
        shown = [reported for reported in findings if (reported.accepted is not None) is accepted]
        if shown:
            yield f"<section>\n<h2>{title}</h2>\n"
            yield from map(_finding, shown)
            yield "</section>\n"
    yield from gap_sections(context.tally)
    bodies = bodies_of(context.tally)
    if bodies:
        yield "<section>\n<h2>What it rests on</h2>\n<table>\n"
        yield "<tr><th>Operation</th><th>Bodies</th><th>Read</th><th>Compared</th></tr>\n"
        yield from (_row(*one) for one in bodies)
        yield "</table>\n</section>\n"
    yield PAGE_END


def page_start(title: str, heading: str, about: str, style: str) -> str:
    """Return a page up to where its contents begin. `about` is a sentence below the heading.

    `style` is the CSS of this page, which follows that of all pages.
    """
    style_of_all = (files(__package__) / "page.css").read_text("utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="referrer" content="no-referrer">\n<title>{markup(title)}</title>\n'
        f"<style>\n{style_of_all}{style}</style>\n</head>\n<body>\n<header>\n<h1>{markup(heading)}</h1>\n"
        f'<p class="quiet">{markup(about)}</p>\n</header>\n<main>\n'
    )


def gap_sections(tally: Tally) -> Iterator[str]:
    """Yield what was inconclusive, and what was left out, each as a section with a list of reasons."""
    for title, reasons in tally.gaps():
        items = "".join(f"<li>{markup(why)}: {markup(what)}</li>\n" for why, what in reasons.items())
        yield f"<section>\n<h2>{title}</h2>\n<ul>\n{items}</ul>\n</section>\n"


def _row(operation: str, count: BodyCount) -> str:
    numbers = "".join(f"<td>{number}</td>" for number in (count.due, count.read, count.compared))
    return f"<tr><td><code>{markup(operation)}</code></td>{numbers}</tr>\n"


def _examples(reported: ReportedFinding) -> str:
    """Return the first places where a finding was seen, and how often it was."""
    items = []
    for one in reported.examples:
        place = f" at <code>{markup(one.pointer)}</code>" if one.pointer.startswith("/") else ""
        seen = f": <code>{markup(one.seen)}</code>" if one.seen != reported.finding.seen else ""
        items.append(f"<li>{markup(one.source)}{place}{seen}</li>")
    return f"{reported.times}<ul>{''.join(items)}</ul>"


def _finding(reported: ReportedFinding) -> str:
    finding, name = reported.finding, fingerprint(reported.finding)
    severity = "accepted" if reported.accepted else finding.severity.value
    rows = [
        ("Where", f"<code>{markup(reported.where)}</code>"),
        ("Request", f"<code>{markup(reported.request)}</code>"),
        ("The contract says", markup(finding.expected)),
        ("Seen", f"<code>{markup(finding.seen)}</code>"),
        ("Seen in", _examples(reported)),
        ("Evidence", markup("; ".join(reported.evidence))),
    ]
    if finding.rule:
        rows.append(("Rule", f"<code>{markup(finding.rule)}</code>"))
    if finding.code in CODES:
        code = CODES[finding.code]
        rows += [("It means", markup(code.meaning)), ("It hurts", markup(code.hurts)), ("Do", markup(code.do))]
    if reported.accepted is not None:
        rows.append((f"Accepted until {reported.accepted.expires}", markup(reported.accepted.reason)))
    listed = "".join(f"<dt>{title}</dt><dd>{value}</dd>\n" for title, value in rows)
    return (
        f'<article id="f-{name}">\n<h3><span class="sign {severity}">{severity}</span> {markup(finding.code)}</h3>\n'
        f"<dl>\n{listed}</dl>\n</article>\n"
    )
