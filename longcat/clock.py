"""Where the client gets the time."""

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import anyio


class Clock(Protocol):
    """Where the client gets the time. A test passes a clock of its own, and waits for nothing."""

    def time(self) -> float:
        """Return the seconds since the epoch, to read a `Retry-After` that is a date."""

    def monotonic(self) -> float:
        """Return seconds that never go backwards, to measure with."""

    def sleep(self, seconds: float) -> None:
        """Sleep. `LongCat` calls this."""

    async def asleep(self, seconds: float) -> None:
        """Sleep, and let other tasks run. `AsyncLongCat` calls this."""


def hold(clock: Clock) -> AbstractContextManager[object]:
    """Return a context in which a clock made for tests stands still, if it has a `hold`. Any other clock goes on."""
    context: AbstractContextManager[object] = getattr(clock, "hold", nullcontext)()
    return context


class SystemClock:
    """The clock of this machine. It looks the functions up at each call, so that tests may replace them."""

    def time(self) -> float:  # noqa: D102
        return time.time()

    def monotonic(self) -> float:  # noqa: D102
        return time.monotonic()

    def sleep(self, seconds: float) -> None:  # noqa: D102
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:  # noqa: D102
        await anyio.sleep(seconds)
