"""Stand-ins for what the client knows of the world: a gateway that says what a test wrote down, and its time.

A scenario is written once, with `await`, against `Cat`. A `Driver` runs it through `AsyncLongCat` on asyncio or trio,
or through `LongCat`, whose blocking methods then stand behind coroutines that never wait.
"""

import json
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import aclosing, closing, nullcontext
from math import inf
from typing import Any, Final, TypeAlias, TypeVar, Unpack, cast

import anyio
import httpx
import pytest
from anyio.lowlevel import checkpoint
from attrs import field, frozen
from libraries import EVERY_PAIR, LIBRARIES, WAYS, pairs, transport_for

from longcat import AsyncLongCat, FixedPolling, Image, LongCat, LongCatError, Status
from longcat.testing import FakeGateway, VirtualClock
from longcat.testing.gateway import ClientOptions

T = TypeVar("T")

HOST: Final = "gateway.test"
URL: Final = f"https://{HOST}"
KEY: Final = "test-key"
PICTURE: Final = "https://storage.pixazo.ai/results/XXXXXXXXXXXXX.png"
"""The documentation's own example."""
ORDERED: Final = "longcat-image-498_019dxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
"""The queue gateway's documentation has this id. No moment of an order can be read off it."""
FOUR: Final = FixedPolling(4.0)
"""Asks every four seconds: a number that adds up exactly."""


Piece: TypeAlias = bytes | float | BaseException
"""What comes next of a body: bytes; seconds in which nothing comes; or an end that was not foreseen."""


@frozen
class Reply:
    """What a scripted gateway does about one question.

    Attributes:
        code: the HTTP status code.
        body: the pieces of the body, taken one at a time.
        headers: the HTTP headers.
        after: how many seconds pass before the answer begins.
        failure: raised instead of answering, once those seconds have passed.
    """

    code: int = 200
    body: Iterable[Piece] = ()
    headers: Mapping[str, str] = field(factory=dict)
    after: float = 0.0
    failure: BaseException | None = None


def says(body: Any, code: int = 200, headers: Mapping[str, str] | None = None, *, after: float = 0.0) -> Reply:
    """Return the reply with this body: bytes as they are, all else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(code, [content], headers or {}, after)


def fails(error: BaseException, *, after: float = 0.0) -> Reply:
    """Return the reply that is none: the error comes out of the transport."""
    return Reply(failure=error, after=after)


def processing(progress: Any = 0.5, **more: Any) -> dict[str, Any]:
    """Return the documented answer about a request that is under way, and more fields if wanted."""
    return {"status": "processing", "progress": progress, "request_id": "r", **more}


def completed(**more: Any) -> dict[str, Any]:
    """Return the shortest documented answer about a request that is done, and more fields if wanted."""
    return {"status": "completed", "progress": 1.0, "request_id": "r", "result_url": PICTURE, **more}


IMAGE: Final = Image("r", PICTURE, (PICTURE,))
"""What `completed()` yields."""


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes in pieces, as the script says.

    Attributes:
        taken: how many bytes of it were read.
        closed: whether the reader has let go of it, as it must whatever happens.
    """

    def __init__(self, pieces: Iterable[Piece], clock: VirtualClock) -> None:
        self.taken = 0
        self.closed = False
        self._pieces = pieces
        self._clock = clock

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if self.closed:
                raise httpx.ReadError("the connection is closed")
            if isinstance(piece, BaseException):
                raise piece
            if isinstance(piece, bytes):
                self.taken += len(piece)
                yield piece
            else:
                self._clock.now += piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            await checkpoint()
            yield chunk
            if self.closed:
                raise httpx.ReadError("closed")  # As the connections of httpx do.

    def close(self) -> None:
        """Note that the connection is free again."""
        self.closed = True

    async def aclose(self) -> None:
        """Note that the connection is free again."""
        self.close()


class Script(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport, blocking or not, that gives one reply after the other and none too many.

    Attributes:
        clock: the time that replies take is taken from it.
        requests: every question, in order.
        asked: when each came, in seconds on the clock.
        bodies: the body of every answer, in order.
    """

    def __init__(self, *replies: Reply, then: Iterable[Reply] = (), clock: VirtualClock | None = None) -> None:
        """Take the replies, and others that may be without an end."""
        self.clock = clock if clock is not None else VirtualClock()
        self.requests: list[httpx.Request] = []
        self.asked: list[float] = []
        self.bodies: list[Body] = []
        self._replies = iter([*replies])
        self._then = iter(then)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Give the next reply."""
        self.requests.append(request)
        self.asked.append(self.clock.now)
        reply = next(self._replies, None) or next(self._then, None)
        if reply is None:
            raise AssertionError(f"question {len(self.requests)} was not foreseen, at {self.clock.now} s")
        limit = request.extensions["timeout"]["read"]
        if limit is not None and reply.after > limit:
            self.clock.now += limit
            raise httpx.ReadTimeout("timed out")
        self.clock.now += reply.after
        if reply.failure is not None:
            raise reply.failure
        self.bodies.append(Body(reply.body, self.clock))
        return httpx.Response(reply.code, headers=dict(reply.headers), stream=self.bodies[-1])

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Let other tasks run, and give the next reply."""
        await checkpoint()
        return self.handle_request(request)


Cat: TypeAlias = AsyncLongCat
"""What a scenario is written for; `Blocking` stands in for it."""


class Blocking:
    """`LongCat` behind the methods of `AsyncLongCat`."""

    def __init__(self, cat: LongCat) -> None:
        self._cat = cat

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._cat, name)

        async def result(*args: Any, **kwargs: Any) -> Any:
            return method(*args, **kwargs)

        async def each(values: Iterator[Any]) -> AsyncGenerator[Any]:
            with closing(values) if isinstance(values, Generator) else nullcontext():
                for value in values:
                    yield value

        awaited = {"submit", "generate", "status", "wait", "wait_all", "download", "download_all", "save"}
        return result if name in awaited else lambda *a, **k: each(method(*a, **k))


def finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits, without an event loop, and return its result."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    coroutine.close()
    raise AssertionError("a scenario for the blocking client waited for an event loop")


@frozen
class Driver:
    """One of the three ways to run a scenario, with one of the HTTP libraries.

    Attributes:
        name: `sync`, or the event loop's.
        http_library: the name of the HTTP library.
    """

    name: str
    http_library: str = "httpx"

    def __str__(self) -> str:
        return f"{self.name}-{self.http_library}"

    @property
    def http(self) -> Any:
        """The HTTP library."""
        return LIBRARIES[self.http_library]

    def run(
        self,
        scenario: Callable[[Cat], Coroutine[Any, Any, T]],
        script: Script | FakeGateway,
        *,
        http_timeout: float | None = None,
        **options: Unpack[ClientOptions],
    ) -> T:
        """Run a scenario with a client that has this gateway, and return what it returns.

        Without a policy, a wait asks every four seconds: a number that adds up exactly.
        """
        options.setdefault("polling", FOUR)
        transport = transport_for(self.http_library, script)
        http: dict[str, Any] = {"transport": transport, "trust_env": False, "timeout": http_timeout}
        if self.name == "sync":
            with (
                self.http.Client(**http) as client,
                LongCat(KEY, URL, http_client=client, clock=script.clock, **options) as cat,
            ):
                return finish(scenario(cast("Cat", Blocking(cat))))

        async def main() -> T:
            async with (
                self.http.AsyncClient(**http) as client,
                AsyncLongCat(KEY, URL, http_client=client, clock=script.clock, **options) as cat,
            ):
                return await scenario(cat)

        return anyio.run(main, backend=self.name)

    def status(self, script: Script) -> Status:
        """Ask once about the request `r`."""

        async def scenario(cat: Cat) -> Status:
            return await cat.status("r")

        return self.run(scenario, script)

    def wait(
        self,
        script: Script,
        timeout: float | None = inf,
        *,
        unknown: Any = "wait",
        **options: Unpack[ClientOptions],
    ) -> Image:
        """Wait for the request `r`, for ever unless told otherwise."""

        async def scenario(cat: Cat) -> Image:
            return await cat.wait("r", timeout, unknown=unknown)

        return self.run(scenario, script, **options)


def drivers_for(test: str, ways: tuple[str, ...] = WAYS) -> list[Driver]:
    """Return the ways to run a test of this name, each with the HTTP library whose turn it is: see `libraries`."""
    return [Driver(*pair) for pair in pairs(test, ways)]


def by_driver(
    cases: Mapping[str, Any], name: str, *everywhere: str, both_libraries: bool = EVERY_PAIR
) -> pytest.MarkDecorator:
    """Return the parameters `driver` and `name`: every case with the blocking client, a few with the other drivers.

    What comes of an answer is decided by flows, which are the same for all drivers. So the cases that run everywhere
    are one of each way in which a driver brings an answer or an error to its flow. The others take the HTTP libraries
    in turn, unless each is for `both_libraries`, as where these read what comes from a socket.
    """
    drivers = {
        case: drivers_for(case, WAYS if case in everywhere else ("sync",))
        if case in everywhere or both_libraries
        else [Driver("sync", [*LIBRARIES][number % 2])]
        for number, case in enumerate(cases)
    }
    return pytest.mark.parametrize(
        ("driver", name),
        [
            pytest.param(driver, value, id=f"{driver}-{case}")
            for case, value in cases.items()
            for driver in drivers[case]
        ],
    )


def leaving(values: Any) -> aclosing[Any]:
    """Return the context in which a loop may be left before its end. On trio, a generator must be closed."""
    return aclosing(values)


async def changes(statuses: AsyncIterator[Status]) -> tuple[list[Status], LongCatError | None]:
    """Return every status that is yielded, and the error that ended it, if one did."""
    seen = []
    try:
        async for status in statuses:
            seen.append(status)  # noqa: PERF401 - those before an error are kept.
    except LongCatError as error:
        return seen, error
    return seen, None


def anatomy(value: Any) -> Any:
    """Return what tells two values apart, exceptions included, which Python compares by identity."""
    if isinstance(value, LongCatError):
        parts = {name: anatomy(part) for name, part in vars(value).items()}
        return type(value), parts or value.args
    return value
