"""How waits look on stderr: live lines on a terminal, plain lines elsewhere. Of many requests, only a summary."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from longcat.cli.counts import RequestCounts
from longcat.models import Status
from longcat.text import shorten
from longcat.waiting.wait import Outcome

FEW: Final = 8
"""Up to so many requests are shown one by one."""
PLAIN_EVERY: Final = 5.0
"""Seconds between two plain lines about many requests."""


class Display(Protocol):
    """What is told of the waits."""

    def update(self, status: Status) -> None:
        """Show a new answer."""

    def finish(self, outcome: Outcome) -> None:
        """Show that nothing more will come about this request."""

    def estimate(self, seconds: float | None) -> None:
        """Show in how many seconds the last request will be done. None: nobody knows."""


@contextmanager
def display(request_ids: Sequence[str] | None) -> Iterator[Display]:
    """Show the waits for as long as the block lasts. None: the ids are not known yet."""
    few = request_ids is not None and len(request_ids) <= FEW
    if not sys.stderr.isatty() or os.environ.get("TERM", "").lower() in {"dumb", "unknown"}:
        with plain_display(request_ids or (), few=few) as shown:
            yield shown
        return
    try:
        from longcat.cli.live import live_display  # noqa: PLC0415 - it needs the extra, and is slow to import.
    except ModuleNotFoundError:
        print("longcat: for live progress, pip install 'longcat-image[cli]'; until then, plain lines.", file=sys.stderr)
        with plain_display(request_ids or (), few=few) as shown:
            yield shown
        return
    with live_display(request_ids if few else None, RequestCounts(request_ids or ())) as shown:
        yield shown


@contextmanager
def plain_display(request_ids: Sequence[str], *, few: bool) -> Iterator[Display]:
    """Print lines for as long as the block lasts."""
    if few:
        yield PlainLines()
        return
    summary = PlainSummary(RequestCounts(request_ids))
    yield summary
    summary.conclude()


class PlainLines:
    """A line for each change."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def update(self, status: Status) -> None:
        """Print the request, its state, its progress and the seconds since the start."""
        percent = f"{status.progress:.0%}" if status.progress is not None else "-"
        elapsed = time.monotonic() - self._started
        line = f"{shorten(status.request_id)}  {shorten(status.raw_state)}  {percent}  {elapsed:.1f} s"
        print(line, file=sys.stderr, flush=True)

    def finish(self, outcome: Outcome) -> None:
        """Print nothing: the last answer, or the error, has said it."""

    def estimate(self, seconds: float | None) -> None:
        """Print nothing: a line that can't be taken back is not worth a guess."""


class PlainSummary:
    """A line about all requests, now and then."""

    def __init__(self, counts: RequestCounts) -> None:
        self._counts = counts
        self._next = time.monotonic() + PLAIN_EVERY

    def update(self, status: Status) -> None:
        """Count the request, in case it was not known before."""
        self._counts.seen.add(status.request_id)

    def finish(self, outcome: Outcome) -> None:
        """Count it, and print the summary if it is time."""
        self._counts.finish(outcome)
        if time.monotonic() >= self._next:
            self._print()

    def estimate(self, seconds: float | None) -> None:
        """Print the summary if it is time."""
        self._counts.left = seconds
        if time.monotonic() >= self._next:
            self._print()

    def conclude(self) -> None:
        """Print the summary of all, if there is anything to sum up."""
        if self._counts.over:
            self._print()

    def _print(self) -> None:
        self._next = time.monotonic() + PLAIN_EVERY
        print(f"longcat: {self._counts}.", file=sys.stderr, flush=True)
