"""The two HTTP libraries, and with which of them a test goes.

What comes of an answer is decided above the libraries; what they bring, and in which way they fail, is for each of the
three ways to run a scenario to see. All combinations would be twice as many tests, so they are paired (`pairs`). A test
that runs in one way only does so with both libraries. One that runs in several ways takes the libraries in turn, and
the next test begins with the other one: each way meets both in every file, and no test runs more often.

What becomes of the rows of some tables is decided above the ways and the libraries alike. There, each row goes with one
of the pairs in turn (the mark `in_turn`, and `fakes.by_driver`), and each pair has its share of the rows.

With `EVERY_PAIR=1` in the environment, all combinations are tried; `make faults` does so with every fault.
"""

import os
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

import httpx
import httpx2
from attrs import frozen

LIBRARIES: Final[dict[str, Any]] = {"httpx": httpx, "httpx2": httpx2}
WAYS: Final = ("sync", "asyncio", "trio")
EVERY_PAIR: Final = bool(os.environ.get("EVERY_PAIR"))


def pairs(test: str, ways: tuple[str, ...] = WAYS) -> list[tuple[str, str]]:
    """Return with which library a test of this name goes in each of these ways."""
    names = list(LIBRARIES)
    if EVERY_PAIR or len(ways) == 1:
        return [(way, name) for way in ways for name in names]
    first = zlib.crc32(test.encode())
    return [(way, names[(first + number) % len(names)]) for number, way in enumerate(ways)]


def library_of(value: object) -> ModuleType:
    """Return the library that a request, for example, is of."""
    library: ModuleType = LIBRARIES[type(value).__module__.partition(".")[0]]
    return library


# --- A transport of httpx as one of httpx2. ---


@contextmanager
def _errors() -> Iterator[None]:
    """Let what is raised be of httpx2."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        raise getattr(httpx2, type(error).__name__)(str(error)) from error


@frozen(eq=False)
class Stream(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body."""

    body: Any

    def __iter__(self) -> Iterator[bytes]:
        with _errors():
            yield from self.body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _errors():
            async for chunk in self.body:
                yield chunk

    def close(self) -> None:
        """Close it."""
        self.body.close()

    async def aclose(self) -> None:
        """Close it."""
        await self.body.aclose()


@frozen(eq=False)
class Transport(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """A transport."""

    transport: Any

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Let the other one answer."""
        with _errors():
            return self._response(self.transport.handle_request(request))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Let the other one answer."""
        with _errors():
            return self._response(await self.transport.handle_async_request(request))

    @staticmethod
    def _response(response: httpx.Response) -> httpx2.Response:
        headers = response.headers.raw
        return httpx2.Response(response.status_code, headers=headers, stream=Stream(response.stream))


def transport_for(library: str, transport: Any) -> Any:
    """Return a transport of httpx as one of a library."""
    return transport if library == "httpx" else Transport(transport)
