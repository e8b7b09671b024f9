"""Keeps what began in one process, and perhaps in one event loop, from being used in another."""

import os
import sys
from collections.abc import Callable
from typing import TypeAlias

from longcat.errors import ConfigurationError

CallSoon: TypeAlias = Callable[[Callable[[], object]], object]


def in_trio() -> bool:
    """Whether this is a task of trio, which may run as a guest of another event loop."""
    trio = sys.modules.get("trio")
    return trio is not None and trio.lowlevel.in_trio_task()


def current_loop() -> tuple[object, CallSoon]:
    """Return the running event loop, and what has a function called in it soon, from any thread.

    That raises RuntimeError when the loop is over; this one, when there is none.
    """
    if in_trio():
        token = sys.modules["trio"].lowlevel.current_trio_token()
        return token, token.run_sync_soon
    asyncio = sys.modules.get("asyncio")  # To import it takes long, and without it no event loop runs.
    if asyncio is None:
        raise RuntimeError("no running event loop")
    loop = asyncio.get_running_loop()
    return loop, loop.call_soon_threadsafe


class LoopGuard:
    """Remembers the process and the event loop in which something began, and refuses its use in another one.

    Args:
        loop: the event loop. None: any will do.
    """

    def __init__(self, loop: object = None) -> None:
        self._process = os.getpid()
        self._loop = loop

    @property
    def is_same_process(self) -> bool:
        """Whether this is the process in which it began."""
        return os.getpid() == self._process

    def check(self) -> None:
        """Raise ConfigurationError unless this is the process, and the event loop, in which it began."""
        is_same_loop = self._loop is None or self._loop is _running_loop()
        if not (self.is_same_process and is_same_loop):
            where = "event loop" if self.is_same_process else "process"
            raise ConfigurationError(f"This began in another {where}, and goes on there alone. Begin anew in this one.")


def _running_loop() -> object:
    """Return the running event loop. None: there is none."""
    try:
        return current_loop()[0]
    except RuntimeError:
        return None
