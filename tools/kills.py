"""Kill `longcat batch` again and again, with faults on, and count what the gateway took: nothing may be paid twice."""

import argparse
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from math import inf
from pathlib import Path
from typing import Any, Final

import httpx
from attrs import define, field, frozen
from forks import CONTEXT

from longcat.cli.orders.batch_report import MANIFEST
from longcat.cli.orders.one_machine import JOURNAL
from longcat.cli.run import run as longcat

KEY: Final = "the-key-of-the-kills"
RATE: Final = "200"
"""Orders and questions in a second. Without a bound, hardly any kill would strike before all is ordered."""
SAID: Final = "said.txt"
"""The file that has what the last run wrote to stderr."""
PATIENCE: Final = 60.0
"""Seconds in which a run must get on."""
FAULTS: Final = (
    "order-rate-limit-bare:2",
    "order-server-error-taken:2",
    "order-hang-up:2",
    "order-reset:2",
    "order-unread:2",
    "server-error:1",
    "picture-cut:1",
)


@frozen
class Sandbox:
    """A sandbox in a process of its own, which lives longer than the runs."""

    url: str
    http: httpx.Client

    def get(self, path: str) -> Any:
        """Return what one of its control calls answers."""
        return self.http.get(f"{self.url}/sandbox/{path}").json()

    def picture(self, request_id: str) -> bytes:
        """Download a picture; faults that no run has met, as each downloads once, may be left for this one."""
        url = f"{self.url}/v1/{request_id}/output-1.png"
        for _ in range(len(FAULTS)):
            with suppress(httpx.TransportError):
                return self.http.get(url).content
        return self.http.get(url).content

    def progress(self) -> int:
        """Return a number that grows with the work: orders that came, requests asked about, pictures downloaded."""
        requests = self.get("requests")
        seen: int = sum((one["asked"] > 0) + (one["downloaded"] > 0) for one in requests)
        posts: int = self.get("orders/count")["posts"]
        return posts + seen


@contextmanager
def sandbox(faults: Sequence[str] = FAULTS) -> Iterator[Sandbox]:
    """Run a sandbox with these faults while the block lasts."""
    command = [sys.executable, "-m", "longcat", "sandbox", "--api-key", KEY, "--duration", "0", "--small-pictures"]
    command += [word for fault in faults for word in ("--fault", fault)] + ["--fault-every", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, httpx.Client(trust_env=False) as http:
        try:
            ready = process.stdout.readline() if process.stdout else ""
            yield Sandbox(ready.split()[-1], http)
        finally:
            process.terminate()


@define
class Kills:
    """A batch that is killed, and what came of it.

    Attributes:
        folder: where the runs work.
        count: how many orders the batch has. It gets more when it is over before the last kill.
        seed: decides when the kills come. The same numbers every time, unless it is told.
        until: the time, by `time.monotonic`, after which no kill comes any more.
        struck: at which progress each kill came.
        taken: how many orders the gateway took in the end.
        states: how many lines of the manifest are in each state.
        wrong: what must not be, in words. Empty: all is well.
    """

    folder: Path
    sandbox: Sandbox
    count: int
    seed: int = 200
    until: float = inf
    struck: list[int] = field(factory=list)
    taken: int = 0
    states: Counter[str] = field(factory=Counter)
    wrong: list[str] = field(factory=list)

    def run(self, kills: int) -> None:
        """Start the batch, kill it, and so on; then let it end, and look at everything."""
        more, most = max(self.count // kills, 1), max(3 * self.count // kills, 1)
        self._write_lines()
        chance = random.Random(self.seed)  # noqa: S311 - the same numbers every time.
        while len(self.struck) < kills and time.monotonic() < self.until and not self.wrong:
            # On a busy machine, each kill leaves more orders in doubt, so that the lines may not last for all kills.
            if not self._is_killed_at(self.sandbox.progress() + chance.randint(1, most)):
                self.count += more
                self._write_lines()
        last = self._start()
        last.join()
        self._check_end(last, "the last run")
        self._check()

    def _start(self) -> Any:
        process = CONTEXT.Process(target=run_batch, args=(self.folder, self.sandbox.url, SAID, ("--max-rate", RATE)))
        process.start()
        return process

    def _write_lines(self) -> None:
        lines = [{"prompt": f"cat {number}", "id": f"cat-{number:03}"} for number in range(self.count)]
        (self.folder / "cats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")

    def _is_killed_at(self, goal: int) -> bool:
        """Start a run, and kill it as soon as the work has got so far. False: all was over before."""
        process = self._start()
        end = time.monotonic() + PATIENCE
        while process.is_alive() and self.sandbox.progress() < goal:
            if time.monotonic() > end:
                self.wrong.append(f"a run did not get to {goal}")
                break
        is_killed: bool = process.is_alive()
        if is_killed:
            self.struck.append(self.sandbox.progress())
        process.kill()
        process.join()
        if not is_killed:
            self._check_end(process, "a run")
        return is_killed

    def _check_end(self, process: Any, which: str) -> None:
        if process.exitcode not in {0, 3}:
            self.wrong.append(f"{which} ended with {process.exitcode}: {self._said()}")

    def _said(self) -> str:
        """Return what the last run wrote to stderr."""
        return (self.folder / SAID).read_text("utf-8")

    def _check(self) -> None:
        """Compare the manifest, the files and what the gateway took."""
        path = self.folder / "out" / MANIFEST
        if not path.exists():
            self.wrong.append(f"no {MANIFEST} was written by the last run: {self._said()}")
            return
        manifest = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        orders = self.sandbox.get("orders")
        took = Counter(one["body"]["prompt"] for one in orders["orders"] if one["request_id"] is not None)
        of = {one["request_id"]: one["body"]["prompt"] for one in orders["orders"] if one["request_id"] is not None}
        self.taken = orders["taken"]
        self.states = Counter(line["state"] for line in manifest)
        self._expect(
            "the lines of the manifest", [line["id"] for line in manifest], [f"cat-{n:03}" for n in range(self.count)]
        )
        self._expect("orders that were taken twice", [prompt for prompt, times in took.items() if times > 1], [])
        self._expect("states", sorted({*self.states} - {"done", "unknown"}), [])
        done = [line for line in manifest if line["state"] == "done"]
        self._expect(
            "what was made for the lines done",
            [of.get(line["request_id"]) for line in done],
            [line["prompt"] for line in done],
        )
        in_doubt = {line["prompt"] for line in manifest if line["state"] == "unknown"}
        self._expect(
            "orders taken that are neither done nor in doubt",
            sorted({*took} - in_doubt - {line["prompt"] for line in done}),
            [],
        )
        files = {path.name: path.read_bytes() for path in (self.folder / "out").iterdir()}
        for line in done:
            if [files.get(name) for name in line["files"]] != [self.sandbox.picture(line["request_id"])]:
                self.wrong.append(f"{line['files']} is not the picture of {line['id']}")
        named = {name for line in done for name in line["files"]}
        known = named | {MANIFEST, JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}-shm"} | self._may_be_left(manifest)
        self._expect("files left", sorted({*files} - known), [])

    def _may_be_left(self, manifest: Sequence[dict[str, Any]]) -> set[str]:
        """Return the names of files that may be there although no line has them."""
        del manifest
        return set()

    def _expect(self, what: str, seen: list[Any], expected: list[Any]) -> None:
        if seen != expected:
            self.wrong.append(f"{what}: {seen[:5]} instead of {expected[:5]}")


def run_batch(folder: Path, url: str, said: str, arguments: Sequence[str]) -> None:
    """Run the batch in a folder, as its process does, and end as it ends. What it says on stderr goes into a file."""
    os.chdir(folder)
    os.environ.update(PIXAZO_API_KEY=KEY, LONGCAT_BASE_URL=url, NO_PROXY="*")
    with Path(said).open("w", encoding="utf-8") as file, redirect_stdout(io.StringIO()), redirect_stderr(file):
        code = longcat(["batch", "cats.jsonl", "-o", "out", *arguments])
    sys.exit(code)


def main() -> int:
    """Print the figures, and return whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=200, help="how many orders the batch has (default: 200)")
    parser.add_argument("--kills", type=int, default=30, help="how often it is killed (default: 30)")
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, sandbox() as running:
        kills = Kills(Path(folder), running, arguments.lines)
        kills.run(arguments.kills)
    if len(kills.struck) < arguments.kills:
        kills.wrong.append(f"only {len(kills.struck)} kills came before the end")
    print(
        f"{kills.count} orders, killed {len(kills.struck)} times (at {', '.join(map(str, kills.struck))}"
        f" of some {3 * kills.count} steps): {kills.taken} taken, {kills.states['done']} done,"
        f" {kills.states['unknown']} in doubt, in {time.monotonic() - began:.0f} s."
    )
    for words in kills.wrong:
        print(f"WRONG: {words}")
    return bool(kills.wrong)


if __name__ == "__main__":
    sys.exit(main())
