"""`--format markdown`: for the summary of a CI job, or an issue. No name of a contract can break out of its cell."""

from collections.abc import Iterator
from typing import Final

from longcat.contract.coverage.results import SeenState
from longcat.contract.coverage.summary import HEADINGS, NAMES, CoverageContext, cells, day, missing, percent
from longcat.contract.reports.markdown import code, gap_lists, plain

MAX_ROWS: Final = 500
"""How many rows a table has: the summary of a job takes 1 MiB."""


def markdown(context: CoverageContext) -> Iterator[str]:
    """Yield the report: how much of each kind, each operation that was seen, and what was not."""
    totals = context.result.totals
    yield f"## Contract coverage: {plain(context.subject)}\n\n"
    yield "".join(f"- {plain(sentence)}\n" for sentence in context.sentences())
    yield "\n| Kind | Seen | Of | Percent | Stale |\n| --- | ---: | ---: | ---: | ---: |\n"
    for kind, name in NAMES.items():
        if totals.all[kind]:
            share = percent(totals.percent(kind))
            yield f"| {name} | {totals.seen[kind]} | {totals.all[kind]} | {share} | {totals.stale[kind]} |\n"
    rows: list[str] = []
    missed: list[str] = []
    for entry in context.result.entries():
        if entry.sighting.times and len(rows) <= MAX_ROWS:
            name, *others = cells(entry)
            rows.append(f"| {' | '.join((code(name), *others))} |\n")
        for one in missing([entry]):
            if len(missed) <= MAX_ROWS:
                last = day(one.entry.sighting.latest) if one.entry.state is SeenState.STALE else "never"
                missed.append(f"| {code(one.where)} | {one.inside or ''} | {last} |\n")
    if rows:
        aligned = ["---", *["---:"] * (len(HEADINGS) - 3), "---", "---"]
        yield f"\n| {' | '.join(HEADINGS)} |\n| {' | '.join(aligned)} |\n"
        yield from _bounded(rows)
    if missed:
        yield "\n### Not seen\n\n| Where | In it | Last |\n| --- | ---: | --- |\n"
        yield from _bounded(missed)
    yield from gap_lists(context.tally)
    digest = context.result.coverage.spec.digest[:12]
    yield f"\nOf {code(context.spec_name)} (SHA-256 {code(digest)}), at {context.started:%Y-%m-%d %H:%M} UTC.\n"


def _bounded(rows: list[str]) -> Iterator[str]:
    yield from rows[:MAX_ROWS]
    if len(rows) > MAX_ROWS:
        yield "\nMore are left out here.\n"
