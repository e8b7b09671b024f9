"""A clock on which nothing takes time but sleeping."""

import asyncio
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final

import anyio
from anyio.lowlevel import checkpoint, current_token
from attrs import define, field

from longcat.waiting.wake import WakeEvent

START: Final = 1_718_447_400.0  # 2024-06-15T10:30:00Z, the moment in the documentation's example.
TURNS: Final = 100  # How often every other task of asyncio's event loop gets its turn, at most, before time moves on.
HELD: Final = 0.001  # Real seconds after which a task looks again whether a clock that was held goes on.


@define(order=True)
class _Sleeper:
    """A task that sleeps.

    Attributes:
        due: when it wakes up, in seconds on the clock.
        number: which sleep it is, to keep those that are due at once in order.
        turn: set when it may have come to be the first.
    """

    due: float
    number: int
    turn: anyio.Event = field(factory=anyio.Event, eq=False)


@define(kw_only=True, eq=False)
class VirtualClock:
    """A `longcat.Clock` for tests: its sleeps take no real time, however long they are.

    The tasks of an event loop that sleep at once wake up in the order in which they are due, and each finds the clock
    at that very moment: time moves to the earliest of them, and only when no other task can run. Threads that sleep at
    once wake up in that order, too. Work in threads and real I/O count as waiting, unless they are in a `hold` block,
    as the calls of a `LongCat` are. On trio, a task that never stops running stops the clock; on asyncio, only for a
    while. The clock never goes backwards.

    Attributes:
        start: the seconds since the epoch at which it starts.
        now: seconds since then. A test may set it to let time pass outside of any sleep.
        sleeps: how many seconds each sleep was to last, in the order in which they began.
        on_sleep: called at the beginning of each sleep; what it raises comes out of the sleep.
    """

    start: float = START
    now: float = 0.0
    sleeps: list[float] = field(factory=list)
    on_sleep: Callable[[], object] = field(default=lambda: None, repr=False)
    _changed: threading.Condition = field(factory=threading.Condition, init=False, repr=False)
    _numbers: Iterator[int] = field(factory=count, init=False, repr=False)
    _holds: Counter[int] = field(factory=Counter, init=False, repr=False)
    """How many `hold` blocks each thread is in that is awake."""
    _threads: list[tuple[float, int]] = field(factory=list, init=False, repr=False)
    """When the sleeps of threads end, and their numbers."""
    _queues: dict[object, list[_Sleeper]] = field(factory=dict, init=False, repr=False)

    def time(self) -> float:
        """Return the seconds since the epoch."""
        return self.start + self.now

    def monotonic(self) -> float:
        """Return the seconds since the clock started."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass, without waiting for them. Raises ValueError when they are negative or not finite.

        It returns when no thread that sleeps is due before, and every other thread in a `hold` block sleeps as well.
        """
        self.sleep_until(None, seconds)

    def sleep_until(self, wake: WakeEvent | None, seconds: float) -> None:
        """Sleep as `sleep` does, but no longer than until an event is set; from then on no time passes."""
        sleep, thread = (self._begin(seconds), next(self._numbers)), threading.get_ident()
        with self._changed, nullcontext() if wake is None else wake.listening(self._notify):
            held = self._holds.pop(thread, 0)
            self._threads.append(sleep)
            self._changed.notify_all()
            try:
                self._changed.wait_for(
                    lambda: (wake is not None and wake.is_set) or (not self._holds and min(self._threads) == sleep)
                )
                if wake is None or not wake.is_set:
                    self._reach(sleep[0])
            finally:
                self._threads.remove(sleep)
                if held:
                    self._holds[thread] = held
                self._changed.notify_all()

    async def asleep(self, seconds: float) -> None:
        """Let other tasks run and sleep until so many seconds have passed. Raises ValueError as `sleep` does.

        A sleep that is cancelled lets no time pass.
        """
        sleeper = _Sleeper(self._begin(seconds), next(self._numbers))
        loop = current_token()
        queue = self._queues.setdefault(loop, [])
        heappush(queue, sleeper)
        try:
            while True:
                if not await _is_idle(queue, sleeper):
                    await sleeper.turn.wait()
                    sleeper.turn = anyio.Event()
                elif self._holds:
                    await anyio.sleep(HELD)
                else:
                    break
            self._reach(sleeper.due)
        finally:
            _leave(queue, sleeper)
            if not queue:
                del self._queues[loop]

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Let no sleep end before the block does, but for those in the block: it takes no time on this clock."""
        thread = threading.get_ident()
        with self._changed:
            self._holds[thread] += 1
        try:
            yield
        finally:
            with self._changed:
                self._holds[thread] -= 1
                self._holds += Counter()  # Drops a count of zero.
                self._changed.notify_all()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _begin(self, seconds: float) -> float:
        """Note a sleep, and return when it ends."""
        if not 0.0 <= seconds < math.inf:
            raise ValueError(
                f"A sleep lasts zero or more seconds and comes to an end, not {seconds}. Pass such a number."
            )
        with self._changed:
            due = self.now + seconds
            self.sleeps.append(seconds)
        self.on_sleep()
        return due

    def _reach(self, due: float) -> None:
        with self._changed:
            self.now = max(self.now, due)


def _leave(queue: list[_Sleeper], sleeper: _Sleeper) -> None:
    """Take a sleeper out of the queue, and wake the one that is first now."""
    if queue[0] is sleeper:
        heappop(queue)
    else:
        queue.remove(sleeper)
        heapify(queue)
    if queue:
        queue[0].turn.set()


async def _is_idle(queue: list[_Sleeper], sleeper: _Sleeper) -> bool:
    """Return True once every other task of the event loop waits; False when the sleeper has to wait for its turn."""
    try:
        # A private name of asyncio: the callbacks that can run now. A loop that has none gives the others their turns.
        ready = getattr(asyncio.get_running_loop(), "_ready", None)
    except RuntimeError:  # It is trio's.
        if queue[0] is sleeper:
            await anyio.wait_all_tasks_blocked()
        # Trio wakes all waiters at once. One that ended its sleep just now has set the turn of who is first after it.
        return queue[0] is sleeper and not sleeper.turn.is_set()
    for _ in range(TURNS):
        if queue[0] is not sleeper:
            return False
        await checkpoint()
        if ready is not None and not ready:
            break
    return queue[0] is sleeper
