"""Where the CPU time goes, by package: of questions and plans by samples of what runs, of a first answer by imports."""

import asyncio
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Final

from bench import calls, rates
from bench.commands import FIRST_ANSWERS, environment, filled
from bench.experiment import Effort, Series

SECONDS: Final = 4.0
"""How long each subject is sampled."""
INTERVAL: Final = 0.001
"""Seconds of CPU time between two samples; the system may take more."""
STARTS: Final = 10
"""In how many new interpreters the first answer is looked at."""
STANDARD: Final = "standard library"
SCHEDULE: Final = "longcat.waiting.schedule."
NO_IMPORT: Final = "all but imports"

IMPORTING: Final = (
    "import sys, time; print('began', file=sys.stderr); began = time.perf_counter(); {code}; "
    "print('ended', time.perf_counter() - began, file=sys.stderr)"
)

Subject = Callable[[str, float], None]
"""Does something for so many seconds, given the server's URL."""


def package(module: str) -> str:
    """Return what a module counts for: its package, of longcat the one below that, and of the schedule the module."""
    first, *_ = parts = module.split(".")
    if first in sys.stdlib_module_names and first != "asyncio":
        return STANDARD
    return module if module.startswith(SCHEDULE) else ".".join(parts[: 2 if first == "longcat" else 1])


@contextmanager
def sampled(found: Counter[str]) -> Iterator[None]:
    """Count the packages that run, at even times of this process's CPU time.

    What is written in C counts for the module that called it. That slows down nothing, as a profiler would that hears
    of every call: that would make much of small functions.
    """

    def take(_signal: int, frame: FrameType | None) -> None:
        if frame is not None:
            found[package(frame.f_globals.get("__name__") or "attr")] += 1  # What attrs writes has no name.

    before = signal.signal(signal.SIGPROF, take)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def repeat(call: Callable[[], object], seconds: float) -> None:
    """Call again and again."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        call()


def one_status(url: str, seconds: float) -> None:
    """Ask one question after the other."""
    with calls.longcat(url) as ask:
        repeat(ask, seconds)


def planning(_url: str, seconds: float) -> None:
    """Say when to ask next."""
    repeat(calls.planning(progress=True).__next__, seconds)


def waiting(subject: rates.Subject, url: str, seconds: float) -> None:
    """Wait for many requests at once."""

    async def run() -> None:
        async with subject(url) as wait:
            await wait(seconds)

    asyncio.run(run())


PLAIN: Final[Mapping[str, Subject]] = {
    "one `LongCat.status`": one_status,
    f"`AsyncLongCat`, {rates.MANY} waiting": partial(waiting, rates.waiting),
    "`Plan.next` with progress": planning,
}
PEERS: Final[Mapping[str, Subject]] = {
    f"`AsyncLongCat` on httpx2, {rates.MANY} waiting": partial(waiting, rates.longcat_on_httpx2),
    f"`AsyncLongCat` with the extra `fast`, {rates.MANY} waiting": partial(waiting, rates.longcat_on_httpx_aiohttp),
}


def shares(subject: str, found: Mapping[str, float]) -> Series:
    """Return the share of each package in a whole, in percent, the greatest first."""
    whole = sum(found.values()) or 1
    return {f"{subject}: {name}": [100 * part / whole] for name, part in Counter(found).most_common()}


def profiles(subjects: Mapping[str, Subject], url: str, effort: Effort) -> Series:
    """Return the shares of packages in the CPU time of each subject."""
    series: Series = {}
    for name, subject in subjects.items():
        found: Counter[str] = Counter()
        with sampled(found):
            subject(url, SECONDS * effort.share)
        series |= shares(name, found)
    return series


def first_answer(url: str, effort: Effort) -> Series:
    """Return the shares of packages in the time until a first answer: what their imports take, and all the rest."""
    command = [sys.executable, "-X", "importtime", "-c", IMPORTING.format(code=filled(FIRST_ANSWERS["longcat"], url))]
    found: Counter[str] = Counter()
    for _ in range(effort.of(STARTS)):
        ran = subprocess.run(command, env=environment(), stderr=subprocess.PIPE, check=True, text=True)
        imports, ended = ran.stderr.partition("began\n")[2].split("ended ")
        lines = [line.removeprefix("import time:").split("|") for line in imports.splitlines()]
        times = [(package(module.strip()), 1e-6 * int(own)) for own, _, module in lines]
        for name, seconds in [*times, (NO_IMPORT, float(ended) - sum(seconds for _, seconds in times))]:
            found[name] += seconds  # type: ignore[assignment]
    return shares("import and first answer", found)


def plain(url: str, effort: Effort) -> Series:
    """Return the shares of what runs on longcat without extras."""
    return profiles(PLAIN, url, effort) | first_answer(url, effort)
