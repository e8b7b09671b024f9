"""The interface of policies, which say when to ask next. No I/O, no clock; randomness is an argument."""

from collections.abc import Callable
from typing import Protocol

Random = Callable[[], float]
"""A source of numbers from 0.0 up to, not including, 1.0."""


class Plan(Protocol):
    """The times of one wait: how long it pauses between questions."""

    def next(self, elapsed: float, progress: float | None) -> float:
        """Return how many seconds to pause before the next question.

        Args:
            elapsed: seconds since the wait began, zero or more.
            progress: the last one reported, from 0.0 to 1.0. None: unknown.
        """

    def finished(self, elapsed: float) -> None:
        """Take note that the request was done after so many seconds of waiting."""


class Polling(Protocol):
    """A policy, shared by all waits of a client. The first question of a wait is asked at once, whatever the policy."""

    def plan(self) -> Plan:
        """Return the plan of a wait that begins now."""
