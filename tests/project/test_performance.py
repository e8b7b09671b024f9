"""`make bench` with little work, and how many functions the most frequent steps call."""

import asyncio
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final
from xml.etree import ElementTree as ET

import pytest
from bench import __main__ as program
from bench import calls, commands, har, many_waits, profiles, rates
from bench.experiment import Effort, Series, Spread, in_turn
from bench.page import page, write
from bench.report import Report
from bench.rows import EXPERIMENTS, ROWS
from bench.server import COMPLETED, PROCESSING, Answering, serving
from pages import DOCS, README, text_of

from longcat import AsyncLongCat
from longcat.cli import main
from longcat.gateway.gateways import Gateways
from longcat.gateway.messages import Answer

TINY: Final = Effort(2, 0.001)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Return the URL of the benchmark's server."""
    with serving() as url:
        yield url


def rows(experiment: str) -> set[str]:
    """Return the names of the series that the rows take from an experiment."""
    taken = [row for row in ROWS if row.experiment == experiment]
    others = [(row.other,) if isinstance(row.other, str) else row.other or () for row in taken]
    return {row.ours for row in taken} | {name for names in others for name in names}


# --- What is measured.


@pytest.mark.parametrize("name", ["status", "parse", "plan"])
def test_single_calls(name: str, url: str) -> None:
    """Each call that is timed works, and has a figure for each round; the rows take their figures from these."""
    series = EXPERIMENTS[name].measure(url, TINY)
    assert rows(name) <= set(series)
    assert all(len(figures) == 2 and min(figures) > 0 for figures in series.values())


def test_questions_a_second(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that are never done ask the server, which counts and tells what it needed; so do questions in flight."""
    monkeypatch.setattr(rates, "MANY", 20)
    series = rates.rates({"longcat": rates.waiting, "raw": rates.raw("httpx", 2)}, url, Effort(1, 0.005))
    assert set(series) == {name + what for name in ("longcat", "raw") for what in ("", ", CPU", ", server")}
    assert min(series["longcat"] + series["raw, CPU"]) > 0


def test_many_waits(url: str) -> None:
    """None of many waits is done before all of them have asked; who has to ask again does so after a pause."""
    began = time.monotonic()
    taken = asyncio.run(many_waits.waits(url, 10, 2))
    due = many_waits.DUE * (time.monotonic() - began)
    assert set(taken) == {"CPU", "memory", "lag", "questions"}
    assert 2 * (10 + 1) <= taken["questions"] <= max(2 * (10 + 10), 2 * 10 + due)


@pytest.mark.parametrize("name", profiles.PLAIN)
def test_profiles(name: str, url: str) -> None:
    """What is profiled works, and its figures have its name."""
    series = profiles.profiles({name: profiles.PLAIN[name]}, url, TINY)
    assert all(subject.startswith(f"{name}: ") for subject in series)


def test_samples() -> None:
    """Samples tell which packages run, in percent of the whole."""
    found: Counter[str] = Counter()
    pauses = calls.planning(progress=True)
    with profiles.sampled(found):
        while not any(name.startswith(profiles.SCHEDULE) for name in found):
            next(pauses)
    assert sum(share for (share,) in profiles.shares("plan", found).values()) == pytest.approx(100)


def test_profile_of_imports(url: str) -> None:
    """That of the first answer tells what imports take, and what the rest."""
    names = {name.partition(": ")[2] for name in profiles.first_answer(url, TINY)}
    assert {"httpx", "longcat.sending", profiles.STANDARD, profiles.NO_IMPORT} <= names


def test_processes(url: str) -> None:
    """The CPU time of a process is that of the whole, or only that of some statements in it."""
    nothing, busy = "pass", "sum(range(10**6))"
    runs = {
        "whole": commands.whole([sys.executable, "-c", nothing], url),
        "nothing": commands.timed(nothing, url),
        "busy": commands.timed(busy, url),
    }
    series = in_turn(runs, 1)
    assert min(series["whole"] + series["busy"]) > max(series["nothing"])


def test_traffic(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exchanges of the HAR keep the contract, and so both tools have the same work with it."""
    har.write(tmp_path / "traffic.har", 12)
    code = main(["contract", "check", str(tmp_path / "traffic.har"), "--spec", str(har.CONTRACT)])
    assert (code, "12 exchanges" in capsys.readouterr().out) == (0, True)


def test_peers() -> None:
    """The rows that need other libraries take their figures from subjects that there are."""
    assert rows("peers") <= set(calls.PEERS)
    assert rows("peers-waiting") <= set(rates.PEERS)
    assert rows("waiting") <= set(rates.PLAIN)
    assert rows("import") <= set(commands.IMPORTS["plain"])
    assert rows("peers-import") <= set(commands.IMPORTS["peers"])
    assert {row.experiment for row in ROWS} <= set(EXPERIMENTS)


# --- What becomes of the figures.


def test_turns() -> None:
    """Subjects take turns, in every other round from the last to the first."""
    order: list[str] = []

    def note(name: str) -> float:
        order.append(name)
        return 1.0

    subjects: dict[str, Callable[[], float]] = {name: partial(note, name) for name in "abc"}
    in_turn(subjects, 3)
    assert "".join(order) == "abccbaabc"


def test_spread() -> None:
    """The spread of figures is their median, and the quartiles; of one figure, it is that figure."""
    assert Spread.of([1.0, 2.0, 3.0, 4.0, 5.0]) == Spread(3.0, 2.0, 4.0)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0)


def report(figures: Callable[[str], list[float]] = lambda _: [2.0, 2.0]) -> Report:
    """Return a report in which each series has such figures."""
    series: dict[str, Series] = {name: {one: figures(one) for one in {*rows(name), "httpx"}} for name in EXPERIMENTS}
    return Report(series, {"processor": "fast"}, {"httpx": "0.28.1"})


def test_page(tmp_path: Path) -> None:
    """The page has a line for each row, and for one without the other as well; the plots are SVG, the figures JSON."""
    made = report()
    del made.series["har"]["Redocly"]
    write(made, tmp_path)
    text = (tmp_path / "performance.md").read_text("utf-8")
    status, *_ = (line for line in text.splitlines() if line.startswith(f"| {ROWS[0].what}"))
    assert status.endswith("| at most 1 | 1.00 (1.00 to 1.00) | yes | 2.00 µs | 2.00 µs | `status` |")
    assert "| at least 6 | 1.00 (1.00 to 1.00) | **no** |" in text
    assert "`drift` | at most 1 | not measured: the other is not installed |" in text
    assert text.count("at most") + text.count("at least") > len(ROWS)
    for plot in tmp_path.glob("*.svg"):
        assert ET.fromstring(plot.read_bytes()).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - ours.
    data = json.loads((tmp_path / "performance.json").read_bytes())
    assert [row["value"]["median"] for row in data["rows"][:2]] == [1.0, 1.0]
    assert len(data["rows"]) == len(ROWS) - 1


@pytest.mark.parametrize(("second", "code"), [([1.0, 9.0], 1), ([2.0, 2.0], 0)])
def test_uneven(second: list[float], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is spread too far is measured once more; if it is so again, the run fails and writes nothing."""
    asked: list[str] = []

    def measure(name: str, _url: str, _share: float) -> Series:
        asked.append(name)
        lags = [1.0, 9.0] if asked.count(name) == 1 else second
        return report(lambda one: lags if one.endswith("lag") else [2.0, 2.0]).series[name]

    written: list[str] = []
    monkeypatch.setattr(program, "measure", measure)
    monkeypatch.setattr(program, "versions", lambda _: {})
    monkeypatch.setattr(program, "write", lambda made: written.append(page(made)))
    monkeypatch.setattr(sys, "argv", ["bench"])
    assert program.main() == code
    assert asked == [*EXPERIMENTS, "waits"]
    assert len(written) == 1 - code


def test_claims() -> None:
    """The README names no figure of speed, size or cost of running but those of the page."""
    measured = text_of(DOCS / "performance.md")
    pattern = re.compile(r"\b\d[\d.,]* (?:times|µs|ms|MiB|questions a second)")
    assert pattern.findall("In 0.75 times the CPU, 405 µs; 1,538 questions a second; 44.9 MiB") == [
        *("0.75 times", "405 µs", "1,538 questions a second", "44.9 MiB")
    ]
    figures = pattern.findall(text_of(README))
    assert [figure for figure in figures if figure.partition(" ")[0] not in measured] == []


# --- How many functions are called: a bound that holds on every machine, however busy it is.

MOST: Final = {"status": 820, "wait": 1830, "parse": 61, "plan": 45, "plan with progress": 177}
"""Calls of functions written in Python, with those in the libraries below: a fifth more than there were last time.

That was with Python 3.11, which calls more than later ones: they need no function for a comprehension.
"""


def functions_called(step: Callable[[], object]) -> int:
    """Return how many functions written in Python a step calls in this thread: the less of two times."""
    called = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal called
        called += event == "call"

    counts = []
    for _ in range(2):
        called = 0
        sys.setprofile(count)
        try:
            step()
        finally:
            sys.setprofile(None)
        counts.append(called)
    return min(counts)


def check(name: str, called: float) -> None:
    """Fail if it is more than the bound, and say what to do about it."""
    assert called <= MOST[name], (
        f"{name}: {called:.0f} function calls, more than {MOST[name]}. See docs/performance.md, and measure by `make "
        "bench` what that costs. Should it be worth it, raise the bound."
    )


def test_calls_of_a_question(url: str) -> None:
    """A question calls no more functions than it may, and than the same question without longcat."""
    with calls.longcat(url) as ask, calls.raw_httpx(url) as ask_httpx:
        ask(), ask_httpx()
        called = functions_called(ask)
        check("status", called)
        assert called <= functions_called(ask_httpx)


def test_calls_of_a_question_in_a_batch() -> None:
    """Neither does a question of many waits at once, however many they are."""
    few, many = (functions_called(lambda n=n: asyncio.run(wait_all(n))) / n for n in (10, 40))  # type: ignore[misc]
    check("wait", many)
    assert many <= 1.2 * few


async def wait_all(number: int) -> None:
    """Wait for so many requests, each of which is done at once.

    The server is in the same event loop, as how many steps that takes depends on when answers come.
    """
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, AsyncLongCat(calls.KEY, url) as cat:
        await cat.wait_all([f"all-1-{i}-0" for i in range(number)])


@pytest.mark.parametrize("body", [PROCESSING % b"bench-1", COMPLETED % (b"bench-1", b"bench-1")])
def test_calls_of_reading(body: bytes) -> None:
    """Neither does it to read an answer."""
    gateway = Gateways.find(calls.KEY, "http://127.0.0.1:1").of("bench-1", "result")
    check("parse", functions_called(lambda: gateway.read("bench-1", Answer(200, {}, body))))


@pytest.mark.parametrize("progress", [False, True])
def test_calls_of_planning(progress: bool) -> None:
    """Nor does it to say when to ask next, for which some hundred requests have been learnt from."""
    pauses = calls.planning(progress=progress)
    learnt = 3000
    for _ in range(learnt):
        next(pauses)
    called = functions_called(lambda: [next(pauses) for _ in range(500)])
    check("plan with progress" if progress else "plan", called / 500)
