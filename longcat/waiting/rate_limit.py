"""How often all waits of one client may ask, and not before when. No I/O, no clock.

Questions are spaced evenly. After a 429 they come half as often, and from then on a little more often each second: the
additive increase and multiplicative decrease by which TCP finds out what a network bears (Chiu and Jain, 1989). Once
the rate is back where the gateway refused it, and the gateway does not refuse again, it grows fast.
"""

import math
from collections.abc import Callable, Iterator
from typing import Final

from attrs import define, field, frozen

from longcat.processes import ForkSafeLock

RESOLUTION: Final = 0.001  # Seconds. A shorter pause is not worth a sleep, and less time than this is no time left.
LONGEST_SLEEP: Final = 3600.0  # Seconds. What is longer is slept in parts: not every clock can sleep for ever.
DECREASE: Final = 0.5  # What is left of the rate after a 429.
LEAST: Final = 4.0
"""Questions per second. A 429 is never read as a lower rate than this, so a single wait is not slowed more than by its
own `commands.backoff`."""
RECOVERY: Final = 60.0  # Seconds in which the rate climbs from nothing to where the gateway refused it.
DOUBLING: Final = 10.0  # Seconds in which it doubles from there.
SLOWEST: Final = 0.1  # Questions per second that a client may always ask, however often it is refused.


@frozen
class Slot:
    """The moment, in seconds on the client's clock, at which one question may be asked.

    It is void once the rate was cut, which begins another generation of slots.
    """

    moment: float
    generation: int


@define
class RateLimiter:
    """When the waits of one client may ask. May be used from many threads.

    Attributes:
        max_rate: questions per second, infinite for no bound.
        quiet_until: a moment on the client's clock. Before it, no wait asks.
    """

    max_rate: float = math.inf
    quiet_until: float = 0.0
    _next: float = 0.0  # The moment of the next slot that is free.
    _generation: int = 0
    """How often the rate was cut. Slots that were reserved before are void: they are too close to each other."""
    _slowed: float = -math.inf  # When the rate was last cut.
    _rate: float = math.inf  # What it was cut to, in questions per second.
    _top: float = 0.0  # About which rate the gateway refused. 0: it has refused nothing yet.
    _recent: float = 0.0
    """How many slots were reserved lately: each counts less from second to second, by a factor of e."""
    _counted: float = -math.inf  # The moment at which that was counted.
    _lock: ForkSafeLock = field(factory=ForkSafeLock)

    def free(self, now: float) -> float:
        """Return the moment of the next slot that is free."""
        return max(self._next, now, self.quiet_until)

    def reserve(self, now: float) -> Slot:
        """Reserve the next slot that is free."""
        with self._lock:
            moment = self.free(now)
            self._next = moment + 1 / self.rate(moment)
            self._recent = self._recent * math.exp(min(self._counted - moment, 0.0)) + 1
            self._counted = max(moment, self._counted)
            return Slot(moment, self._generation)

    def pause(self, slot: Slot, now: float) -> float | None:
        """Return the seconds until a slot comes, at least 0. None: it is void, and another must be reserved."""
        return max(slot.moment - now, 0.0) if slot.generation == self._generation else None

    def pauses(self, monotonic: Callable[[], float], left: float) -> Iterator[float]:
        """Yield the seconds to sleep, one after the other, until a slot has come or so many seconds are over."""
        now = monotonic()
        end = now + left
        while self.free(now) < end:  # A slot that comes too late for this wait is left to others.
            slot = self.reserve(now)
            while (pause := self.pause(slot, now)) is not None:
                if pause < RESOLUTION:
                    return
                yield min(pause, LONGEST_SLEEP)
                now = monotonic()
        while now < end:
            yield min(end - now, LONGEST_SLEEP)
            now = monotonic()

    def on_rate_limited(self, now: float, until: float, asked: float) -> None:
        """Take note of a 429: let no wait ask until a moment, and all ask less often from then on.

        Args:
            now: this moment.
            until: when the gateway may be asked again, by what it said or by our own caution.
            asked: when the question was sent. One that was under way when the rate was cut is no reason to cut again.
        """
        with self._lock:
            self.quiet_until = max(self.quiet_until, until)
            self._next = max(self._next, self.quiet_until)
            if asked <= self._slowed:
                return
            recent = self._recent * math.exp(min(self._counted - now, 0.0))
            rate = min(self.rate(now), max(recent, LEAST))
            self._top = rate if rate > self._top else (rate + self._top) / 2
            self._rate = max(rate * DECREASE, SLOWEST)
            self._slowed = now
            self._next = self.quiet_until
            self._generation += 1

    def rate(self, moment: float) -> float:
        """Return how many questions may be asked in a second at this moment. Infinite: there is no bound."""
        if not self._top:
            return self.max_rate
        climbs = (self._top - self._rate) / self._top * RECOVERY  # So many seconds.
        if moment - self._slowed < climbs:
            return min(self._rate + (moment - self._slowed) / RECOVERY * self._top, self.max_rate)
        doubled = min((moment - self._slowed - climbs) / DOUBLING, 64)
        return min(max(self._rate, self._top) * 2**doubled, self.max_rate)
