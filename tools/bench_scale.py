"""Measure how far one PostgreSQL carries: how fast batches, lines, orders and the shared rate are on this machine.

The server writes to the disk as usual, other than that of the tests.
"""

import argparse
import json
import math
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import postgres
import psycopg
from attrs import frozen
from forks import CONTEXT
from kills import run_batch
from kills_many import BOUND, most_in_a_second, recording_sandbox
from postgres import PostgresServer

from longcat.models import OrderRequest
from longcat.saving.journal.journal import Journal
from longcat.saving.journal.postgres.batches.line_table import LineOutcome
from longcat.saving.journal.postgres.rate_limiter import BudgetExchanger

GATEWAY: Final = "https://gateway.example"
DURABLE: Final = {"fsync": "on", "full_page_writes": "on", "autovacuum": "on", "shared_buffers": "128MB"} | {
    "wal_writer_delay": "200ms",
    "max_wal_size": "1GB",
    "bgwriter_delay": "200ms",
}
"""The settings of a server as it is installed, where the one of the tests has others."""
WORKERS: Final = (1, 2, 4, 8)
PRICE: Final = Decimal("0.13")


@frozen
class Bench:
    """What is measured.

    Attributes:
        server: a PostgreSQL.
        lines: how many the large batch has.
        rate: orders and questions a second, of all workers of a batch together.
        seconds: how long each measurement takes, roughly.
    """

    server: PostgresServer
    lines: int
    rate: int
    seconds: float

    def rates(self) -> Iterator[str]:
        """Let 1, 2, 4 and 8 workers take part in a batch, and compare what arrives with the rate."""
        for workers in WORKERS:
            count = int(self.rate * self.seconds / 2)  # Each is ordered, and asked about once or more.
            with ExitStack() as stack:
                running = stack.enter_context(recording_sandbox(()))
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                text = "".join(json.dumps({"prompt": f"cat {number}"}) + "\n" for number in range(count))
                (folder / "cats.jsonl").write_text(text, "utf-8")
                options = ("--journal", self.server.schema().url, "--max-rate", str(self.rate))
                began = time.monotonic()
                processes = [
                    CONTEXT.Process(target=run_batch, args=(folder, running.url, f"said-{number}", options))
                    for number in range(workers)
                ]
                for process in processes:
                    process.start()
                for process in processes:
                    process.join()
                took = time.monotonic() - began
                moments = sorted(running.get("arrivals"))
            middle = moments[len(moments) // 10 : -len(moments) // 10]
            throughput = len(middle) / (middle[-1] - middle[0])
            most = most_in_a_second(moments)
            yield (
                f"{workers} workers at {self.rate} a second: {throughput:.0f} calls a second, {most} in the fullest"
                f" one ({most / self.rate:.2f} of the rate, bound {BOUND}), {count} orders in {took:.1f} s,"
                f" exit codes {sorted(process.exitcode or 0 for process in processes)}"
            )

    def million(self) -> Iterator[str]:
        """Register the large batch, claim and end its lines, look how far it is, and export it."""
        with Journal(self.server.schema().url, time=time.time) as journal:
            table = journal.lines(GATEWAY)
            orders = (
                (n, OrderRequest(f"cat {n}", {"image_size": "square_1_1"}, f"cat-{n}")) for n in range(self.lines)
            )
            before = _memory()
            batch, took = _timed(lambda: table.register("0" * 64, lambda: orders, source="cats.jsonl"))
            yield f"{self.lines:,} lines registered in {took:.1f} s, {_memory() - before:.0f} MB of memory more"
            claimed, ended, end = 0, 0.0, time.monotonic() + self.seconds
            claiming = 0.0
            while time.monotonic() < end:
                lines, took = _timed(lambda: table.claim(batch, 50))
                claimed, claiming = claimed + len(lines), claiming + took
                outcomes = [LineOutcome(line.number, "done", PRICE, f"r-{line.number}", ("a.png",)) for line in lines]
                ended += _timed(partial(table.end, batch, outcomes))[1]
            yield f"{claimed / claiming:,.0f} lines claimed a second, and {claimed / ended:,.0f} ended, in lots of 50"
            seconds = statistics.median(_timed(lambda: table.progress(batch))[1] for _ in range(20))
            yield f"progress of {self.lines:,} lines in {seconds * 1000:.1f} ms"
            before = _memory()
            count, took = _timed(lambda: sum(1 for _ in table.export(batch)))
            yield f"{count:,} lines exported in {took:.1f} s, {_memory() - before:.0f} MB of memory more"

    def intents(self) -> Iterator[str]:
        """Begin orders and note them as taken, in 1, 2, 4 and 8 processes."""
        for workers in WORKERS:
            counts = self._in_processes(workers, _intend, self.server.schema().url)
            yield f"{workers} programs: {sum(counts) / self.seconds:,.0f} orders begun and noted as taken a second"

    def exchanges(self) -> Iterator[str]:
        """Reserve slots at an unbounded rate, by 1, 2, 4 and 8 programs."""
        for workers in WORKERS:
            url = self.server.schema().url
            with Journal(url, time=time.time) as journal:
                journal.open(10.0)
            rows = self._in_processes(workers, _exchange, url)
            yield f"{workers} programs: {sum(rows) / self.seconds:,.0f} exchanges of the rate a second"

    def _in_processes(self, workers: int, function: Callable[..., object], url: str) -> list[int]:
        """Return what a function returns in so many processes at once."""
        results = CONTEXT.Queue()
        barrier = CONTEXT.Barrier(workers)
        processes = [
            CONTEXT.Process(target=function, args=(results, barrier, url, self.seconds, number))
            for number in range(workers)
        ]
        for process in processes:
            process.start()
        counts = [results.get(timeout=60.0) for _ in processes]
        for process in processes:
            process.join()
        return counts


def _intend(results: Any, barrier: Any, url: str, seconds: float, number: int) -> None:
    with Journal(url, time=time.time) as journal:
        journal.open(10.0)
        orders, count = journal.orders(GATEWAY), 0
        barrier.wait()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            key = f"{number} {count}"
            orders.begin(key, OrderRequest(key, {}), PRICE)
            orders.taken(key, f"request {key}")
            count += 1
        results.put(count)


def _exchange(results: Any, barrier: Any, url: str, seconds: float, number: int) -> None:
    """Make one exchange after the other, as fast as the row allows."""
    del number
    client = BudgetExchanger(
        lambda: psycopg.connect(url, autocommit=True),
        "a server",
        GATEWAY,
        lambda: "0" * 64,
        max_rate=math.inf,
        knowledge={},
    )
    client._exchange()  # noqa: SLF001 - without the pauses between two of them.
    barrier.wait()
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        client._exchange()  # noqa: SLF001
        count += 1
    results.put(count)
    client.close()


def _timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a function returns, and how many seconds it took."""
    began = time.monotonic()
    result = function()
    return result, time.monotonic() - began


def _memory() -> float:
    """Return the most memory that this process had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["rates", "million", "intents", "exchanges"])
    parser.add_argument("--lines", type=int, default=1_000_000, help="of the large batch (default: 1000000)")
    parser.add_argument("--rate", type=int, default=200, help="calls a second (default: 200)")
    parser.add_argument("--seconds", type=float, default=8.0, help="for each measurement (default: 8)")
    arguments = parser.parse_args()
    for name in arguments.what:
        with patch.dict(postgres.SETTINGS, DURABLE), PostgresServer() as server:
            bench = Bench(server, arguments.lines, arguments.rate, arguments.seconds)
            for words in getattr(bench, name)():
                print(f"{name}: {words}.", flush=True)


if __name__ == "__main__":
    main()
