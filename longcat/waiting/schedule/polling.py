"""Two policies that learn nothing. No I/O, no clock; randomness is an argument."""

import math
import random
from typing import Final, Self

from attrs import field, frozen, validators

from longcat.waiting.schedule.plan import Random

POSITIVE: Final = [validators.gt(0.0), validators.lt(math.inf)]


def check_bounds(least: float, most: float) -> None:
    """Raise ValueError unless the shortest pause is no longer than the longest one, both in seconds."""
    if least > most:
        raise ValueError(f"min_interval is {least:g} s, more than max_interval, {most:g} s. Exchange them.")


@frozen
class StatelessPolling:
    """A policy that learns nothing, and so is its own plan."""

    def plan(self) -> Self:
        """Return this policy."""
        return self

    def finished(self, elapsed: float) -> None:
        """Do nothing."""


@frozen
class FixedPolling(StatelessPolling):
    """The same pause every time."""

    interval: float = field(validator=POSITIVE)
    """Seconds between an answer and the next question."""

    def next(self, elapsed: float, progress: float | None) -> float:  # noqa: ARG002 - it uses neither.
        """Return the interval."""
        return self.interval


@frozen
class GeometricPolling(StatelessPolling):
    """Pauses that grow with the wait, so that the delay stays a fixed share of it.

    The pause after `elapsed` seconds is `ratio * elapsed`, no less than `min_interval` and no more than `max_interval`,
    times a factor drawn evenly from `1 - jitter` to `1 + jitter`: waits that started together drift apart.
    """

    ratio: float = field(default=0.25, validator=POSITIVE)
    """How long the delay after the request is done may be, as a share of the wait so far."""
    min_interval: float = field(default=0.5, validator=POSITIVE)
    """Seconds."""
    max_interval: float = field(default=10.0, validator=POSITIVE)
    """Seconds. The vendor's page on the queue gateway advises five to ten."""
    jitter: float = field(default=0.1, validator=[validators.ge(0.0), validators.lt(1.0)])
    """From 0.0, none, up to 1.0."""
    random: Random = field(default=random.random, repr=False)

    def __attrs_post_init__(self) -> None:
        check_bounds(self.min_interval, self.max_interval)

    def next(self, elapsed: float, progress: float | None) -> float:  # noqa: ARG002 - it does not use progress.
        """Return `clamp(ratio * elapsed)` seconds, with jitter."""
        pause = min(max(self.ratio * elapsed, self.min_interval), self.max_interval)
        return pause * (1 + self.jitter * (2 * self.random() - 1))
