"""Event loops: what belongs to one of them, such as a connection, can't go on in another."""

import threading
from contextlib import suppress
from math import inf
from types import TracebackType
from typing import Any

import anyio
from attrs import define, field

from longcat.clock import stands_still
from longcat.sending.http.async_clients import AsyncClientTransports
from longcat.sending.http.async_transports import AsyncTransports
from longcat.sending.loop_guard import CallSoon, current_loop
from longcat.sending.translation import ClientClosedError


class CallScope:
    """A context in which a call is in flight in an event loop. It ends after so many seconds, or when it is stopped.

    It raises TimeoutError, also in an event loop whose clock stands still, or ClientClosedError.

    Args:
        seconds: may be endless.
        scopes: those of all calls that are in flight there.
    """

    def __init__(self, seconds: float, scopes: "set[CallScope]") -> None:
        self._seconds = seconds
        self._scopes = scopes
        self._is_stopped = False
        self._timer: threading.Timer | None = None

    def __enter__(self) -> None:
        if self._seconds < inf and stands_still():
            self._scope = anyio.CancelScope()
            self._timer = self._start_timer()
        else:
            self._scope = anyio.CancelScope(deadline=anyio.current_time() + self._seconds)
        self._scopes.add(self)
        self._scope.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._scopes.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        is_handled = self._scope.__exit__(kind, error, trace)
        if self._scope.cancelled_caught:
            raise ClientClosedError if self._is_stopped else TimeoutError
        return is_handled

    def stop(self) -> None:
        """End the call. Call it in the event loop."""
        self._is_stopped = True
        self._scope.cancel()

    def _start_timer(self) -> threading.Timer:
        _, call_soon = current_loop()

        def cancel() -> None:
            with suppress(RuntimeError):  # The event loop is over.
                call_soon(self._scope.cancel)

        timer = threading.Timer(min(self._seconds, threading.TIMEOUT_MAX), cancel)
        timer.daemon = True
        timer.start()
        return timer


@define(eq=False)
class LoopConnections:
    """The part of an asynchronous client that belongs to one event loop.

    Attributes:
        http: what the calls go through.
        in_flight: has a place for each call to the gateway that may be in flight.
        call_soon: has a function called in the loop.
    """

    http: AsyncTransports | AsyncClientTransports
    in_flight: anyio.Semaphore
    call_soon: CallSoon
    _calls: set[CallScope] = field(factory=set, init=False)

    @property
    def is_over(self) -> bool:
        """Whether the event loop has ended."""
        try:
            self.call_soon(_nothing)
        except RuntimeError:
            return True
        return False

    def until(self, seconds: float) -> CallScope:
        """Return the context for a call, which ends after so many seconds, or when `stop` is called."""
        return CallScope(seconds, self._calls)

    def stop(self) -> None:
        """End every call that is in flight. Call it in the event loop."""
        for scope in list(self._calls):
            scope.stop()

    async def close(self) -> None:
        """End every call that is in flight, and close the connections. Call it in the event loop."""
        self.stop()
        with suppress(Exception):
            await self.http.aclose()


def _nothing() -> Any:
    """Do nothing."""
