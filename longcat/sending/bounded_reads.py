"""A deadline for a whole answer, for the blocking HTTP client, which has none."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import inf
from queue import Empty, SimpleQueue
from typing import Any, Final

import httpcore

from longcat.sending.addresses import Address, resolve

STOP_CHECK_INTERVAL: Final = 0.2  # Seconds after which a thread that reads checks whether it is to stop.


class BoundedReads(threading.local):
    """Bounds the time in which a whole answer comes, for which the blocking HTTP client has no means of its own.

    Its timeouts begin anew with every step and every byte. Its trace extension shows each connection that is made, and
    from then on we lower the timeout of each step to what the thread has left. Names are looked up in threads of their
    own, as the system has no bound for that at all. A transport that does not trace keeps the plain timeouts; there the
    deadline is checked between the pieces of the body.
    """

    deadline = inf
    stopped: Callable[[], bool] | None = None

    @contextmanager
    def until(self, timeout: float, stopped: Callable[[], bool] | None = None) -> Iterator[None]:
        """Bound the reads of this thread to so many seconds from now, and give up soon after `stopped` says so."""
        self.deadline, self.stopped = time.monotonic() + timeout, stopped
        try:
            yield
        finally:
            self.deadline, self.stopped = inf, None

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Take hold of every connection made. See https://www.encode.io/httpcore/extensions/#trace."""
        if event.endswith((".connect_tcp.started", ".start_tls.started")):
            info["timeout"] = self.left(info["timeout"])  # httpcore calls with the dict that it shows us.
        stream = info.get("return_value")
        if isinstance(stream, httpcore.NetworkStream):
            stream.read = partial(self._read, stream.read)  # type: ignore[method-assign]

    def _read(self, read: Any, max_bytes: int, timeout: float | None = None) -> bytes:
        chunk: bytes | None = None
        while chunk is None:
            left = self.left(timeout)
            bound = left if self.stopped is None else min(STOP_CHECK_INTERVAL, inf if left is None else left)
            try:
                chunk = read(max_bytes, bound)
            except httpcore.ReadTimeout:
                if bound == left:
                    raise
                timeout = timeout if timeout is None else timeout - STOP_CHECK_INTERVAL
        return chunk

    def look_up(self, host: str, timeout: float | None = None) -> list[Address]:
        """Return the addresses of a host. Raises OSError when there are none, and as `left` does."""
        found: SimpleQueue[list[Address] | OSError | UnicodeError] = SimpleQueue()

        def resolve_now() -> None:
            try:
                found.put(resolve(host))
            except (OSError, UnicodeError) as error:
                found.put(error)

        # It can't be stopped, only left behind; as a daemon it does not keep the program from ending.
        threading.Thread(target=resolve_now, name="longcat-lookup", daemon=True).start()
        end = inf if timeout is None else time.monotonic() + timeout
        while True:
            left = self.left(None if end == inf else max(end - time.monotonic(), 0.0))
            try:
                result = found.get(timeout=min(STOP_CHECK_INTERVAL, inf if left is None else left))
            except Empty:
                if time.monotonic() >= end:
                    raise httpcore.ConnectTimeout from None
                continue
            if isinstance(result, Exception):
                raise result
            return result

    def left(self, timeout: float | None = None) -> float | None:
        """Return the seconds until the deadline, or the timeout if that is shorter.

        Raises httpcore.ReadTimeout if there is no time left, or if the thread is to stop.
        """
        left = self.deadline - time.monotonic()
        if left <= 0 or (self.stopped is not None and self.stopped()):
            raise httpcore.ReadTimeout
        shorter = min(left, inf if timeout is None else timeout)
        return None if shorter == inf else shorter
