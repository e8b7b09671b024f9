"""The page that shows what was measured, its plots, and the table for the terminal."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from bench.commands import PLUGIN
from bench.experiment import Series, Spread, ratios
from bench.many_waits import DUE, NUMBERS
from bench.plot import bars, beside_goals
from bench.profiles import NO_IMPORT
from bench.report import Report, spread

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
NAME: Final = "performance"
MAX_SHARES: Final = 8
"""How many packages of a profile the page shows."""

INTRODUCTION: Final = """\
# Performance, measured

Written by `make bench` on {date}, which measures all of it anew in some ten minutes; `make bench ROWS=status,import`
prints some of it. [The same figures as JSON]({name}.json), with the quartiles of each.

A ratio compares two subjects that took turns, A B B A, in one run: a round gives one ratio, the table the median of all
rounds and, in brackets, the quartiles. What is spread too far to say anything is measured once more, and no page is
written if it is so again. µs and ms are CPU time: of the process that is measured, or of a whole command with the start
of its interpreter. s is time on the wall, and so are questions a second. The server is a bare asyncio protocol in a
process of its own on the same machine. longcat was installed from its wheel, without extras where nothing else is said.

An experiment is what one process measures together. The same subject in two of them has two figures, of different
minutes, and only those of one experiment can be compared: so each figure says of which it is.

The goals are our own. One that is missed says so."""

RATES: Final = """\
## Questions a second

`AsyncLongCat` waits for 500 requests that are never done, and asks as often as its `max_in_flight` of 20 lets it; the
others keep as many questions in flight as the table says, with pools without bounds. A turn lasts two seconds at least,
and in it each of those in flight is asked twice at least. The server's share of a CPU tells that the server bounds none
of them while it is well below 100 %. In `waiting`, longcat is installed without extras. In `peers-waiting`, it has
connections of its own, too, beside those of the clients that a caller can give it."""

FAST: Final = """\
Three transports could have been what the extra `fast` brings. A client of httpx2 behaves as one of httpx does, and
needs no extra. Pyreqwest's transport, however quick it is, makes one timeout of the sum of all four: a host that can't
be reached is noticed only after that sum. Httpx-aiohttp's keeps each of them, so it is the one brought; it works
on asyncio, not trio. Neither traces what becomes of a connection, and
[the tutorial](tutorial.md#your-own-http-client) has what comes of that."""

WAITS: Final = f"""\
## Many waits at once

None of the requests is done before all have been asked about, so that all are waited for at the same time. The policy
is `AdaptivePolling(min_interval=number / {DUE})`, with which {DUE} questions a second are due at most, however many
requests there are. With the usual policy, more requests ask more questions a second, and these figures would tell how
busy the client is, not what a wait costs. Memory is that over an idle client's, at its most; the lag is how late the
event loop wakes a task, in 99 % of all times at most."""

PROFILES: Final = f"""\
## Where the time goes

In percent of the CPU time of each, the {MAX_SHARES} largest shares by package: `profile` and `peers-profile` look every
few milliseconds which module runs, and what is written in C counts for the module that called it. Of the import and the
first answer it is time on the wall, by what each import takes without those in it; `{NO_IMPORT}` is the answer
itself. The modules of the schedule, in `longcat.waiting.schedule`, count one by one."""

PEERS: Final = """\
## A question beside other libraries

One blocking question about one request, its answer read as each library reads it, and the import of each in a new
interpreter, without the interpreter's start. The libraries of fal, Replicate, Runway and OpenAI ask what their own
services answer, of the same server. Those with a dash were not asked."""

WITH: Final = "## What it was measured with"


def short(value: float) -> str:
    """Return a number with as many digits as say something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"  # noqa: PLR2004


def cell(one: Spread) -> str:
    """Return a spread as a cell of a table: the median, and the quartiles in brackets."""
    return f"{short(one.median)} ({short(one.low)} to {short(one.high)})"


def line(*cells: str) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(cells)} |"


def head(*cells: str) -> Iterator[str]:
    """Yield the first two lines of a table."""
    yield line(*cells)
    yield line(*["---"] * len(cells))


def table(report: Report) -> Iterator[str]:
    """Yield the table of all rows."""
    yield from head("what", "goal", "measured", "holds", "ours", "the other", "experiment")
    for result in report.results():
        row = result.row
        value = cell(result.value) if result.other else f"{cell(result.value)} {row.unit}"
        other = f"{short(result.other.median)} {row.unit}" if result.other else "-"
        best = f": {result.other_name}" if isinstance(row.other, tuple) else ""
        yield line(
            *(row.what + best, f"{row.bound} {row.goal:g}", value, "yes" if result.holds else "**no**"),
            *(f"{short(result.ours.median)} {row.unit}", other, f"`{row.experiment}`"),
        )
    for row in report.missing():
        yield line(
            row.what,
            f"{row.bound} {row.goal:g}",
            "not measured: the other is not installed",
            *"---",
            f"`{row.experiment}`",
        )


def rates(report: Report) -> Iterator[str]:
    """Yield the table of questions a second."""
    yield from head("experiment", "client", "questions a second", "CPU, µs each", "server, % of a CPU")
    for (experiment, name), figures in rates_of(report).items():
        yield line(f"`{experiment}`", name, *(cell(Spread.of(one)) for one in figures))


def rates_of(report: Report) -> Mapping[tuple[str, str], list[list[float]]]:
    """Return for each experiment and client its questions a second, the CPU time of one, and the server's share."""
    return {
        (experiment, name): [figures, series[f"{name}, CPU"], series[f"{name}, server"]]
        for experiment in ("waiting", "peers-waiting")
        for series in [report.series.get(experiment, {})]
        for name, figures in series.items()
        if f"{name}, CPU" in series
    }


def waits(report: Report) -> Iterator[str]:
    """Yield the table of many waits."""
    series = report.series.get("waits", {})
    yield from head("waits at once", "CPU of a question, µs", "memory over idle, MiB", "lag, 99 %, ms")
    for number in NUMBERS:
        quantities = [series.get(f"{number} waits, {quantity}") for quantity in ("CPU", "memory", "lag")]
        yield line(number, *(cell(Spread.of(figures)) if figures else "-" for figures in quantities))


def profiles(report: Report) -> Iterator[str]:
    """Yield the table of where the time goes."""
    yield from head("what", "largest shares, %", "all others, %")
    found: dict[str, dict[str, float]] = {}
    for experiment in ("profile", "peers-profile"):
        for name, figures in report.series.get(experiment, {}).items():
            subject, _, package = name.partition(": ")
            found.setdefault(subject, {})[package] = figures[0]
    for subject, shares in found.items():
        largest = sorted(shares.items(), key=lambda item: -item[1])[:MAX_SHARES]
        others = 100 - sum(share for _, share in largest)
        yield line(subject, ", ".join(f"{package} {share:.0f}" for package, share in largest), f"{others:.0f}")


def peers(report: Report) -> Iterator[str]:
    """Yield the table of other libraries: a question, and an import."""
    asked, imported = report.series.get("peers", {}), report.series.get("peers-import", {})
    modules = {name.partition(".")[0].replace("_", "-"): name for name in imported if name != PLUGIN}
    yield from head(
        *("library", "a question (`peers`), CPU µs", "times httpx's"),
        *("import (`peers-import`), CPU ms", "times httpx's"),
    )
    for name in dict.fromkeys([*asked, *modules]):
        yield line(name, *_beside_httpx(asked, name), *_beside_httpx(imported, modules.get(name, "")))


def _beside_httpx(series: Series, name: str) -> tuple[str, str]:
    if name not in series:
        return "-", "-"
    return cell(Spread.of(series[name])), short(Spread.of(ratios(series[name], series["httpx"])).median)


def environment(report: Report) -> Iterator[str]:
    """Yield the table of the machine and the versions."""
    yield from head("what", "which")
    for name, value in {**report.machine, **report.versions}.items():
        yield line(name, value)


def page(report: Report) -> str:
    """Return the page."""
    introduction = INTRODUCTION.format(date=report.date, name=NAME)
    parts = [
        *(introduction, f"![Each row beside its goal]({NAME}-goals.svg)", "\n".join(table(report))),
        *(RATES, f"![Questions a second]({NAME}-rates.svg)", "\n".join(rates(report)), FAST),
        *(WAITS, "\n".join(waits(report))),
        *(PROFILES, "\n".join(profiles(report))),
        *(PEERS, "\n".join(peers(report)), WITH, "\n".join(environment(report))),
    ]
    return "\n\n".join(parts) + "\n"


def write(report: Report, folder: Path = DOCS) -> None:
    """Write the page, its plots, and the figures."""
    (folder / f"{NAME}.md").write_text(page(report), "utf-8")
    (folder / f"{NAME}.json").write_text(json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n", "utf-8")
    (folder / f"{NAME}-goals.svg").write_text(beside_goals(list(report.results())), "utf-8")
    medians = {
        f"{name} ({experiment})": spread(Spread.of(figures))["median"]
        for (experiment, name), (figures, _, _) in rates_of(report).items()
    }
    (folder / f"{NAME}-rates.svg").write_text(bars("Questions a second", medians), "utf-8")
