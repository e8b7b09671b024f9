"""A deadline for a whole answer, for the blocking HTTP client, which has none."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from math import inf
from queue import Empty, SimpleQueue
from typing import Any, Final, Self
from weakref import WeakValueDictionary

from longcat.clock import monotonic
from longcat.sending.addresses import Address, resolve_in_thread

STOP_CHECK_INTERVAL: Final = 0.2  # Seconds after which a thread that reads checks whether it is to stop.
MADE: Final = (".connect_tcp.complete", ".connect_unix_socket.complete", ".start_tls.complete")
"""How the names of the events end that show a connection."""


class BoundedReads(threading.local):
    """Bounds the time in which a whole answer comes, for which the blocking HTTP client has no means of its own.

    Its timeouts begin anew with every step and every byte. Its trace extension shows each connection that is made, and
    from then on we lower the timeout of each step to what the thread has left. Names are looked up in threads of their
    own, as the system has no bound for that at all. A transport that does not trace keeps the plain timeouts; there the
    deadline is checked between the pieces of the body.

    Attributes:
        deadline: when the answer must be there.
        stopped: tells whether the thread is to stop.
        streams: the connections that were made, in whichever thread.
        too_late: what the connections raise when nothing comes in time, and what is raised here when time is up.
    """

    deadline = inf
    stopped: Callable[[], bool] | None = None

    def __init__(self, streams: "Streams", too_late: type[Exception] = TimeoutError) -> None:
        """Begin in one thread: threads have all but the arguments to themselves."""
        super().__init__()
        self.streams = streams
        self.too_late = too_late

    def until(self, timeout: float, stopped: Callable[[], bool] | None = None) -> Self:
        """Bound the reads of this thread to so many seconds from now, and give up soon after `stopped` says so.

        The bound holds until the end of the block that this is the context of.
        """
        self.deadline, self.stopped = monotonic() + timeout, stopped
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        self.deadline, self.stopped = inf, None

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Take hold of every connection made. See https://www.encode.io/httpcore/extensions/#trace."""
        if event.endswith((".connect_tcp.started", ".start_tls.started")):
            info["timeout"] = self.left(info["timeout"])  # httpcore calls with the dict that it shows us.
        elif event.endswith(MADE):
            stream = info["return_value"]
            stream.read = partial(self._read, stream.read)
            self.streams.add(stream)

    def _read(self, read: Any, max_bytes: int, timeout: float | None = None) -> bytes:
        chunk: bytes | None = None
        if self.stopped is None:
            chunk = read(max_bytes, self.left(timeout))
        while chunk is None:
            left = self.left(timeout)
            bound = min(STOP_CHECK_INTERVAL, inf if left is None else left)
            try:
                chunk = read(max_bytes, bound)
            except self.too_late:
                if bound == left:
                    raise
                timeout = timeout if timeout is None else timeout - STOP_CHECK_INTERVAL
        return chunk

    def look_up(self, host: str, timeout: float | None = None) -> list[Address]:
        """Return the addresses of a host. Raises OSError when there are none, TimeoutError, and as `left` does."""
        found: SimpleQueue[list[Address] | Exception] = SimpleQueue()
        resolve_in_thread(host, found.put)
        end = inf if timeout is None else monotonic() + timeout
        while True:
            left = self.left(None if end == inf else max(end - monotonic(), 0.0))
            try:
                result = found.get(timeout=min(STOP_CHECK_INTERVAL, inf if left is None else left))
            except Empty:
                if monotonic() >= end:
                    raise TimeoutError from None
                continue
            if isinstance(result, Exception):
                raise result
            return result

    def left(self, timeout: float | None = None) -> float | None:
        """Return the seconds until the deadline, or the timeout if that is shorter.

        Raises `too_late` if there is no time left, or if the thread or the whole client is to stop.
        """
        left = self.deadline - monotonic()
        if left <= 0 or self.streams.are_shut or (self.stopped is not None and self.stopped()):
            raise self.too_late
        shorter = min(left, inf if timeout is None else timeout)
        return None if shorter == inf else shorter


class InFlight:
    """A context in which a call is in flight. Before it, a thread waits until there may be one more.

    Args:
        most: how many there may be at a time.
        reads: tells when to give up the waiting.
    """

    def __init__(self, most: int, reads: BoundedReads) -> None:
        self._most = most
        self._reads = reads
        self._free: SimpleQueue[None] = SimpleQueue()  # Has an item for each place; a semaphore takes far more steps.
        self._places = 0  # How many there are yet: each is made when there is no other.
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        try:
            self._free.get_nowait()
        except Empty:
            self._take_place()

    def __exit__(self, *error: object) -> None:
        self._free.put(None)

    def _take_place(self) -> None:
        """Make one more place, or wait for one that gets free."""
        with self._lock:
            if self._places < self._most:
                self._places += 1
                return
        while True:
            try:
                self._free.get(timeout=STOP_CHECK_INTERVAL)
            except Empty:
                self._reads.left()
            else:
                return


class Streams:
    """The connections of one blocking HTTP client, as far as they are in use.

    Attributes:
        are_shut: whether they were ended for good.
    """

    def __init__(self) -> None:
        self.are_shut = False
        self._streams: WeakValueDictionary[int, Any] = WeakValueDictionary()

    def add(self, stream: Any) -> None:
        """Take note of a connection that was made."""
        self._streams[id(stream)] = stream

    def close(self) -> None:
        """Close all connections on this side, as a forked process does with those of its parent."""
        for stream in self._open():
            with suppress(Exception):  # Nothing can be done about it.
                stream.close()

    def shut_down(self) -> None:
        """End all connections, so that whoever reads from one notices at once. To close them would not wake him."""
        self.are_shut = True
        for stream in self._open():
            connection = stream.get_extra_info("socket")
            if isinstance(connection, socket.socket):
                with suppress(OSError):  # It has ended already.
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)  # TLS would take time for its farewell.

    def _open(self) -> Iterator[Any]:
        """Yield the connections that are still there."""
        for found in self._streams.valuerefs():
            if (stream := found()) is not None:
                yield stream
