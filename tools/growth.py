"""What a program has in use whenever it rests, and whether that grows: how a soak tells a leak.

A program is counted every few calls, between two of them. A leak adds something with every call, or with every
fiftieth; what the program needs for a while, or keeps within a bound, does not. So it matters how many calls there
were, and never how much time went by, or how much memory the system gave to the process.
"""

import gc
import linecache
import os
import re
import stat
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from statistics import quantiles
from typing import Any, Final

import anyio
from attrs import define, field, frozen
from fakes import finish

from longcat.sending.http.async_transports import AsyncTransports
from longcat.sending.http.transports import SyncTransports

CACHE: Final = type(lru_cache(bool))
"""The class of the caches of functions."""
EVERY: Final = 3
"""Calls between two counts."""
ENOUGH: Final = 20
"""Counts in each half of a program's calls, without which the program is not judged."""
LIMIT: Final = 512.0
"""Bytes by which memory may grow with each call: half of the smallest leak that is to be found."""
SETTLING: Final = 5.0
"""Seconds that a thread, a task or a connection that has been ended may need to go on a busy machine."""
TICK: Final = 0.05
"""Seconds between two looks at whether it has."""
POOLED: Final = ("Trio", "AnyIO")
"""How the names of threads begin that are kept for whoever needs one next, until the event loop ends."""


@frozen
class Use:
    """What a program has in use when it rests.

    Attributes:
        calls: how many calls it had made.
        memory: the bytes that Python has allocated, without the caches that are bounded.
        files: the open descriptors but for sockets.
        connections: the open sockets, without those of idle connections.
        threads: those that run.
        tasks: those of the event loop. 0: there is none.
    """

    calls: int
    memory: int
    files: int
    connections: int
    threads: int
    tasks: int

    def exceeds(self, other: "Use") -> dict[str, tuple[int, int]]:
        """Return what this is more of than the other one, but for memory, with the other's number and this one's."""
        pairs = {name: (getattr(other, name), getattr(self, name)) for name in EXACT}
        return {name: pair for name, pair in pairs.items() if pair[1] > pair[0]}


EXACT: Final = ("files", "connections", "threads", "tasks")
"""What may not grow at all."""


def bounded_caches() -> list[Any]:
    """Return every cache of a function that is bounded. One without a bound is a leak like any other."""
    caches = [one for one in gc.get_objects() if isinstance(one, CACHE)]
    return [one for one in caches if one.cache_parameters()["maxsize"] is not None]


def _mode(descriptor: str) -> int:
    """Return the mode of an open file. 0: it is none any more, as that by which the list was read."""
    try:
        return os.fstat(int(descriptor)).st_mode
    except OSError:
        return 0


@define
class Growth:
    """What a program has in use from count to count.

    Attributes:
        is_async: whether the program runs in an event loop.
        settling: seconds that what has been ended may need to go.
        caches: those that were there before the program was begun.
        counts: what was in use at each count.
        start: what was in use before the program made its client.
        end: what was in use after the client was closed. None: it is not closed.
    """

    is_async: bool = False
    settling: float = SETTLING
    caches: list[Any] = field(factory=bounded_caches)
    counts: list[Use] = field(factory=list)
    start: Use = field(init=False)
    end: Use | None = None

    def __attrs_post_init__(self) -> None:
        self.start = self._now(0)

    async def note_if_due(self, calls: int) -> None:
        """Count what is in use after so many calls, without the connections that the client keeps idle."""
        if calls % EVERY == 0:
            await self._close_idle()
            self.counts.append(await self._settled(calls, _most(self.counts)) if self.counts else self._now(calls))

    def finish(self) -> None:
        """Count what is in use after the client was closed."""
        self.is_async = False  # The event loop has ended.
        self.end = finish(self._settled(0, self.start))
        self.caches.clear()  # They can't be sent to another process.

    @property
    def is_judged(self) -> bool:
        """Whether there were enough calls to judge growth. What is left at the end is judged always."""
        return len(self.counts) >= 2 * ENOUGH

    def grown(self) -> Iterator[str]:
        """Yield what grew in the second half of the calls, and what is left at the end, in words."""
        if self.end is not None:
            for name, (before, after) in self.end.exceeds(self.start).items():
                yield f"{name} are left: {after} instead of {before}"
        if self.is_judged:
            first, second = self._halves()
            for name, (before, after) in _most(second).exceeds(_most(first)).items():
                yield f"{name} grew from {before} to {after}"
            if per_call(second) > LIMIT:
                yield f"memory grew by {per_call(second):.0f} bytes a call, and by {per_call(first):.0f} before"

    def __str__(self) -> str:
        if not self.is_judged:
            return f"growth not judged, as there were fewer than {2 * ENOUGH * EVERY} calls"
        first, second = self._halves()
        most = _most(self.counts)
        words = [f"at most {getattr(most, name)} {name}" for name in EXACT]
        memory = self.counts[-1].memory / 1e6
        words.append(f"{memory:.1f} MB, {per_call(first):+.0f} bytes a call and then {per_call(second):+.0f}")
        return f"judged, {', '.join(words)}"

    def _halves(self) -> tuple[list[Use], list[Use]]:
        half = len(self.counts) // 2
        return self.counts[:half], self.counts[half:]

    def _now(self, calls: int) -> Use:
        """Return what is in use when all that can be dropped has been."""
        linecache.clearcache()
        re.purge()
        for cache in (*self.caches, *bounded_caches()):
            cache.cache_clear()
        gc.collect()
        modes = [mode for name in os.listdir("/dev/fd") if (mode := _mode(name))]  # noqa: PTH208 - numbers, not files.
        connections = sum(map(stat.S_ISSOCK, modes))
        threads = sum(not thread.name.startswith(POOLED) for thread in threading.enumerate())
        tasks = len(anyio.get_running_tasks()) if self.is_async and calls else 0
        memory = tracemalloc.get_traced_memory()[0]
        return Use(calls, memory, len(modes) - connections, connections, threads, tasks)

    async def _settled(self, calls: int, most: Use) -> Use:
        """Return what is in use as soon as it is no more than this, or when all that was ended has had time to go."""
        until = time.monotonic() + (self.settling if self.is_judged or not calls else self.settling / 10)
        use = self._now(calls)
        while use.exceeds(most) and time.monotonic() < until:
            await self._sleep()
            use = self._now(calls)
        return use

    async def _sleep(self) -> None:
        if self.is_async:
            await anyio.sleep(TICK)
        else:
            time.sleep(TICK)  # noqa: ASYNC251 - there is no event loop.

    async def _close_idle(self) -> None:
        """Close the connections that clients keep for their next calls, which may be many or few."""
        for one in gc.get_objects():
            if isinstance(one, AsyncTransports if self.is_async else SyncTransports) and not one.is_closed:
                await one.aclose() if isinstance(one, AsyncTransports) else one.close()
                one.is_closed = False


def _most(uses: Sequence[Use]) -> Use:
    """Return the most that was in use of each, but for memory."""
    return Use(0, 0, *(max(getattr(use, name) for use in uses) for name in EXACT))


def per_call(uses: Sequence[Use]) -> float:
    """Return by how many bytes memory grew with each call: the lower quartile of all pairs of counts.

    A leak shows in nearly all pairs. What is kept once, or for a while, shows in some.
    """
    slopes = [(after.memory - before.memory) / (after.calls - before.calls) for before, after in combinations(uses, 2)]
    return quantiles(slopes, n=4)[0]


# --- Leaks made by hand, which must be found. ---


KEPT: Final[list[bytes]] = []
"""What was leaked."""


def leak_memory(_calls: int) -> None:
    """Keep 1 kB for ever."""
    KEPT.append(bytes(1000))


def leak_descriptor(calls: int) -> None:
    """Open a file with every fiftieth call, and leave it open."""
    if calls % 50 == 0:
        os.open(os.devnull, os.O_RDONLY)


LEAKS: Final[Mapping[str, Callable[[int], None]]] = {"memory": leak_memory, "descriptor": leak_descriptor}
"""By name, what leaks when it is called after each call with how many calls there were."""
