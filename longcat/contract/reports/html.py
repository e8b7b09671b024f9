"""`--format html`: one page that needs nothing else. No script runs in it, and what was seen is only ever text."""

from collections.abc import Iterable, Iterator
from typing import Final

from longcat.contract.codes import CODES
from longcat.contract.reports.context import FindingGroup, ReportContext, grouped, markup
from longcat.contract.reports.verdict import EVIDENCE, Event, fingerprint, verdict

STYLE: Final = """
:root { color-scheme: light dark; --ground: #fff; --text: #1c1e21; --quiet: #5b6169; --line: #d8dce1; --code: #f3f4f6;
  --breaking: #b3261e; --additive: #8a5a00; --notice: #1f5fa8; --fine: #1b6e3c; }
@media (prefers-color-scheme: dark) { :root { --ground: #15171a; --text: #e7e9ec; --quiet: #a3a9b1; --line: #363b42;
  --code: #22262b; --breaking: #ff8a80; --additive: #f0b94d; --notice: #8ab8f5; --fine: #7ad39a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 60rem; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0 0 .25rem; font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.15rem; }
h3 { margin: 0; font-size: 1rem; overflow-wrap: anywhere; }
code { padding: .1em .3em; border-radius: 4px; background: var(--code); font: .875em/1.5 ui-monospace, monospace;
  overflow-wrap: anywhere; }
.quiet { margin: 0; color: var(--quiet); font-size: .875rem; overflow-wrap: anywhere; }
.answer { margin: 1.25rem 0; padding: .75rem 1rem; border: 1px solid var(--line); border-left: 6px solid var(--fine);
  border-radius: 6px; }
.answer p { margin: 0; } .answer p:first-child { font-size: 1.1rem; font-weight: 600; }
.answer.no { border-left-color: var(--breaking); } .answer.unclear { border-left-color: var(--additive); }
article { margin: 0 0 1rem; padding: .9rem 1rem; border: 1px solid var(--line); border-radius: 6px;
  break-inside: avoid; }
.sign { display: inline-block; margin-right: .4rem; padding: 0 .5em; border: 1px solid; border-radius: 1em;
  font-size: .8125rem; }
.breaking { color: var(--breaking); } .additive { color: var(--additive); } .notice { color: var(--notice); }
.accepted { color: var(--quiet); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem; margin: .7rem 0 0; }
dt { color: var(--quiet); } dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
ul { margin: 0; padding-left: 1.2rem; } li { overflow-wrap: anywhere; }
@media (max-width: 32rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; } }
@media print { :root { --ground: #fff; --text: #000; --quiet: #444; --line: #999; --code: #eee; --breaking: #b3261e;
  --additive: #8a5a00; --notice: #1f5fa8; } body { max-width: none; padding: 0; font-size: 11pt; } }
"""
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
ANSWERS: Final = {0: ("fine", "It agrees"), 1: ("no", "Drift"), 3: ("unclear", "Could not tell")}


def html(events: Iterable[Event], context: ReportContext) -> Iterator[str]:
    """Yield the page when the last event was taken: the worst comes first."""
    groups = grouped(events)
    kind, answer = ANSWERS[int(verdict(context.tally, context.fail_on))]
    target = markup(context.target)
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="referrer" content="no-referrer">\n<title>{answer}: {target}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>Contract of {target}</h1>\n"
        f'<p class="quiet">Checked on {context.started:%Y-%m-%d at %H:%M} UTC against {markup(context.spec_name)}, '
        f"SHA-256 {context.spec.digest[:12]}.</p>\n</header>\n<main>\n"
    )
    sentences = "".join(f"<p>{markup(sentence)}</p>\n" for sentence in context.summary())
    yield f'<section class="answer {kind}" aria-label="Result">\n<p>{answer}</p>\n{sentences}</section>\n'
    for title, accepted in (("Findings", False), ("Accepted by the baseline", True)):
        shown = [group for group in groups if (group.accepted is not None) is accepted]
        if shown:
            yield f"<section>\n<h2>{title}</h2>\n"
            yield from map(_finding, shown)
            yield "</section>\n"
    for title, told in context.gaps():
        items = "".join(f"<li>{markup(why)}: {markup(what)}</li>\n" for why, what in told.items())
        yield f"<section>\n<h2>{title}</h2>\n<ul>\n{items}</ul>\n</section>\n"
    yield "</main>\n</body>\n</html>\n"


def _finding(group: FindingGroup) -> str:
    finding, name = group.finding, fingerprint(group.finding)
    severity = "accepted" if group.accepted else finding.severity.value
    rows = [
        ("Where", f"<code>{markup(group.where)}</code>"),
        ("The contract says", markup(finding.expected)),
        ("Seen", f"<code>{markup(finding.seen)}</code>"),
        ("Seen in", f"{markup(group.seen_in)} (times: {group.count})"),
        ("Evidence", markup("; ".join(dict.fromkeys(EVIDENCE[exchange.origin] for exchange in group.places)))),
    ]
    if finding.rule:
        rows.append(("Rule", f"<code>{markup(finding.rule)}</code>"))
    if finding.code in CODES:
        code = CODES[finding.code]
        rows += [("It means", markup(code.meaning)), ("It hurts", markup(code.hurts)), ("Do", markup(code.do))]
    if group.accepted is not None:
        rows.append((f"Accepted until {group.accepted.expires}", markup(group.accepted.reason)))
    listed = "".join(f"<dt>{title}</dt><dd>{value}</dd>\n" for title, value in rows)
    return (
        f'<article id="f-{name}">\n<h3><span class="sign {severity}">{severity}</span> {markup(finding.code)}</h3>\n'
        f"<dl>\n{listed}</dl>\n</article>\n"
    )
