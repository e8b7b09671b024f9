"""The base of all displays of a batch that several machines work on: they show how far all of them are together."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from longcat.cli.displays.display import Display, duration
from longcat.models import Status
from longcat.saving.journal.postgres.batches.records import BatchRecord
from longcat.text import counted
from longcat.waiting.outcome import Outcome

WINDOW: Final = 60.0
"""Seconds over which the rate is taken."""


class AllWorkersDisplay(Display):
    """Keeps what is known of the batch. No request is remembered, so memory stays flat.

    Args:
        monotonic: the clock, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__({})
        self.monotonic = monotonic
        self.progress: BatchRecord | None = None
        self._seen: deque[tuple[float, int]] = deque()
        """When how many lines were over, within the last `WINDOW` seconds."""

    def ordered(self, key: str, request_id: str) -> None:
        """Nothing is shown of a single request."""

    def update(self, status: Status) -> None:
        """Nothing is shown of a single request."""

    def finish(self, outcome: Outcome, key: str = "", *, is_done: bool) -> None:
        """Nothing is shown of a single request."""

    def estimate(self, seconds: float | None) -> None:
        """Nothing is shown: the estimate is of this worker's lines alone."""

    def show(self, progress: BatchRecord) -> None:
        """Show how far all workers are."""
        now = self.monotonic()
        self.progress = progress
        self._seen.append((now, progress.lines - progress.open))
        while now - self._seen[0][0] > WINDOW:
            self._seen.popleft()
        self.draw()

    @property
    def rate(self) -> float:
        """The number of lines that ended in a second, of late."""
        (began, before), (now, over) = (self._seen[0], self._seen[-1]) if self._seen else ((0.0, 0), (0.0, 0))
        return (over - before) / (now - began) if now > began else 0.0

    def __str__(self) -> str:
        progress = self.progress
        if progress is None:
            return "joining the batch"
        parts = [f"{progress.done:,} of {progress.lines:,} done"]
        parts += [f"{progress.failed:,} failed"] if progress.failed else []
        parts += [f"{progress.unknown:,} in doubt"] if progress.unknown else []
        parts.append(f"{progress.spent} USD")
        if progress.open and self.rate > 0:
            parts += [f"{self.rate:.3g} a second", f"about {duration(progress.open / self.rate)} left"]
        return ", ".join([*parts, counted(len(progress.workers), "worker")])
