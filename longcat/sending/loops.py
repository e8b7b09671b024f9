"""Processes and event loops: what belongs to one of them, such as a connection, can't go on in another."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
from attrs import define, field

from longcat.clock import stands_still
from longcat.errors import ConfigurationError

if TYPE_CHECKING:
    import httpx

CallSoon: TypeAlias = Callable[[Callable[[], object]], object]


def current_loop() -> tuple[object, CallSoon]:
    """Return the running event loop, and what has a function called in it soon, from any thread.

    That raises RuntimeError when the loop is over.
    """
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        token = trio.lowlevel.current_trio_token()
        return token, token.run_sync_soon
    loop = asyncio.get_running_loop()
    return loop, loop.call_soon_threadsafe


@contextmanager
def fail_after(seconds: float | None) -> Iterator[None]:
    """Raise TimeoutError after so many seconds, also in an event loop whose clock stands still. None: never."""
    if seconds is None or not stands_still():
        with anyio.fail_after(seconds):
            yield
        return
    with anyio.CancelScope() as scope:
        _, call_soon = current_loop()

        def cancel() -> None:
            with suppress(RuntimeError):  # The event loop is over.
                call_soon(scope.cancel)

        timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), cancel)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
    if scope.cancelled_caught:
        raise TimeoutError


class Home:
    """Where something began that can't go on elsewhere.

    Args:
        loop: the event loop. None: it needs none.
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


@define(eq=False)
class LoopConnections:
    """The part of an asynchronous client that belongs to one event loop.

    Attributes:
        http: the HTTP client.
        in_flight: has a place for each call to the gateway that may be in flight.
        call_soon: has a function called in the loop.
    """

    http: "httpx.AsyncClient"
    in_flight: anyio.Semaphore
    call_soon: CallSoon
    _calls: set[anyio.CancelScope] = field(factory=set, init=False)

    @property
    def is_over(self) -> bool:
        """Whether the event loop has ended."""
        try:
            self.call_soon(_nothing)
        except RuntimeError:
            return True
        return False

    @contextmanager
    def until_closed(self) -> Iterator[None]:
        """Leave the block when `stop` is called."""
        with anyio.CancelScope() as scope:
            self._calls.add(scope)
            try:
                yield
            finally:
                self._calls.discard(scope)

    def stop(self) -> None:
        """End every call that is in flight. Call it in the event loop."""
        for scope in list(self._calls):
            scope.cancel()

    async def close(self) -> None:
        """End every call that is in flight, and close the HTTP client. Call it in the event loop."""
        self.stop()
        with suppress(Exception):
            await self.http.aclose()


def _nothing() -> Any:
    """Do nothing."""
