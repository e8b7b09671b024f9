"""How a call is sent: by a thread or by a task, and what both need beyond the HTTP libraries below."""

import platform
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from http import HTTPStatus
from math import inf
from typing import TYPE_CHECKING, Any, Final, Generic

import anyio
from anyio.lowlevel import checkpoint

from longcat._version import __version__
from longcat.clock import Clock, hold
from longcat.errors import ConfigurationError
from longcat.gateway.messages import Answer, Call
from longcat.processes import ForkAware, ForkSafeLock
from longcat.sending.addresses import Address, resolve_in_thread
from longcat.sending.answer_reader import AnswerReader
from longcat.sending.bounded_reads import STOP_CHECK_INTERVAL, BoundedReads, Streams
from longcat.sending.destination import AddressRule, Destination, look_up, look_up_async
from longcat.sending.http import pools
from longcat.sending.http.clients import HttpClient, isolated, new_async_client, new_client
from longcat.sending.http.library import HttpLibrary, library_of
from longcat.sending.loops import LoopConnections, current_loop, fail_after
from longcat.sending.tasks import spawn
from longcat.sending.translation import ClientClosedError, refused_by_proxy, translated

if TYPE_CHECKING:
    import httpx

USER_AGENT: Final = f"longcat-image/{__version__} python/{platform.python_version()}"
"""How we call ourselves, before the name of the HTTP library."""

POOL_SHARE: Final = 0.9
"""The share of a call's time in which the HTTP client must have found a connection, or room for a new one."""


class HttpSender(ForkAware, Generic[HttpClient]):
    """Sends calls with an HTTP client: what both kinds of sender share.

    A forked process begins without connections, and with nothing in flight.

    Args:
        http: the caller's HTTP client, which stays open. None: one of our own.
        new_http: makes one of our own.
        clock: the time.
        max_in_flight: how many calls to the gateway may be in flight.
        address_rule: where other hosts than the gateway may be. None: on the public internet.
    """

    new_http: Callable[..., HttpClient]
    """Returns an HTTP client of our own, as `http_clients.new_client` does."""

    def __init__(
        self,
        http: HttpClient | None,
        new_http: Callable[[], HttpClient],
        clock: Clock,
        max_in_flight: int,
        address_rule: AddressRule | None = None,
    ) -> None:
        self._address_rule = address_rule or AddressRule()
        self.owns_http = http is None
        self._new_http: Callable[[], HttpClient] = new_http
        self._clock = clock
        self._max_in_flight = max_in_flight
        self._closed = False
        self.library: HttpLibrary = library_of(http)
        self._user_agent = f"{USER_AGENT} {self.library.name}"
        self.http: HttpClient = self.open() if http is None else http
        self.watch_forks()

    def open(self) -> HttpClient:
        """Return a new HTTP client of our own. Raises ConfigurationError when the environment does not let us."""
        try:
            return self._new_http()
        except (ValueError, OSError, ImportError, self.library.invalid_url) as error:
            raise ConfigurationError(
                f"The HTTP client can't be set up: {error}. Check the environment's proxies and certificates."
            ) from error

    def request(self, call: Call) -> "httpx.Request":
        """Return the request for a call, with the shorter of two timeouts: the call's and the HTTP client's own."""
        usual = self.http.timeout.as_dict()
        limits = {phase: min(call.timeout, inf if limit is None else limit) for phase, limit in usual.items()}
        # A PoolTimeout says that nothing was sent, so it has to come before the end of the call's own time.
        limits["pool"] = min(limits["pool"], POOL_SHARE * call.timeout)
        timeout = {phase: None if limit == inf else limit for phase, limit in limits.items()}
        # What we ask for is small or compressed already.
        headers = {"User-Agent": self._user_agent, "Accept-Encoding": "identity", **call.headers}
        if call.cross_origin:
            return self.library.request(call.method, call.url, headers=headers, extensions={"timeout": timeout})
        request = isolated(self.http).build_request(
            call.method, call.url, headers=headers, content=call.content, extensions={"timeout": timeout}
        )
        request.headers.pop("Cookie", None)  # One that the HTTP client has among its headers.
        return request

    def destination(self, call: Call, request: "httpx.Request") -> Destination:
        """Return where the request for a call goes. Any address will do for a gateway."""
        host = request.url.raw_host.decode("ascii")
        return Destination(host, self._address_rule if call.cross_origin else None)

    def check_proxy(self, call: Call, response: "httpx.Response") -> None:
        """Raise APIConnectionError for an answer that is not the gateway's, but that of a proxy which wants a login."""
        if response.status_code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            error = refused_by_proxy(call, owns_http=self.owns_http)
            if error is not None:
                raise error

    def _check_open(self) -> None:
        """Raise ConfigurationError when this client, or the caller's HTTP client, is closed."""
        if self._closed or self.http.is_closed:
            raise ConfigurationError("This client is closed. Make a new one, and close it after the last call.")

    def _translated(self, call: Call) -> AbstractContextManager[None]:
        call.progress.watched = True
        return translated(call, self.library, lambda: self._closed, owns_http=self.owns_http)


class SyncSender(HttpSender["httpx.Client"]):
    """Sends a call from the thread that it is used in. May be shared by threads."""

    new_http = staticmethod(new_client)

    def __init__(
        self,
        http: "httpx.Client | None",
        new_http: "Callable[[], httpx.Client]",
        clock: Clock,
        max_in_flight: int,
        address_rule: AddressRule | None = None,
    ) -> None:
        super().__init__(http, new_http, clock, max_in_flight, address_rule)
        self._begin()

    def _begin(self) -> None:
        self._streams = Streams()
        self._reads = BoundedReads(self._streams, self.library.core_read_timeout)
        self._in_flight = threading.BoundedSemaphore(self._max_in_flight)

    def send(self, call: Call, stopped: Callable[[], bool] | None = None, reader: AnswerReader | None = None) -> Answer:
        """Send a call and return the answer, or give up soon after `stopped` says so. Raises APIConnectionError.

        A caller that passes a reader can ask it for what came of an answer that was cut.
        """
        self._check_open()
        with self._translated(call), self._reads.until(call.timeout, stopped), self._flight(call), hold(self._clock):
            reader = reader or AnswerReader(call, self._clock)
            with self._response(call) as response:
                self.check_proxy(call, response)
                if reader.begin(response):
                    for chunk in response.iter_raw():
                        for _ in reader.feed(chunk):
                            pass
                        if reader.has_enough:
                            break
            return reader.answer()

    @contextmanager
    def _response(self, call: Call) -> "Iterator[httpx.Response]":
        """Send a call, and lend the response, its body yet to be read. It leaves nothing in the HTTP client's pool."""
        request, http = self.request(call), isolated(self.http)
        destination = self.destination(call, request)

        def trace(event: str, info: dict[str, Any]) -> None:
            if not precedes_sending(event):
                return
            call.progress.note(event, info)
            self._reads.trace(event, info)
            try:
                look_up(destination.on_event(event, info), partial(self._reads.look_up, timeout=info.get("timeout")))
            except BaseException as error:
                if event.endswith(".connect_tcp.complete"):
                    info["return_value"].close()  # Nobody else knows of it yet.
                if isinstance(error, OSError):
                    raise self.library.unconnected(error) from error
                raise
            call.progress.note_sending(event, info)

        look_up(destination.before_sending(), self._reads.look_up)
        request.extensions["trace"] = trace
        call.progress.began = True
        try:
            response = self._send_request(http, request, call, destination)
            try:
                yield response
            finally:
                with suppress(Exception):  # The answer is there, or another error tells why not.
                    response.close()
        except BaseException:
            pools.close(pools.free_places(http, request))
            raise

    def _send_request(
        self, http: "httpx.Client", request: "httpx.Request", call: Call, destination: Destination
    ) -> "httpx.Response":
        while True:
            try:
                return http.send(request, stream=True, follow_redirects=False, **credentials(call))
            except self.library.connect_errors:
                if not destination.next_address():
                    raise

    def close(self) -> None:
        """Close the HTTP client, unless it is the caller's. Calls in flight end with an error at once."""
        if self.owns_http:
            self._closed = True
            self._streams.shut_down()
            with suppress(Exception):  # Nothing can be done about it.
                self.http.close()

    def after_fork_in_child(self) -> None:
        """Begin anew."""
        pools.close(pools.forget_connections(self.http))  # This process's ends only: without a word to the server.
        self._begin()

    @contextmanager
    def _flight(self, call: Call) -> Iterator[None]:
        """Wait until one more call may be in flight. Those to another host are not counted."""
        if call.cross_origin:
            yield
            return
        in_flight = self._in_flight
        while not in_flight.acquire(timeout=STOP_CHECK_INTERVAL):
            self._reads.left()
        try:
            yield
        finally:
            in_flight.release()


class AsyncSender(HttpSender["httpx.AsyncClient"]):
    """Sends a call from the task that it is used in.

    Each event loop has an HTTP client of its own, and places of its own for calls in flight. An HTTP client of the
    caller's serves one loop at a time.
    """

    new_http = staticmethod(new_async_client)

    def __init__(
        self,
        http: "httpx.AsyncClient | None",
        new_http: "Callable[[], httpx.AsyncClient]",
        clock: Clock,
        max_in_flight: int,
        address_rule: AddressRule | None = None,
    ) -> None:
        super().__init__(http, new_http, clock, max_in_flight, address_rule)
        self._loops: dict[object, LoopConnections] = {}
        self._guard = ForkSafeLock()
        self._unused: httpx.AsyncClient | None = self.http  # What the next event loop gets. None: a new one.
        self._inherited: list[object] = []  # To let go of it could disturb the event loops of the parent.

    async def send(self, call: Call) -> Answer:
        """Send a call and return the answer. Raises APIConnectionError."""
        self._check_open()
        reader = AnswerReader(call, self._clock)
        here = self._here()
        seconds = None if call.timeout == inf else call.timeout
        with self._translated(call), fail_after(seconds):
            answer: Answer | None = None
            with here.until_closed():
                async with nullcontext() if call.cross_origin else here.in_flight:
                    await self._exchange(here.http, call, reader)
                answer = reader.answer()
            if answer is None:
                raise ClientClosedError
            return answer

    async def _exchange(self, http: "httpx.AsyncClient", call: Call, reader: AnswerReader) -> None:
        """Send a call, and have the answer read. It leaves nothing in the HTTP client's pool."""
        request = self.request(call)
        destination = self.destination(call, request)
        await look_up_async(destination.before_sending(), partial(resolve_async, None))
        request.extensions["trace"] = self._trace(call, destination)
        call.progress.began = True
        try:
            response = await self._send_request(isolated(http), request, call, destination)
            try:
                self.check_proxy(call, response)
                if reader.begin(response):
                    await self._read(response, reader)
            finally:
                with suppress(Exception):  # The answer is there, or another error tells why not.
                    await response.aclose()
        except BaseException:
            await pools.aclose(pools.free_places(http, request))
            raise

    async def _send_request(
        self, http: "httpx.AsyncClient", request: "httpx.Request", call: Call, destination: Destination
    ) -> "httpx.Response":
        while True:
            try:
                return await http.send(request, stream=True, follow_redirects=False, **credentials(call))
            except self.library.connect_errors:
                if not destination.next_address():
                    raise

    async def _read(self, response: "httpx.Response", reader: AnswerReader) -> None:
        chunks = response.aiter_raw()
        try:
            async for chunk in chunks:
                for _ in reader.feed(chunk):
                    await checkpoint()
                if reader.has_enough:
                    break
        finally:
            with anyio.CancelScope(shield=True):
                with suppress(Exception):  # As above.
                    await response.aclose()
                await drain(chunks, self.library)

    def _trace(self, call: Call, destination: Destination) -> Callable[[str, dict[str, Any]], Awaitable[None]]:
        close_half_open = closing_half_open()

        async def trace(event: str, info: dict[str, Any]) -> None:
            if not precedes_sending(event):
                return
            call.progress.note(event, info)
            await close_half_open(event, info)
            try:
                await look_up_async(destination.on_event(event, info), partial(resolve_async, info.get("timeout")))
            except BaseException as error:
                if event.endswith(".connect_tcp.complete"):
                    with anyio.CancelScope(shield=True):
                        await info["return_value"].aclose()  # Nobody else knows of it yet.
                if isinstance(error, OSError):
                    raise self.library.unconnected(error) from error
                raise
            call.progress.note_sending(event, info)

        return trace

    async def close(self) -> None:
        """Close the HTTP client, unless it is the caller's. Calls in flight end with an error at once, in any loop."""
        if not self.owns_http:
            return
        self._closed = True
        here, _ = current_loop()
        for loop, connections in list(self._loops.items()):
            if loop is here:
                await connections.close()
            else:
                with suppress(RuntimeError):  # That loop is over.
                    connections.call_soon(partial(spawn, connections.close))
        if self._unused is not None:
            await self._unused.aclose()

    def after_fork_in_child(self) -> None:
        """Begin anew, and leave the event loops of the parent alone."""
        self._inherited += [self._loops, pools.forget_connections(self.http)]
        self._loops = {}
        self._unused = self.http

    def _here(self) -> LoopConnections:
        """Return what belongs to this event loop. Raises ConfigurationError when the caller's HTTP client does not."""
        loop, call_soon = current_loop()
        with self._guard:
            if loop not in self._loops:
                others = {one: connections for one, connections in self._loops.items() if not connections.is_over}
                http = self._http_beside(others)
                self._loops = {**others, loop: LoopConnections(http, anyio.Semaphore(self._max_in_flight), call_soon)}
            here = self._loops[loop]
        self.http = here.http
        return here

    def _http_beside(self, others: dict[object, LoopConnections]) -> "httpx.AsyncClient":
        """Return the HTTP client for one more event loop."""
        if self.owns_http:
            http, self._unused = self._unused or self.open(), None
            return http
        if others and any(pools.pools(self.http)):
            raise ConfigurationError(
                "The http_client is in use in another event loop, to which its connections belong. Give each event"
                " loop an AsyncLongCat of its own, or leave http_client out."
            )
        if len(others) < len(self._loops):
            pools.forget_connections(self.http)  # They belong to a loop that is over.
        return self.http


def precedes_sending(event: str) -> bool:
    """Return whether an event of httpcore's trace is one up to the sending of a request. The others tell us nothing."""
    step = event.partition(".")[2]
    return step.startswith(("connect_", "start_tls.")) or step == "send_request_headers.started"


async def resolve_async(timeout: float | None, host: str) -> list[Address]:
    """Return the addresses of a host. Raises OSError when there are none, and TimeoutError."""
    outcomes: list[list[Address] | Exception] = []
    done, (_, call_soon) = anyio.Event(), current_loop()

    def report(outcome: list[Address] | Exception) -> None:
        outcomes.append(outcome)
        with suppress(RuntimeError):  # The event loop is over.
            call_soon(done.set)

    resolve_in_thread(host, report)
    with anyio.move_on_after(timeout):
        await done.wait()
    if not outcomes:
        raise TimeoutError
    if isinstance(outcomes[0], Exception):
        raise outcomes[0]
    return outcomes[0]


def closing_half_open() -> Callable[[str, Mapping[str, Any]], Awaitable[None]]:
    """Return a trace that closes a connection whose TLS handshake is cancelled: httpcore leaves it open."""
    opened: list[Any] = []

    async def trace(event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(".connect_tcp.complete"):
            opened.append(info["return_value"])
        elif event.endswith(".start_tls.failed") and opened:
            with anyio.CancelScope(shield=True):
                await opened.pop().aclose()

    return trace


async def drain(chunks: AsyncIterator[bytes], library: HttpLibrary, pieces: int = 64) -> None:
    """Read the generators behind a closed response to their end, which is an error, after what they still hold.

    To leave them half-way would do no harm, but trio warns of it.
    """
    with suppress(*library.stream_errors, StopAsyncIteration):
        while pieces > 0:
            await anext(chunks)
            pieces -= 1


def credentials(call: Call) -> dict[str, None]:
    """Return the argument that keeps the HTTP client's credentials from going to another host than the gateway."""
    return {"auth": None} if call.cross_origin else {}
