"""Kill the workers of one batch, cut one off, and crash their database: nothing may be paid twice, and none be lost.

The workers share a journal on a real PostgreSQL. One of them reaches it through a proxy, which stops forwarding.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import httpx
from attrs import define, field
from kills import CONTEXT, FAULTS, KEY, PATIENCE, Kills, Sandbox, run_batch
from postgres import PostgresServer
from postgres_proxy import Proxy
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from longcat.sandbox import Fault, Settings, serve, server
from longcat.sandbox.app import create_app
from longcat.sandbox.calls import ORDER, STATUS

WORKERS: Final = 3
RATE: Final = 50
"""Orders and questions in a second, of all workers together."""
BOUND: Final = 1.2
"""How many times the rate may arrive in a second."""
LONGEST_END: Final = 90.0
"""Seconds in which the workers must end when nothing happens to them any more. The server takes 30 s to notice that one
is cut off."""


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
        url: the journal.
        cut_url: the journal, by way of the proxy.
        database: ended at once, and started again.
        proxy: stops to forward, and goes on when the other workers have ended.
        rate: orders and questions in a second.
        arrivals: how many orders and questions came, and how many in the fullest second.
        seconds_cut: for how long the proxy stopped.
    """

    url: str = field(kw_only=True)
    cut_url: str = field(kw_only=True)
    database: PostgresServer = field(kw_only=True)
    proxy: Proxy = field(kw_only=True)
    rate: int = field(default=RATE, kw_only=True)
    arrivals: tuple[int, int] = (0, 0)
    seconds_cut: float = 0.0
    _workers: list[Any] = field(factory=list)

    def run(self, kills: int) -> None:
        """Start the workers, let everything happen to them, let them end, and look at everything."""
        lines = [{"prompt": f"cat {number}", "id": f"cat-{number:03}"} for number in range(self.count)]
        (self.folder / "cats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        chance = random.Random(self.seed)  # noqa: S311 - the same numbers every time.
        restart, cut = chance.sample(range(kills // 4, max(kills * 3 // 4, kills // 4 + 2)), 2)
        self._workers = [self._work(number) for number in range(WORKERS)]
        began_cut = 0.0
        for kill in range(kills):
            self._wait_for(self.sandbox.progress() + chance.randint(1, max(3 * self.count // kills, 1)))
            if kill == restart:
                self.database.restart()
            if kill == cut:
                self.proxy.go_silent()
                began_cut = time.monotonic()
            self._kill(chance.randrange(WORKERS - 1))
        self._join(self._workers[:-1])  # The lines of the one that is cut off are theirs after 30 s.
        self.seconds_cut = time.monotonic() - began_cut
        self.proxy.resume()
        self._join(self._workers[-1:])
        last = self._work(0)  # The last one to leave writes the manifest, and may have been killed.
        self._join([last])
        if last.exitcode not in {0, 3}:
            self.wrong.append(f"the last run ended with {last.exitcode}: {self._said(0)}")
        self._check()
        self._check_rate()

    def _work(self, number: int) -> Any:
        """Start a worker. The last one is on the machine that is cut off."""
        journal = self.cut_url if number == WORKERS - 1 else self.url
        arguments = ("--journal", journal, "--max-rate", str(self.rate))
        process = CONTEXT.Process(target=run_batch, args=(self.folder, self.sandbox.url, f"said-{number}", arguments))
        process.start()
        return process

    def _said(self, number: int) -> str:
        return (self.folder / f"said-{number}").read_text("utf-8")

    def _wait_for(self, goal: int) -> None:
        """Wait until the work has got so far, or all workers have ended."""
        end = time.monotonic() + PATIENCE
        while self.sandbox.progress() < goal and any(worker.is_alive() for worker in self._workers[:-1]):
            if time.monotonic() > end:
                self.wrong.append(f"the workers did not get to {goal}")
                return
            time.sleep(0.01)

    def _kill(self, number: int) -> None:
        """Kill a worker, and start another one."""
        worker = self._workers[number]
        if worker.is_alive():
            self.struck.append(self.sandbox.progress())
        elif worker.exitcode not in {0, 3}:
            self.wrong.append(f"a worker ended with {worker.exitcode}: {self._said(number)}")
        worker.kill()
        worker.join()
        self._workers[number] = self._work(number)

    def _join(self, workers: Sequence[Any]) -> None:
        """Wait until the workers have ended."""
        end = time.monotonic() + LONGEST_END
        for worker in workers:
            worker.join(max(end - time.monotonic(), 0.0))
            if worker.is_alive():
                self.wrong.append("a worker did not end")
                worker.kill()
                worker.join()

    def _may_be_left(self, manifest: Sequence[dict[str, Any]]) -> set[str]:
        """Return the pictures of lines that were in doubt for others, when a worker came back and went on."""
        return {f"{line['id']}.png" for line in manifest if line["state"] == "unknown"}

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
        schema = database.schema()
        yield ManyKills(
            folder,
            running,
            count,
            seed,
            url=schema.url,
            cut_url=schema.through(proxy.port),
            database=database,
            proxy=proxy,
            rate=rate,
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
            f"Seed {seed}: {arguments.lines} orders, {WORKERS} workers, {len(kills.struck)} of them killed, one cut off"
            f" for {kills.seconds_cut:.0f} s, one restart of the database: {kills.taken} taken,"
            f" {kills.states['done']} done, {kills.states['unknown']} in doubt; {calls} calls, {most} in the fullest"
            f" second at {kills.rate} a second; in {time.monotonic() - began:.0f} s.",
            flush=True,
        )
        for words in kills.wrong:
            print(f"WRONG: {words}")
        is_wrong = is_wrong or bool(kills.wrong)
    return is_wrong


if __name__ == "__main__":
    sys.exit(main())
