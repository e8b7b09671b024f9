"""The progress of waits on stderr: live lines on a terminal, plain lines elsewhere. Of many requests, a summary."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from longcat.cli.displays.display import Display
from longcat.models import Status
from longcat.text import shorten

MAX_SHOWN_SINGLY: Final = 8
"""Up to so many requests are shown one by one."""
PLAIN_EVERY: Final = 5.0
"""Seconds between two plain lines about many requests."""
INSTALL_HINT: Final = "longcat: for live progress, pip install 'longcat-image[cli]'; until then, plain lines."


def has_terminal() -> bool:
    """Whether stderr is a terminal that can draw lines anew."""
    return sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}


class PlainLines(Display):
    """Prints a line for each answer that is new."""

    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__(names)
        self._started = time.monotonic()

    def update(self, status: Status) -> None:
        """Print the request, its state, its progress and the seconds since the start."""
        percent = f"{status.progress:.0%}" if status.progress is not None else "-"
        elapsed = time.monotonic() - self._started
        line = f"{shorten(status.request_id)}  {shorten(status.raw_state)}  {percent}  {elapsed:.1f} s"
        print(line, file=sys.stderr, flush=True)


class PlainSummary(Display):
    """Prints a line about all requests, now and then and at the end."""

    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__(names)
        self._next = time.monotonic() + PLAIN_EVERY

    def update(self, status: Status) -> None:
        """Count the request, in case it was not known before."""
        self.names.setdefault(status.request_id, status.request_id)

    def draw(self) -> None:
        """Print the line, if it is time."""
        if time.monotonic() >= self._next:
            self._print()

    def close(self) -> None:
        """Print the line, if there is anything to sum up."""
        if self.over:
            self._print()

    def _print(self) -> None:
        self._next = time.monotonic() + PLAIN_EVERY
        print(f"longcat: {self}.", file=sys.stderr, flush=True)


@contextmanager
def display(names: Mapping[str, str] | None, at_first: str = "asking") -> Iterator[Display]:
    """Show the waits for as long as the block lasts.

    Args:
        names: how each request is called, by its id or by the key of its order. None: they are not known yet.
        at_first: how they stand before anything is known.
    """
    few = names is not None and len(names) <= MAX_SHOWN_SINGLY
    if has_terminal():
        try:
            from longcat.cli.displays.live import live_display  # noqa: PLC0415 - it needs the extra, and is slow to import.
        except ModuleNotFoundError:
            print(INSTALL_HINT, file=sys.stderr)
        else:
            with live_display(names or {}, few=few, at_first=at_first) as shown:
                yield shown
            return
    plain = PlainLines(names or {}) if few else PlainSummary(names or {})
    yield plain
    plain.close()
