"""What very many waits at once cost: memory, how long they hold up the event loop, and CPU time of a question."""

import asyncio
import gc
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from bench.calls import KEY
from bench.experiment import Effort, Series, turns
from bench.server import Counts
from longcat import AdaptivePolling, AsyncLongCat

NUMBERS: Final = {f"{number:,}": number for number in (100, 1_000, 10_000)}
DUE: Final = 500
"""How many questions are due in a second at most."""
TICK: Final = 0.01
"""Seconds between two ticks of the clock that tells how late the event loop is."""
PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def resident() -> float:
    """Return how much memory this process has, in MiB. Linux only; elsewhere 0."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text("ascii").split()[1]) * PAGE / 2**20 if statm.exists() else 0.0


class Ticker:
    """Notes how late the event loop wakes it, in seconds, and the most memory that the process has."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self.most = 0.0

    async def run(self) -> None:
        """Tick until it is cancelled."""
        while True:
            due = time.monotonic() + TICK
            await asyncio.sleep(TICK)
            self.late.append(time.monotonic() - due)
            self.most = max(self.most, resident())

    @property
    def percentile(self) -> float:
        """Return how late 99 % of all ticks were at most, in milliseconds."""
        return 1e3 * sorted(self.late)[int(0.99 * len(self.late))]


async def waits(url: str, number: int, repeated: int) -> dict[str, float]:
    """Wait for so many requests at once, several times over, and return what it took.

    None is done before all of them were asked about, so there is a moment in which all are waited for. However many
    they are, as many questions are due in a second.
    """
    polling = AdaptivePolling(min_interval=number / DUE)
    async with AsyncLongCat(KEY, url, polling=polling) as cat:
        await cat.status("bench-0001")
        gc.collect()
        idle, ticker, before = resident(), Ticker(), Counts.of(url).answers
        ticking = asyncio.create_task(ticker.run())
        cpu = time.process_time()
        for turn in range(repeated):
            ids = [f"all-{number}-{os.getpid()}.{turn}-{i:05}" for i in range(number)]
            async for outcome in cat.as_completed(ids, None):
                if outcome.error is not None:
                    raise outcome.error
        cpu = time.process_time() - cpu
        ticking.cancel()
    answers = Counts.of(url).answers - before
    return {"CPU": 1e6 * cpu / answers, "memory": ticker.most - idle, "lag": ticker.percentile, "questions": answers}


def many_waits(url: str, effort: Effort) -> Series:
    """Return for each number of waits: CPU of a question (µs), memory over idle (MiB), 99 % of the lag (ms)."""
    series: Series = {}
    for name in turns(NUMBERS, effort.rounds):
        number = effort.of(NUMBERS[name])
        repeated = max(1, effort.of(2_000) // number)
        # Each in a process of its own, as memory that was used once is seldom given back.
        command = [sys.executable, "-m", "bench.many_waits", url, str(number), str(repeated)]
        ran = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        for line in ran.stdout.splitlines():
            quantity, figure = line.split()
            series.setdefault(f"{name} waits, {quantity}", []).append(float(figure))
    return series


if __name__ == "__main__":
    for quantity, figure in asyncio.run(waits(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))).items():
        print(quantity, figure)
