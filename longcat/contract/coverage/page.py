"""`--format html`: one page that needs nothing else: a tree of operations, answers and fields, with bars and filters.

No script runs in it. The filters are radio buttons, and the rules of its style that go by them (`:has()`); a browser
that does not know these shows everything.
"""

import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Final

from longcat.contract.coverage.items import ItemKind
from longcat.contract.coverage.results import ReportedItem, SeenState, Totals
from longcat.contract.coverage.summary import NAMES, CoverageContext, origins, percent
from longcat.contract.reports.context import markup
from longcat.contract.reports.findings import ORIGINS
from longcat.contract.reports.html import ANSWERS, PAGE_END, gap_sections, page_start

STATE_FILTERS: Final = {"all": "all", SeenState.SEEN: "seen", SeenState.NEVER: "never seen", SeenState.STALE: "stale"}
ANY: Final = "any"
ANY_METHOD: Final = "-"
"""What stands for all methods where `_css_name` stands for one: a contract may well have a method ANY."""
MAX_UNFOLDED: Final = 300
"""A page with more items than these is folded at first."""
_FOLDS: Final = frozenset({ItemKind.OPERATION, ItemKind.STATUS})


def page(context: CoverageContext) -> Iterator[str]:
    """Yield the page."""
    result = context.result
    methods = list(dict.fromkeys(one.method for one in result.coverage.spec.operations))
    style = (files(__package__) / "coverage.css").read_text("utf-8")
    kind = ANSWERS[int(context.verdict)][0]
    title, when = f"Contract coverage of {context.subject}", f"{context.started:%Y-%m-%d at %H:%M} UTC"
    about = f"Counted on {when} for {context.spec_name}, SHA-256 {result.coverage.spec.digest[:12]}."
    yield page_start(title, title, about, style + "".join(_rules(methods)))
    sentences = "".join(f"<p>{markup(sentence)}</p>\n" for sentence in context.sentences())
    yield f'<section class="answer {kind}" aria-label="Result">\n{sentences}</section>\n'
    yield from _overview(result.totals)
    yield from _filters(methods)
    is_open = result.totals.all.total() <= MAX_UNFOLDED
    yield '<ul class="tree">\n'
    for entry in result.entries():
        yield from _entry(entry, entry.sighting.times.total(), is_open=is_open)
    yield "</ul>\n"
    yield from gap_sections(context.tally)
    yield PAGE_END


def _overview(totals: Totals) -> Iterator[str]:
    """Yield a table: it says how much of each kind was seen, altogether and by origin."""
    known = [origin for origin in ORIGINS if origin in totals.by_origin]
    columns = "".join(f'<th scope="col">{origin}</th>' for origin in known)
    yield (
        '<div class="wide"><table>\n<thead>\n<tr><th scope="col">Kind</th><th scope="col">Seen</th>'
        f'<th scope="col">Of</th><th scope="col" colspan="2">Percent</th><th scope="col">Stale</th>{columns}</tr>\n'
        "</thead>\n<tbody>\n"
    )
    for kind, name in NAMES.items():
        if totals.all[kind]:
            cells = "".join(f"<td>{totals.by_origin[origin][kind]:,}</td>" for origin in known)
            yield (
                f'<tr><th scope="row">{name}</th><td>{totals.seen[kind]:,}</td><td>{totals.all[kind]:,}</td>'
                f"<td>{_bar(totals.percent(kind))}</td><td>{percent(totals.percent(kind))}</td>"
                f"<td>{totals.stale[kind]:,}</td>{cells}</tr>\n"
            )
    yield "</tbody>\n</table></div>\n"


# --- Filters.


def _filters(methods: list[str]) -> Iterator[str]:
    yield '<form class="filters">\n'
    yield from _choice("Show", "state", STATE_FILTERS)
    yield from _choice("From", "origin", {ANY: ANY, **{one: one for one in ORIGINS}})
    yield from _choice("Method", "method", {ANY_METHOD: ANY, **{_css_name(one): one for one in methods}})
    yield '<label class="all"><input type="checkbox" id="unfold"> unfold all</label>\n</form>\n'


def _choice(title: str, name: str, options: dict[str, str]) -> Iterator[str]:
    yield f"<fieldset>\n<legend>{title}</legend>\n"
    for number, (value, words) in enumerate(options.items()):
        checked = " checked" if number == 0 else ""
        yield (
            f'<label><input type="radio" name="{name}" id="{name}-{markup(value)}"{checked}> {markup(words)}</label>\n'
        )
    yield "</fieldset>\n"


def _rules(methods: list[str]) -> Iterator[str]:
    """Yield the style's rules. They hide each item that does not fit a filter and holds no other that does."""
    for state in STATE_FILTERS:
        for origin in (ANY, *ORIGINS):
            seen_there = "" if origin == ANY else f".from-{origin}"
            if state == SeenState.NEVER:
                fitting = f".{state}" if origin == ANY else f".counts:not({seen_there})"
            elif state == "all":
                fitting = seen_there
            else:
                fitting = f".{state}{seen_there}"
            if fitting:
                chosen = f"body:has(#state-{state}:checked):has(#origin-{origin}:checked)"
                yield f"{chosen} .item:not({fitting}):not(:has({fitting})) {{ display: none; }}\n"
    for method in map(_css_name, methods):
        yield f"body:has(#method-{method}:checked) .tree > .item:not(.method-{method}) {{ display: none; }}\n"


def _css_name(method: str) -> str:
    """Return a name in CSS and HTML that no other method has. A contract may have methods of any characters."""
    return re.sub("[^a-z0-9]", lambda found: f"-{ord(found[0]):x}-", method.lower())


# --- The tree.


def _entry(entry: ReportedItem, most: int, *, is_open: bool) -> Iterator[str]:
    """Yield an entry with all in it. `most` is how often its operation was seen."""
    seen_in = [f"from-{origin}" for origin in ORIGINS if entry.sighting.times[origin]]
    classes = ["item", *(["counts", entry.kind.value, entry.state.value] if entry.kind else ["group"]), *seen_in]
    if entry.kind is ItemKind.OPERATION:
        classes.append(f"method-{_css_name(entry.name.partition(' /')[0])}")
    line = "".join(_line(entry, most))
    yield f'<li class="{markup(" ".join(classes))}">'
    if entry.entries and (entry.kind in _FOLDS):
        yield f"<details{' open' if is_open else ''}><summary>{line}</summary>\n"
    else:
        yield f"<div>{line}</div>\n"
    if entry.entries:
        yield "<ul>\n"
        for one in entry.entries:
            yield from _entry(one, most, is_open=is_open)
        yield "</ul>\n"
    yield "</details></li>\n" if entry.entries and entry.kind in _FOLDS else "</li>\n"


def _line(entry: ReportedItem, most: int) -> Iterator[str]:
    name = f"<code>{markup(entry.name or '(empty)')}</code>"
    if entry.kind is None:
        yield f"{name}"
        return
    times = entry.sighting.times.total()
    kind = "" if entry.kind is ItemKind.OPERATION else f'<span class="kind">{entry.kind.value}</span>'
    yield f'<span class="name">{name} {kind}</span>'
    if entry.kind is ItemKind.OPERATION:
        totals = entry.totals
        share = totals.percent()
        yield f'{_bar(share)}<span class="share">{percent(share)} of {totals.all.total():,} items</span>'
    else:
        yield _bar(100 * times / most if most else 0)
    if times:
        stale = "<strong>stale</strong> " if entry.state is SeenState.STALE else ""
        yield f'<span class="when">{stale}{origins(entry, dated=True)}</span>'
    else:
        inside = entry.totals.all.total() - 1
        more = f", nor the {inside:,} in it" if inside else ""
        yield f'<span class="when"><strong>never seen</strong>{more}</span>'


def _bar(share: float) -> str:
    return f'<span class="bar" aria-hidden="true"><i style="width:{share:.0f}%"></i></span>'
