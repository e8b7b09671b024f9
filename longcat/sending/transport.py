"""How a call is sent: what both drivers share, and what they need beyond the HTTP libraries below."""

import threading
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from math import inf
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import httpcore
import httpx

from longcat.clock import Clock
from longcat.errors import APIConnectionError, APITimeoutError, LongCatError
from longcat.gateway.messages import (
    MAX_ANSWER,
    Answer,
    Call,
)


def closing_half_open() -> Callable[[str, Mapping[str, Any]], Awaitable[None]]:
    """Return a trace that closes a connection whose TLS handshake is cancelled: httpcore 1.0 leaves it open."""
    opened: list[httpcore.AsyncNetworkStream] = []

    async def trace(event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(".connect_tcp.complete"):
            opened.append(info["return_value"])
        elif event.endswith(".start_tls.failed") and opened:
            with anyio.CancelScope(shield=True):
                await opened.pop().aclose()

    return trace


async def drain(chunks: AsyncIterator[bytes], pieces: int = 64) -> None:
    """Bring the generators behind a closed response to their end, which is an error, after what they still hold.

    To leave them half-way would do no harm, but trio complains of it.
    """
    with suppress(httpx.HTTPError, httpx.StreamError, StopAsyncIteration):
        while pieces > 0:
            await anext(chunks)
            pieces -= 1


class Reader:
    """Collects the answer to a call, whichever driver brings it, within the call's time.

    What it refuses, it refuses in `answer`, so that a driver can end its loop over the body in good order.
    """

    def __init__(self, call: Call, clock: Clock) -> None:
        self._call = call
        self._clock = clock
        self._deadline = clock.monotonic() + call.timeout
        self._body = bytearray()
        self._refusal: LongCatError | TimeoutError | zlib.error | None = None

    def begin(self, response: httpx.Response) -> bool:
        """Take the status and the headers, and return whether the body is still to be read."""
        self._code = response.status_code
        self._headers = {name.lower(): value for name, value in response.headers.items()}
        self._sink = self._call.sink if self._code == HTTPStatus.OK else None
        encoded = self._headers.get("content-encoding") in {"gzip", "x-gzip", "deflate"}
        self._unzip = zlib.decompressobj(wbits=47) if encoded else None  # 47: either format, by its head.
        if self._sink is not None:
            self._sink.begin(self._headers)
        if not response.is_stream_consumed:
            return True
        self._unzip = None  # A transport made for tests brings its body along, unpacked.
        self.take(response.content)
        return False

    def take(self, chunk: bytes) -> bool:
        """Take the next bytes of the body, and return whether more are wanted."""
        if self.has_enough:
            return False
        try:
            if self._clock.monotonic() > self._deadline:
                self._refusal = TimeoutError()
                return False
            if self._unzip is not None:
                chunk = self._unzip.decompress(chunk)
            if self._sink is None:
                self._body += chunk
            else:
                self._sink.write(chunk)
        except (LongCatError, zlib.error) as error:
            self._refusal = error
        return not self.has_enough

    @property
    def has_enough(self) -> bool:
        """Whether no more is wanted."""
        return self._refusal is not None or len(self._body) > MAX_ANSWER

    def answer(self) -> Answer:
        """Return what was taken, or raise why it was refused."""
        if self._refusal is not None:
            raise self._refusal
        if self._unzip is not None and not self._unzip.eof and not self.has_enough:
            raise zlib.error("the compressed body was cut")
        whole = len(self._body) <= MAX_ANSWER
        return Answer(self._code, self._headers, bytes(self._body[:MAX_ANSWER]), whole, self._clock.time())


def credentials(call: Call) -> httpx.Auth | None:
    """Return the HTTP client's credentials for the gateway, and none for a stranger."""
    return httpx.USE_CLIENT_DEFAULT if not call.cross_origin else None  # type: ignore[return-value]


@contextmanager
def translated(call: Call) -> Iterator[None]:
    """Raise our own exceptions for those of the libraries below."""
    host = urlsplit(call.url).netloc.rpartition("@")[2]
    try:
        yield
    except (httpx.TimeoutException, TimeoutError) as error:
        raise APITimeoutError(f"no whole answer within {call.timeout:.3g} s", host) from error
    except (httpx.RequestError, httpx.InvalidURL, OSError, UnicodeError, zlib.error) as error:
        # An InvalidURL here is that of a redirect: httpx reads them even when it is not to follow them.
        raise APIConnectionError(str(error) or type(error).__name__, host) from error


STOP_CHECK_INTERVAL: Final = 0.2
"""Seconds after which a thread that reads looks up whether it is to stop."""


class BoundedReads(threading.local):
    """Makes a deadline hold while an answer trickles in, for which the blocking HTTP client has no means of its own.

    Its timeouts begin anew with every step and every byte. Its trace extension shows each connection that is made, and
    from then on we lower the timeout of each step to what the thread has left. Two things can still last longer:
    looking up a host's name, and connecting to a host with several addresses that do not answer, as each is given the
    time that is left. A transport that does not trace keeps the plain timeouts, and the deadline is looked at between
    the pieces of the body.
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
            info["timeout"] = self._left(info["timeout"])  # httpcore calls with the dict that it shows us.
        stream = info.get("return_value")
        if isinstance(stream, httpcore.NetworkStream):
            stream.read = partial(self._read, stream.read)  # type: ignore[method-assign]

    def _read(self, read: Any, max_bytes: int, timeout: float | None = None) -> bytes:
        chunk: bytes | None = None
        while chunk is None:
            left = self._left(timeout)
            glance = left if self.stopped is None else min(STOP_CHECK_INTERVAL, inf if left is None else left)
            try:
                chunk = read(max_bytes, glance)
            except httpcore.ReadTimeout:
                if glance == left:
                    raise
                timeout = timeout if timeout is None else timeout - STOP_CHECK_INTERVAL
        return chunk

    def check(self) -> None:
        """Raise httpcore.ReadTimeout if there is no time left, or if the thread is to stop."""
        self._left(None)

    def _left(self, timeout: float | None) -> float | None:
        """Return the timeout, or what is left until the deadline where that is less."""
        left = self.deadline - time.monotonic()
        if left <= 0 or (self.stopped is not None and self.stopped()):
            raise httpcore.ReadTimeout
        shorter = min(left, inf if timeout is None else timeout)
        return None if shorter == inf else shorter
