"""Kill the workers of one batch, cut one off, and crash their database: nothing may be paid twice, and none be lost.

The workers share a journal on a real PostgreSQL. One of them reaches it through a proxy, which stops forwarding.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import httpx
from attrs import define, field
from forks import CONTEXT
from kills import FAULTS, KEY, PATIENCE, Kills, Sandbox, run_batch
from postgres import PostgresServer, Schema
from postgres_proxy import Proxy
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from longcat.gateway.order_fields import cost
from longcat.models import OrderRequest
from longcat.sandbox import Fault, Settings, serve, server
from longcat.sandbox.app import create_app
from longcat.sandbox.calls import ORDER, STATUS
from longcat.saving.journal.money import to_dollars

WORKERS: Final = 3
RATE: Final = 50
"""Orders and questions in a second, of all workers together."""
BOUND: Final = 1.2
"""How many times the rate may arrive in a second."""
ORDERS: Final = """
SELECT content::json ->> 'prompt', state, request_id, cost + coalesce(in_doubt, 0) FROM {}.longcat_orders"""
AT_WORK: Final = "SELECT pid FROM {}.longcat_worker WHERE pid = %s"
MAX_END: Final = 90.0
"""Seconds without progress in which the workers must end when nothing happens to them any more. The server takes 30 s
to notice that one is cut off."""


def serve_recording(parent: Connection, faults: Sequence[str]) -> None:
    """Run a sandbox that tells, as `/sandbox/arrivals`, when each order and each question arrived, in seconds."""
    arrivals: list[float] = []

    def create(*arguments: Any, **options: Any) -> ASGIApp:
        app = create_app(*arguments, **options)

        async def record(scope: Scope, receive: Receive, send: Send) -> None:
            path = scope.get("path", "")
            if path == "/sandbox/arrivals":
                return await JSONResponse(arrivals)(scope, receive, send)
            if path == ORDER.path or path.startswith(STATUS.path):
                arrivals.append(time.monotonic())
            return await app(scope, receive, send)

        return record

    settings = Settings(
        api_key=KEY, duration=0.0, small_pictures=True, fault_every=5, faults=tuple(map(Fault.parse, faults))
    )
    with patch.object(server, "create_app", create):
        serve(settings, ready=parent.send)


@contextmanager
def recording_sandbox(faults: Sequence[str] = FAULTS) -> Iterator[Sandbox]:
    """Run a sandbox that records when each call arrives, while the block lasts."""
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=serve_recording, args=(theirs, faults))
    process.start()
    try:
        with httpx.Client(trust_env=False) as http:
            yield Sandbox(ours.recv(), http)
    finally:
        process.terminate()
        process.join()


def most_in_a_second(arrivals: Sequence[float]) -> int:
    """Return how many of these moments, in seconds, lie within one second, wherever it begins."""
    moments, first, most = sorted(arrivals), 0, 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


@define
class ManyKills(Kills):
    """A batch of many workers, what happens to them, and what came of it.

    Attributes:
        schema: where the journal is.
        database: ended at once, and started again.
        proxy: what the last worker reaches the database through. It stops to forward, and goes on when the other
            workers have ended.
        rate: orders and questions in a second.
        arrivals: how many orders and questions came, and how many in the fullest second.
        seconds_cut: for how long the proxy stopped.
        restarts: how often the database was ended.
        journal: how many orders are in each state in the journal.
    """

    schema: Schema = field(kw_only=True)
    database: PostgresServer = field(kw_only=True)
    proxy: Proxy = field(kw_only=True)
    rate: int = field(default=RATE, kw_only=True)
    arrivals: tuple[int, int] = (0, 0)
    seconds_cut: float = 0.0
    restarts: int = 0
    journal: Counter[str] = field(factory=Counter)
    _workers: list[Any] = field(factory=list)
    _began_cut: float | None = None  # When the proxy stopped. None: it has not.

    def run(self, kills: int) -> None:
        """Start the workers, let everything happen to them, let them end, and look at everything."""
        self._write_lines()
        chance = random.Random(self.seed)  # noqa: S311 - the same numbers every time.
        first, second = chance.sample(range(kills // 4, kills // 4 + max(kills // 2, 2)), 2)
        events = {first: self._restart, second: self._cut_off}
        self._workers = [self._work(number) for number in range(WORKERS)]
        while len(self.struck) < kills and not self.wrong:
            if not self._get_on(chance.randint(1, max(3 * self.count // kills, 1))):
                self.count += max(self.count // kills, 1)  # All was over too soon.
                self._write_lines()
            elif event := events.pop(len(self.struck), None):
                event()
            else:
                self._kill(chance.choice([number for number, one in enumerate(self._workers) if self._may_die(one)]))
        self._end()
        self._check()
        self._check_journal()
        self._check_rate()

    def _work(self, number: int) -> Any:
        """Start a worker. The last one is on the machine that is cut off."""
        journal = self.schema.through(self.proxy.port) if number == WORKERS - 1 else self.schema.url
        arguments = ("--journal", journal, "--max-rate", str(self.rate))
        process = CONTEXT.Process(target=run_batch, args=(self.folder, self.sandbox.url, f"said-{number}", arguments))
        process.start()
        return process

    def _may_die(self, worker: Any) -> bool:
        """Whether a worker is alive, and not the one that is cut off."""
        return worker.is_alive() and (self._began_cut is None or worker is not self._workers[-1])

    def _restart(self) -> None:
        self.database.restart()
        self.restarts += 1

    def _cut_off(self) -> None:
        """Cut the last worker off, once it is at work: who is still beginning would end, as it can't begin."""
        began = AT_WORK.format(self.schema.name)
        while not (self.wrong or self.database.execute(began, self._workers[-1].pid)):
            if not self._workers[-1].is_alive():
                self._check_worker(WORKERS - 1)
                self._workers[-1] = self._work(WORKERS - 1)
            time.sleep(0.02)
        self.proxy.go_silent()
        self._began_cut = time.monotonic()

    def _get_on(self, steps: int) -> bool:
        """Wait until the work has got so many steps on. False: it was over before; then all are started again."""
        last = self.sandbox.progress()
        goal, end = last + steps, time.monotonic() + PATIENCE
        while any(map(self._may_die, self._workers)):
            progress = self.sandbox.progress()
            if progress >= goal:
                return True
            if progress > last:
                last, end = progress, time.monotonic() + PATIENCE
            if time.monotonic() > end:
                self.wrong.append(f"the workers did not get from {last} to {goal}")
                return True
            time.sleep(0.02)
        for number in range(WORKERS if self._began_cut is None else WORKERS - 1):  # Who is cut off can't begin.
            self._check_worker(number)
            self._workers[number] = self._work(number)
        return False

    def _kill(self, number: int) -> None:
        """Kill a worker, and start another one."""
        worker = self._workers[number]
        worker.kill()
        worker.join()
        if worker.exitcode == -signal.SIGKILL:
            self.struck.append(self.sandbox.progress())
        else:  # It was quicker.
            self._check_worker(number)
        self._workers[number] = self._work(number)

    def _end(self) -> None:
        """Let the workers end, the one that is cut off at last, and the lines of those that were killed as well."""
        self._join(range(WORKERS - 1))  # The lines of the one that is cut off are free after 30 s.
        self.seconds_cut = time.monotonic() - (self._began_cut or time.monotonic())
        self.proxy.resume()
        self._join([WORKERS - 1])
        self._workers[0] = self._work(0)  # The last one to leave writes the manifest, and may have been killed.
        self._join([0])

    def _join(self, numbers: Sequence[int]) -> None:
        """Wait until these workers have ended."""
        last, end = self.sandbox.progress(), time.monotonic() + MAX_END
        for number in numbers:
            worker = self._workers[number]
            while worker.is_alive() and time.monotonic() < end:
                worker.join(1.0)
                if (progress := self.sandbox.progress()) > last:
                    last, end = progress, time.monotonic() + MAX_END
            if worker.is_alive():
                self.wrong.append(f"a worker did not end: {self._said(number)}")
                worker.kill()
                worker.join()
            else:
                self._check_worker(number)

    def _check_worker(self, number: int) -> None:
        """Look how a worker ended."""
        if self._workers[number].exitcode not in {0, 3}:
            self.wrong.append(f"a worker ended with {self._workers[number].exitcode}: {self._said(number)}")

    def _said(self, number: int = 0) -> str:
        """Return what a worker wrote to stderr. The first one is the last to end."""
        return (self.folder / f"said-{number}").read_text("utf-8")

    def _may_be_left(self, manifest: Sequence[dict[str, Any]]) -> set[str]:
        """Return the pictures of lines that were in doubt for others, when a worker came back and went on."""
        return {f"{line['id']}.png" for line in manifest if line["state"] == "unknown"}

    def _check_journal(self) -> None:
        """Compare the rows of the journal with what the gateway took: nothing is missing, and nothing uncounted."""
        rows = self.database.execute(ORDERS.format(self.schema.name))
        known = {prompt: request_id for prompt, state, request_id, _ in rows if state == "taken"}
        in_doubt = {prompt for prompt, state, *_ in rows if state != "taken"}
        took = {
            one["body"]["prompt"]: one["request_id"]
            for one in self.sandbox.get("orders")["orders"]
            if one["request_id"] is not None
        }
        self._expect("orders that only the journal has as taken", sorted(known.items() - took.items()), [])
        self._expect("orders taken that the journal does not have", sorted({*took} - {*known} - in_doubt), [])
        spent = sum((to_dollars(units) for *_, units in rows), Decimal(0))
        self._expect("what was spent, by the journal", [spent], [len(rows) * cost(OrderRequest("a cat", {}))])
        self.journal = Counter(state for _, state, *_ in rows)

    def _check_rate(self) -> None:
        moments = self.sandbox.get("arrivals")
        self.arrivals = len(moments), most_in_a_second(moments)
        if self.arrivals[1] > BOUND * self.rate:
            self.wrong.append(f"{self.arrivals[1]} calls arrived in one second, at {self.rate} a second")


@contextmanager
def many_kills(folder: Path, count: int, seed: int, *, rate: int = RATE) -> Iterator[ManyKills]:
    """Yield a batch with a sandbox, a database and a proxy of its own."""
    with ExitStack() as stack:
        running = stack.enter_context(recording_sandbox())
        database = stack.enter_context(PostgresServer())
        proxy = stack.enter_context(Proxy(database.port))
        yield ManyKills(
            folder, running, count, seed, schema=database.schema(), database=database, proxy=proxy, rate=rate
        )


def main() -> int:
    """Print the figures, and return whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=200, help="how many orders the batch has (default: 200)")
    parser.add_argument("--kills", type=int, default=20, help="how often a worker is killed (default: 20)")
    parser.add_argument("--seeds", type=int, nargs="*", default=[1], help="each decides when the kills come")
    arguments = parser.parse_args()
    is_wrong = False
    for seed in arguments.seeds:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder, many_kills(Path(folder), arguments.lines, seed) as kills:
            kills.run(arguments.kills)
        if len(kills.struck) < arguments.kills:
            kills.wrong.append(f"only {len(kills.struck)} kills came before the end")
        calls, most = kills.arrivals
        print(
            f"Seed {seed}: {kills.count} orders, {WORKERS} workers, {len(kills.struck)} kills, one cut off for"
            f" {kills.seconds_cut:.0f} s, the database ended {kills.restarts} times: {kills.taken} taken,"
            f" {kills.states['done']} done, {kills.states['unknown']} in doubt (in the journal {kills.journal['taken']}"
            f" taken, {kills.journal.total() - kills.journal['taken']} in doubt); {calls} calls, {most} in the fullest"
            f" second at {kills.rate} a second; in {time.monotonic() - began:.0f} s.",
            flush=True,
        )
        for words in kills.wrong:
            print(f"WRONG: {words}")
        is_wrong = is_wrong or bool(kills.wrong)
    return is_wrong


if __name__ == "__main__":
    sys.exit(main())
