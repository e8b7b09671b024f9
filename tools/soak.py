"""Let programs wait, order and download for minutes, under random faults and kills: nothing may grow or get lost.

Three programs, one for each kind of client, order from a sandbox with faults and wait for it. A fourth one calls the
servers of `tests/backends/faults.py`. Beside them, batches are killed as `make kills` does it. What the programs have
in use is counted every few calls, as `growth` says.
"""

import argparse
import gc
import os
import random
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from functools import partial
from math import inf
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, cast

import anyio
import certificates
from attrs import define, field, frozen
from fakes import Blocking, Cat, finish
from fault_cases import CLIENTS, cases, observe
from fault_server import FaultServer
from growth import LEAKS, Growth
from kills import KEY, Kills, Sandbox, sandbox
from processes import Process

from longcat import AsyncLongCat, FixedPolling, Image, LongCat, LongCatError, NotFoundError, SubmitUnknown
from longcat.testing.picture import SIGNATURE
from longcat.waiting import backoff

FAULTS: Final = (
    *("order-rate-limit-bare:1", "order-unavailable-bare:1", "order-hang-up:2", "order-unread:2", "order-reset:1"),
    *("order-cut:1:150", "order-hang-up-taken:1", "order-server-error-taken:1", "order-html:1", "order-cut-json:1"),
    *("slow:1:0.1", "drip:1:0.1", "rate-limit-bare:1", "server-error:1", "cdn-522:1", "challenge:1", "html:1"),
    *("empty-body:1", "cut-json:1", "cut-body:1", "reset:1", "hang-up:1", "picture-cut:1", "picture-slow:1:0.1"),
)
"""Those of a sandbox that pass, or leave an order in doubt."""
AT_ONCE: Final = 8
"""How many of them a sandbox has."""
OFTEN: Final = FixedPolling(0.1)
"""How often a program asks, so that much happens."""
BACKOFF: Final = 0.02
"""Seconds for which a program pauses after the first fault, for the same reason."""
TIMEOUT: Final = 20.0
"""Seconds that a call may take on a busy machine."""
BATCH: Final = (20, 3)
"""How many orders a batch has that is killed, and how often it is."""


# --- The programs. ---


@define
class Ledger:
    """What a program ordered, and what came of it.

    Attributes:
        name: of the program. Its prompts begin with it.
        folder: for its pictures, and for the list of its prompts, which would be a leak in memory.
        chance: decides what it does next.
        calls: how many calls it made.
        orders: how many orders it tried.
        wrong: what must not be, in words.
    """

    name: str
    folder: Path
    chance: random.Random
    calls: int = 0
    orders: int = 0
    wrong: list[str] = field(factory=list)

    async def do_anything(self, cat: Cat) -> None:
        """Make one call, or some that belong together."""
        try:
            await self.chance.choice([self._one, self._one, self._many, self._generate, self._unknown])(cat)
        except LongCatError:
            pass  # The faults go on for as long as they like; what counts is what was ordered.
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not be.
            self.wrong.append(f"{self.name}: {type(error).__name__}: {error}")

    @property
    def known(self) -> set[str]:
        """The prompts of orders that were taken or are in doubt."""
        return set(self._list.read_text("utf-8").splitlines()) if self._list.exists() else set()

    @property
    def _list(self) -> Path:
        return self.folder / "known.txt"

    def _note(self, prompt: str) -> None:
        with self._list.open("a", encoding="utf-8") as file:
            file.write(f"{prompt}\n")

    def _prompt(self) -> str:
        self.orders += 1
        return f"{self.name} {self.orders}"

    async def _order(self, cat: Cat) -> str | None:
        prompt = self._prompt()
        try:
            order = await cat.submit(prompt, timeout=TIMEOUT)
        except SubmitUnknown:
            self._note(prompt)
            return None
        self._note(prompt)
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
        prompt = self._prompt()
        with suppress(SubmitUnknown):
            await cat.generate(prompt, timeout=TIMEOUT)
        self._note(prompt)

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
        leak: which of the leaks of `growth` it has, by name. None: it has no leak.
    """

    name: str
    folder: Path
    seed: str
    seconds: float
    url: str = ""
    leak: str | None = None

    def ledger(self) -> Ledger:
        """Return a new ledger."""
        return Ledger(self.name, self.folder, random.Random(self.seed))  # noqa: S311 - to be repeated.

    async def work(self, ledger: Ledger, growth: Growth, step: Callable[[], Awaitable[None]]) -> None:
        """Take steps until the time is up, and note after each what is in use."""
        until = time.monotonic() + self.seconds
        while time.monotonic() < until:
            ledger.calls += 1
            await step()
            if self.leak is not None:
                LEAKS[self.leak](ledger.calls)
            await growth.note_if_due(ledger.calls)


def begin_to_count(*, is_async: bool = False) -> Growth:
    """Trace memory from now on, and return what counts it, for a program that has not made its client yet."""
    tracemalloc.start()
    growth = Growth(is_async=is_async)
    gc.freeze()  # So that what was imported is not looked through at every count.
    return growth


def order(parent: Connection, program: Program) -> None:
    """Order and wait with one client until the time is up, and tell the parent what came of it."""
    backoff.BACKOFF_FIRST, backoff.BACKOFF_LONGEST = BACKOFF, 10 * BACKOFF  # type: ignore[misc]
    ledger, journal = program.ledger(), program.folder / "journal.db"
    growth = begin_to_count(is_async=program.name != "sync")

    async def work(cat: Cat) -> None:
        await program.work(ledger, growth, partial(ledger.do_anything, cat))

    async def main() -> None:
        async with AsyncLongCat(KEY, program.url, polling=OFTEN, journal=journal) as cat:
            await work(cat)

    if growth.is_async:
        anyio.run(main, backend=program.name)
    else:
        with LongCat(KEY, program.url, polling=OFTEN, journal=journal) as cat:
            finish(work(cast("Cat", Blocking(cat))))
    growth.finish()
    parent.send((ledger, growth))


def call_faults(parent: Connection, program: Program) -> None:
    """Make calls to servers with faults until the time is up, and tell the parent what came of them."""
    os.environ["SSL_CERT_FILE"] = str(certificates.authority(program.folder))
    ledger, every = program.ledger(), cases()
    with FaultServer(program.folder) as server:
        growth = begin_to_count()

        async def call_one() -> None:
            case = ledger.chance.choice(every)
            with server.serving(case.fault) as url:
                seen = observe(case, url, short=0.1, late=inf)
            ledger.wrong += [f"{case}: {words}" for words in seen.wrong]

        finish(program.work(ledger, growth, call_one))
        growth.finish()
    parent.send((ledger, growth))


# --- All of it. ---


@define
class Soak:
    """A soak, and what came of it.

    Attributes:
        seed: the same one makes the same choices.
        seconds: how long the programs work.
        folder: where they do.
        leak: which leak every program has, by name. None: they have none.
        batches: how many batches were killed, and came to their end.
        kills: how often.
        orders: how many orders there were of all.
        calls_of: how many calls each program made, by its name.
        wrong: what must not be, in words. Empty: all is well.
    """

    seed: int
    seconds: float
    folder: Path
    leak: str | None = None
    batches: int = 0
    kills: int = 0
    orders: int = 0
    calls_of: dict[str, int] = field(factory=dict)
    wrong: list[str] = field(factory=list)

    def run(self) -> dict[str, Growth]:
        """Run the programs, kill batches until they end, and compare what they know with what the gateway took.

        Returns what each program had in use.
        """
        chance = random.Random(self.seed)  # noqa: S311 - to be repeated.
        certificates.make(self._new("certificates"))
        until = time.monotonic() + self.seconds
        with ExitStack() as stack:
            running = stack.enter_context(sandbox(chance.sample(FAULTS, AT_ONCE)))
            programs = {
                name: Program(name, self._new(name), f"{self.seed} {name}", self.seconds, running.url, self.leak)
                for name in CLIENTS
            }
            processes = {name: stack.enter_context(Process(order, program)) for name, program in programs.items()}
            faults = Program(
                "faults", self.folder / "certificates", f"{self.seed} faults", self.seconds, leak=self.leak
            )
            processes["faults"] = stack.enter_context(Process(call_faults, faults))
            longest = 0.0
            while (began := time.monotonic()) + longest < until:
                self._kill_a_batch(chance, until)
                longest = max(longest, time.monotonic() - began)
            return {name: self._end(process, running) for name, process in processes.items()}

    def _new(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder

    def _kill_a_batch(self, chance: random.Random, until: float) -> None:
        count, kills = BATCH
        with sandbox(chance.sample(FAULTS, AT_ONCE)) as running:
            batch = Kills(self._new(f"batch {self.batches}"), running, count, chance.randrange(10**9), until)
            batch.run(kills)
        self.batches += 1
        self.kills += len(batch.struck)
        self.orders += batch.taken
        self.wrong += [f"batch {self.batches}: {words}" for words in batch.wrong]

    def _end(self, process: Process, running: Sandbox) -> Growth:
        """Compare what a program knows of its orders with what the gateway took, and look at what it left and grew."""
        ledger: Ledger
        growth: Growth
        ledger, growth = process.receive()
        self.wrong += ledger.wrong
        self.wrong += [f"{ledger.name}: {words}" for words in growth.grown()]
        self.calls_of[ledger.name] = ledger.calls
        orders: list[dict[str, Any]] = [one for one in running.get("orders")["orders"] if one["request_id"] is not None]
        took = Counter(one["body"]["prompt"] for one in orders if one["body"]["prompt"].startswith(f"{ledger.name} "))
        self.orders += took.total()
        self.wrong += [f"{prompt} was taken {times} times" for prompt, times in took.items() if times > 1]
        lost = {*took} - ledger.known
        self.wrong += [f"{prompt} was taken, and is neither known nor in doubt" for prompt in sorted(lost)]
        self.wrong += [f"{path} is left" for path in ledger.folder.glob("*.p*") if ledger.name != "faults"]
        return growth


def main() -> int:
    """Print the figures, and return whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long it takes (default: 10)")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run (default: another one each time)")
    parser.add_argument("--leak", choices=LEAKS, help="let every program leak, which must be found (default: none)")
    chosen = parser.parse_args()
    seed = random.randrange(10**6) if chosen.seed is None else chosen.seed  # noqa: S311 - any number.
    print(f"seed {seed}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(seed, 60 * chosen.minutes, Path(folder), chosen.leak)
        growths = soak.run()
    for name, growth in growths.items():
        print(f"{name}: {soak.calls_of[name]} calls, {growth}")
    print(
        f"{sum(soak.calls_of.values())} calls, {soak.orders} orders, {soak.batches} batches killed {soak.kills} times,"
        f" in {time.monotonic() - began:.0f} s."
    )
    for words in soak.wrong[:20]:
        print(f"WRONG: {words}")
    return bool(soak.wrong)


if __name__ == "__main__":
    sys.exit(main())
