"""Let programs wait, order and download for minutes, under random faults and kills: nothing may grow or get lost.

Three programs, one for each kind of client, order from a sandbox with faults and wait for it. A fourth one calls the
servers of `tests/faults.py`. Beside them, batches are killed as `make kills` does it.
"""

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import inf
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median_low
from typing import Any, Final, cast

import anyio
import certificates
from attrs import define, field, frozen
from fakes import Blocking, Cat, finish
from fault_cases import CLIENTS, cases, observe
from fault_server import FaultServer
from kills import KEY, Kills, Sandbox, sandbox
from processes import Process

from longcat import AsyncLongCat, FixedPolling, Image, LongCat, LongCatError, NotFoundError, SubmitUnknown
from longcat.testing.picture import SIGNATURE

FAULTS: Final = (
    *("order-rate-limit-bare:1", "order-unavailable-bare:1", "order-hang-up:2", "order-unread:2", "order-reset:1"),
    *("order-cut:1:150", "order-hang-up-taken:1", "order-server-error-taken:1", "order-html:1", "order-cut-json:1"),
    *("slow:1:0.1", "drip:1:0.1", "rate-limit-bare:1", "server-error:1", "cdn-522:1", "challenge:1", "html:1"),
    *("empty-body:1", "cut-json:1", "cut-body:1", "reset:1", "hang-up:1", "picture-cut:1", "picture-slow:1:0.1"),
)
"""Those of a sandbox that pass, or leave an order in doubt."""
AT_ONCE: Final = 8
"""How many of them a sandbox has."""
PAUSE: Final = 0.05
"""Seconds between two calls of a program."""
OFTEN: Final = FixedPolling(0.1)
"""How often a program asks, so that much happens."""
TIMEOUT: Final = 20.0
"""Seconds that a call may take on a busy machine."""
BATCH: Final = (20, 3)
"""How many orders a batch has that is killed, and how often it is."""
LAST_BATCH: Final = 15.0
"""Seconds before the end in which no batch is begun."""
SAMPLE: Final = 0.5
"""Seconds between two looks at a program."""
GROWTH: Final = {"memory": 8_000_000, "descriptors": 6, "threads": 6}
"""How much more of it a program may have, as a rule, in the last third of the time than in the second.

Python's heap varies, and a rare call that needs much may come in any third, so one look tells nothing.
"""


# --- The programs. ---


@define
class Ledger:
    """What a program ordered, and what came of it.

    Attributes:
        name: of the program. Its prompts begin with it.
        folder: for its pictures.
        chance: decides what it does next.
        taken: the requests, by prompt.
        doubtful: the prompts of orders in doubt.
        calls: how many calls it made.
        wrong: what must not be, in words.
    """

    name: str
    folder: Path
    chance: random.Random
    taken: dict[str, str] = field(factory=dict)
    doubtful: set[str] = field(factory=set)
    calls: int = 0
    wrong: list[str] = field(factory=list)

    async def do_anything(self, cat: Cat) -> None:
        """Make one call, or some that belong together."""
        self.calls += 1
        try:
            await self.chance.choice([self._one, self._one, self._many, self._generate, self._unknown])(cat)
        except LongCatError:
            pass  # The faults go on for as long as they like; what counts is what was ordered.
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not be.
            self.wrong.append(f"{self.name}: {type(error).__name__}: {error}")

    async def _order(self, cat: Cat) -> str | None:
        prompt = f"{self.name} {len(self.taken) + len(self.doubtful)}"
        try:
            order = await cat.submit(prompt, timeout=TIMEOUT)
        except SubmitUnknown as error:
            self.doubtful.add(prompt)
            if error.request_id is not None:
                self.taken[prompt] = error.request_id
            return None
        self.taken[prompt] = order.request_id
        return order.request_id

    async def _one(self, cat: Cat) -> None:
        if request_id := await self._order(cat):
            image = await cat.wait(request_id, timeout=TIMEOUT)
            path = await cat.download(image, self.folder / f"{self.calls}.png", timeout=TIMEOUT)
            if not path.read_bytes().startswith(SIGNATURE):
                self.wrong.append(f"{path} is no picture")
            path.unlink()

    async def _many(self, cat: Cat) -> None:
        known = [request_id for _ in range(5) if (request_id := await self._order(cat))]
        for request_id, result in zip(known, await cat.wait_all(known, timeout=TIMEOUT), strict=True):
            if isinstance(result, Image) and result.request_id != request_id:
                self.wrong.append(f"{self.name}: the image of {result.request_id} for {request_id}")

    async def _generate(self, cat: Cat) -> None:
        prompt = f"{self.name} {len(self.taken) + len(self.doubtful)}"
        try:
            image = await cat.generate(prompt, timeout=TIMEOUT)
        except SubmitUnknown:
            self.doubtful.add(prompt)
        else:
            self.taken[prompt] = image.request_id

    async def _unknown(self, cat: Cat) -> None:
        try:
            await cat.status(f"nobody-ordered-{self.calls}")
        except NotFoundError:
            return
        self.wrong.append(f"{self.name}: a request was known that nobody ordered")


@frozen
class Program:
    """What a program is told.

    Attributes:
        name: of the client that it uses.
        folder: where it may write.
        seed: decides what it does.
        seconds: how long it works.
        url: the gateway's.
    """

    name: str
    folder: Path
    seed: str
    seconds: float
    url: str = ""

    def ledger(self) -> Ledger:
        """Return a new ledger."""
        return Ledger(self.name, self.folder, random.Random(self.seed))  # noqa: S311 - to be repeated.


def order(parent: Connection, program: Program) -> None:
    """Order and wait with one client until the time is up, and tell the parent the ledger."""
    until, ledger, journal = time.monotonic() + program.seconds, program.ledger(), program.folder / "journal.db"

    async def blocking(cat: Cat) -> None:
        while time.monotonic() < until:
            await ledger.do_anything(cat)
            time.sleep(PAUSE)  # noqa: ASYNC251 - there is no event loop.

    async def main() -> None:
        async with AsyncLongCat(KEY, program.url, polling=OFTEN, journal=journal) as cat:
            while time.monotonic() < until:
                await ledger.do_anything(cat)
                await anyio.sleep(PAUSE)

    if program.name == "sync":
        with LongCat(KEY, program.url, polling=OFTEN, journal=journal) as cat:
            finish(blocking(cast("Cat", Blocking(cat))))
    else:
        anyio.run(main, backend=program.name)
    parent.send(ledger)


def call_faults(parent: Connection, program: Program) -> None:
    """Make calls to servers with faults until the time is up, and tell the parent a ledger without orders."""
    until, ledger, every = time.monotonic() + program.seconds, program.ledger(), cases()
    os.environ["SSL_CERT_FILE"] = str(certificates.authority(program.folder))
    with FaultServer(program.folder) as server:
        while time.monotonic() < until:
            case = ledger.chance.choice(every)
            with server.serving(case.fault) as url:
                seen = observe(case, url, short=0.1, late=inf)
            ledger.calls += 1
            ledger.wrong += [f"{case}: {words}" for words in seen.wrong]
    parent.send(ledger)


# --- Looking at them. ---


@define
class Looks:
    """What a program had in use, look by look.

    Attributes:
        seen: by what it is, such as `memory` in bytes.
    """

    seen: dict[str, list[int]] = field(factory=lambda: {name: [] for name in GROWTH})

    def look(self, pid: int) -> None:
        """Note what the process has in use now, where the system tells."""
        process = Path("/proc", str(pid))
        try:
            lines = (process / "status").read_text("ascii").splitlines()
            descriptors = len(list((process / "fd").iterdir()))
        except OSError:
            return
        fields = dict(line.split(":", 1) for line in lines)
        if "VmRSS" in fields:
            self.seen["memory"].append(int(fields["VmRSS"].split()[0]) * 1024)
            self.seen["descriptors"].append(descriptors)
            self.seen["threads"].append(int(fields["Threads"]))

    def grown(self) -> Iterator[str]:
        """Yield what there was too much more of in the last third of the time than in the second."""
        for name, values in self.seen.items():
            if third := len(values) // 3:
                before, after = median_low(values[third : 2 * third]), median_low(values[-third:])
                if after - before > GROWTH[name]:
                    yield f"{name} grew by {after - before}, from {before}"

    def __str__(self) -> str:
        return ", ".join(f"{name} {max(values)}" for name, values in self.seen.items() if values)


@contextmanager
def looking(programs: dict[str, Process]) -> Iterator[dict[str, Looks]]:
    """Look at the programs again and again while the block lasts."""
    looks, over = {name: Looks() for name in programs}, threading.Event()

    def run() -> None:
        while not over.wait(SAMPLE):
            for name, program in programs.items():
                looks[name].look(program.pid)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield looks
    finally:
        over.set()
        thread.join()


# --- All of it. ---


@define
class Soak:
    """A soak, and what came of it.

    Attributes:
        seed: the same one makes the same choices.
        seconds: how long the programs work.
        folder: where they do.
        batches: how many batches were killed, and came to their end.
        kills: how often.
        orders: how many orders there were of all.
        calls: how many calls the programs made.
        wrong: what must not be, in words. Empty: all is well.
    """

    seed: int
    seconds: float
    folder: Path
    batches: int = 0
    kills: int = 0
    orders: int = 0
    calls: int = 0
    wrong: list[str] = field(factory=list)

    def run(self) -> dict[str, Looks]:
        """Run the programs, kill batches until they end, and compare what they know with what the gateway took."""
        chance = random.Random(self.seed)  # noqa: S311 - to be repeated.
        certificates.make(self._new("certificates"))
        until = time.monotonic() + self.seconds
        with ExitStack() as stack:
            running = stack.enter_context(sandbox(chance.sample(FAULTS, AT_ONCE)))
            programs = {
                name: stack.enter_context(
                    Process(order, Program(name, self._new(name), f"{self.seed} {name}", self.seconds, running.url))
                )
                for name in CLIENTS
            }
            faults = Program("faults", self.folder / "certificates", f"{self.seed} faults", self.seconds)
            programs["faults"] = stack.enter_context(Process(call_faults, faults))
            with looking(programs) as looks:
                while time.monotonic() < until - LAST_BATCH:
                    self._kill_a_batch(chance)
            for program in programs.values():
                self._compare(program.receive(), running)
        for name, look in looks.items():
            self.wrong += [f"{name}: {words}" for words in look.grown()]
        return looks

    def _new(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder

    def _kill_a_batch(self, chance: random.Random) -> None:
        count, kills = BATCH
        with sandbox(chance.sample(FAULTS, AT_ONCE)) as running:
            batch = Kills(self._new(f"batch {self.batches}"), running, count, chance.randrange(10**9))
            batch.run(kills)
        self.batches += 1
        self.kills += len(batch.struck)
        self.orders += batch.taken
        self.wrong += [f"batch {self.batches}: {words}" for words in batch.wrong]

    def _compare(self, ledger: Ledger, running: Sandbox) -> None:
        """Compare what a program knows of its orders with what the gateway took, and with what is in its folder."""
        self.wrong += ledger.wrong
        self.calls += ledger.calls
        orders: list[dict[str, Any]] = [one for one in running.get("orders")["orders"] if one["request_id"] is not None]
        took = Counter(one["body"]["prompt"] for one in orders if one["body"]["prompt"].startswith(f"{ledger.name} "))
        self.orders += took.total()
        self.wrong += [f"{prompt} was taken {times} times" for prompt, times in took.items() if times > 1]
        lost = {*took} - {*ledger.taken} - ledger.doubtful
        self.wrong += [f"{prompt} was taken, and is neither known nor in doubt" for prompt in sorted(lost)]
        self.wrong += [f"{path} is left" for path in ledger.folder.glob("*.p*") if ledger.name != "faults"]


def main() -> int:
    """Print the figures, and return whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long it takes (default: 10)")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run (default: another one each time)")
    chosen = parser.parse_args()
    seed = random.randrange(10**6) if chosen.seed is None else chosen.seed  # noqa: S311 - any number.
    print(f"seed {seed}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(seed, 60 * chosen.minutes, Path(folder))
        looks = soak.run()
    for name, look in looks.items():
        print(f"{name}: at most {look}")
    print(
        f"{soak.calls} calls, {soak.orders} orders, {soak.batches} batches killed {soak.kills} times,"
        f" in {time.monotonic() - began:.0f} s."
    )
    for words in soak.wrong[:20]:
        print(f"WRONG: {words}")
    return bool(soak.wrong)


if __name__ == "__main__":
    sys.exit(main())
