"""The progress of a batch that several machines work on: live lines on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from longcat.cli.displays.all_workers import AllWorkersDisplay
from longcat.cli.displays.progress import INSTALL_HINT, PLAIN_EVERY, has_terminal


class PlainAllWorkers(AllWorkersDisplay):
    """Prints a line about the batch, now and then and at the end."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(monotonic)
        self._next = monotonic() + PLAIN_EVERY
        self._last = ""

    def draw(self) -> None:
        """Print the line, if it is time."""
        if self.monotonic() >= self._next:
            self.close()

    def close(self) -> None:
        """Print the line, unless it stands there."""
        self._next = self.monotonic() + PLAIN_EVERY
        if str(self) != self._last:
            self._last = str(self)
            print(f"longcat: {self._last}.", file=sys.stderr, flush=True)


@contextmanager
def all_workers_display() -> Iterator[AllWorkersDisplay]:
    """Show the batch for as long as the block lasts: with live lines on a terminal, with plain ones elsewhere."""
    if has_terminal():
        try:
            from longcat.cli.displays.live_all_workers import live_all_workers  # noqa: PLC0415 - it needs the extra.
        except ModuleNotFoundError:
            print(INSTALL_HINT, file=sys.stderr)
        else:
            with live_all_workers() as shown:
                yield shown
            return
    plain = PlainAllWorkers()
    yield plain
    plain.close()
