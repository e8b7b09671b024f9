"""The clock of a client, and how it sleeps."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Final, Protocol

RESOLUTION: Final = 0.001  # Seconds. A shorter pause is not worth a sleep, and less time than this is no time left.
LONGEST_SLEEP: Final = 3600.0  # Seconds. What is longer is slept in parts: not every clock can sleep for ever.
NOT_HELD: Final[AbstractContextManager[object]] = nullcontext()


class Clock(Protocol):
    """The clock of a client, and its sleep. A test passes one of its own, and waits for nothing."""

    def time(self) -> float:
        """Return the seconds since the epoch, to read a `Retry-After` that is a date."""

    def monotonic(self) -> float:
        """Return seconds that never go backwards, to measure with."""

    def sleep(self, seconds: float) -> None:
        """Sleep. `LongCat` calls this."""

    async def asleep(self, seconds: float) -> None:
        """Sleep, and let other tasks run. `AsyncLongCat` calls this."""


def is_made_for_tests(clock: Clock) -> bool:
    """Whether a clock stands still and goes on as a test wants it, so that no other clock agrees with it."""
    return hasattr(clock, "hold")


def hold(clock: Clock) -> AbstractContextManager[object]:
    """Return a context in which a clock made for tests stands still, if it has a `hold`. Any other clock goes on."""
    held: Callable[[], AbstractContextManager[object]] | None = getattr(clock, "hold", None)
    return NOT_HELD if held is None else held()


_usual_monotonic: Final = [time.monotonic]  # In a list, freezegun does not find and replace it.

monotonic: Final[Callable[[], float]] = (
    partial(time.clock_gettime, time.CLOCK_MONOTONIC)
    if hasattr(time, "CLOCK_MONOTONIC")  # Windows has none.
    else partial(time.monotonic)
)
"""Returns the seconds of a clock that goes on when a tool for tests stops the time.

Freezegun replaces `time.monotonic` wherever a module has it. Nothing replaces this clock of the system. It is asked so
often that a function around it would be felt.
"""


SLEEP_PART: Final = 0.5  # Seconds that a thread sleeps at a time. By so much it may outlast the task it sleeps for.
TICK: Final = 1e-5  # Seconds in which the time on a running clock changes.


def stands_still() -> bool:
    """Whether a tool for tests has stopped the clocks by which event loops go."""
    begin, clocks = monotonic(), (time.monotonic(), time.perf_counter())
    if begin <= min(clocks) and max(clocks) <= monotonic():
        return False  # They show what the clock of the system shows.
    if time.get_clock_info("monotonic").resolution > TICK:
        return time.monotonic is not _usual_monotonic[0]
    while monotonic() < begin + TICK:
        pass
    return clocks[0] == time.monotonic() or clocks[1] == time.perf_counter()


async def asleep(seconds: float) -> None:
    """Sleep, also in an event loop whose clock stands still: there, a thread does."""
    import anyio.to_thread  # noqa: PLC0415 - a program without event loops needs none of it.

    if not stands_still():
        await anyio.sleep(seconds)
        return
    end, limiter = monotonic() + seconds, anyio.CapacityLimiter(1)
    while (left := end - monotonic()) > 0:
        wait = threading.Event().wait
        await anyio.to_thread.run_sync(wait, min(left, SLEEP_PART), abandon_on_cancel=True, limiter=limiter)


class SystemClock:
    """The clock of this machine.

    Tools that stop the time for tests, such as freezegun and time-machine, stop `time` only: waits go on.
    """

    def time(self) -> float:  # noqa: D102
        return time.time()

    monotonic = staticmethod(monotonic)

    def sleep(self, seconds: float) -> None:  # noqa: D102
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:  # noqa: D102
        await asleep(seconds)
