"""The live lines of a batch that several machines work on: one for each worker, and one for all. Needs `cli`."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from longcat.cli.displays.all_workers import AllWorkersDisplay
from longcat.saving.journal.postgres.batches.workers import WorkerRecord
from longcat.text import shorten

MAX_WORKER_LINES: Final = 8
"""Of so many workers each has a line."""


@contextmanager
def live_all_workers() -> Iterator["LiveAllWorkers"]:
    """Draw the lines for as long as the block lasts; they stay when it is over."""
    display = LiveAllWorkers()
    with Live(console=Console(stderr=True), get_renderable=display.render, redirect_stdout=False, refresh_per_second=4):
        yield display


class LiveAllWorkers(AllWorkersDisplay):
    """A line for each of a few workers, and the sum of all with its bar."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(monotonic)
        self._bar = Progress(BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn())
        self._all = self._bar.add_task("", total=None)

    def render(self) -> Group:
        """Return what to draw."""
        workers = self.progress.workers if self.progress is not None else ()
        lines = [Text(worker_line(worker), style="cyan", no_wrap=True) for worker in workers[:MAX_WORKER_LINES]]
        if more := len(workers) - len(lines):
            lines.append(Text(f"  and {more} more workers", style="cyan"))
        return Group(*lines, Text(str(self)), self._bar)

    def draw(self) -> None:
        """Move the bar."""
        if self.progress is not None:
            over = self.progress.lines - self.progress.open
            self._bar.update(self._all, completed=over, total=self.progress.lines)


def worker_line(worker: WorkerRecord) -> str:
    """Return what a worker has done so far, for people."""
    parts = [f"{worker.done:,} done"]
    parts += [f"{worker.failed:,} failed"] if worker.failed else []
    parts += [f"{worker.unknown:,} in doubt"] if worker.unknown else []
    return f"  {shorten(worker.host, 40)} {worker.pid}  {', '.join(parts)}, {worker.spent} USD"
