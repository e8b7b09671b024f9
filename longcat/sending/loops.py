"""The event loops of one asynchronous client. Connections belong to the loop in which they were made."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

import anyio
import httpx
from attrs import define, field

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


@define(eq=False)
class LoopConnections:
    """The part of an asynchronous client that belongs to one event loop.

    Attributes:
        http: the HTTP client.
        in_flight: has a place for each call to the gateway that may be in flight.
        call_soon: has a function called in the loop.
    """

    http: httpx.AsyncClient
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
