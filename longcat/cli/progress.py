"""How a wait looks on stderr: a live line for each request on a terminal, a plain line for each change elsewhere."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from longcat.models import Status
from longcat.text import shorten


class Display(Protocol):
    """What is told of the waits."""

    def update(self, status: Status) -> None:
        """Show a new answer."""

    def finish(self, request_id: str) -> None:
        """Show that nothing more will come about this request."""


@contextmanager
def display(request_ids: Sequence[str]) -> Iterator[Display]:
    """Show the waits for as long as the block lasts."""
    if not sys.stderr.isatty() or os.environ.get("TERM", "").lower() in {"dumb", "unknown"}:
        yield PlainDisplay()
        return
    try:
        from longcat.cli.live import live_display  # noqa: PLC0415 - it needs the extra, and is slow to import.
    except ModuleNotFoundError:
        print("longcat: for live progress, pip install 'longcat-image[cli]'; until then, plain lines.", file=sys.stderr)
        yield PlainDisplay()
        return
    with live_display(request_ids) as shown:
        yield shown


class PlainDisplay:
    """A line for each change."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def update(self, status: Status) -> None:
        """Print the request, its state, its progress and the seconds since the start."""
        percent = f"{status.progress:.0%}" if status.progress is not None else "-"
        elapsed = time.monotonic() - self._started
        line = f"{shorten(status.request_id)}  {shorten(status.raw_state)}  {percent}  {elapsed:.1f} s"
        print(line, file=sys.stderr, flush=True)

    def finish(self, request_id: str) -> None:
        """Print nothing: the last answer, or the error, has said it."""
