"""How a call is sent: by a thread or by a task, and what both need beyond the HTTP libraries below."""

import platform
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

import anyio
from anyio.lowlevel import checkpoint

from longcat._version import __version__
from longcat.clock import Clock, hold
from longcat.errors import ConfigurationError
from longcat.gateway.messages import Answer, Call
from longcat.processes import ForkAware, ForkSafeLock
from longcat.sending.addresses import Address, resolve_in_thread
from longcat.sending.answer_reader import AnswerReader
from longcat.sending.bounded_reads import BoundedReads, InFlight, Streams
from longcat.sending.destination import AddressRule, Destination, look_up, look_up_async
from longcat.sending.http.clients import AsyncClientTransports, SyncClientTransports
from longcat.sending.http.library import HttpLibrary, default_library, library_of
from longcat.sending.http.requests import RequestFactory
from longcat.sending.http.transports import (
    AsyncTransports,
    SyncTransports,
    async_transports,
    setup_error,
    sync_transports,
)
from longcat.sending.loops import LoopConnections, current_loop
from longcat.sending.proxies import Proxies
from longcat.sending.tasks import spawn
from longcat.sending.translation import Translated, refused_by_proxy
from longcat.text.known_keys import in_call

if TYPE_CHECKING:
    import httpx

Transports = TypeVar("Transports", SyncTransports | SyncClientTransports, AsyncTransports | AsyncClientTransports)

USER_AGENT: Final = f"longcat-image/{__version__} python/{platform.python_version()}"
"""How we call ourselves, before the name of the HTTP library."""


class HttpSender(ForkAware, Generic[Transports]):
    """Sends calls by an HTTP library: what both kinds of sender share.

    A forked process begins without connections, and with nothing in flight.

    Args:
        client: the caller's HTTP client, which stays open. None: transports of our own are used.
        new_transports: makes these.
        clock: the time.
        max_in_flight: how many calls to the gateway may be in flight.
        address_rule: where other hosts than the gateway may be. None: on the public internet.
    """

    client_transports: Callable[[Any], Transports]
    """Returns a caller's HTTP client as transports."""
    new_transports: Callable[..., Transports]
    """Returns transports of our own that will be asked for these URLs, among others.

    Raises ConfigurationError for a proxy that can't be used, and OSError or ValueError for certificates that can't be.
    """

    def __init__(
        self,
        client: Any,
        new_transports: Callable[[], Transports],
        clock: Clock,
        max_in_flight: int,
        address_rule: AddressRule | None = None,
    ) -> None:
        self._address_rule = address_rule or AddressRule()
        self.owns_http = client is None
        self._new_transports: Callable[[], Transports] = new_transports
        self._clock = clock
        self._max_in_flight = max_in_flight
        self._closed = False
        self.library: HttpLibrary = library_of(client)
        self._requests = RequestFactory(self.library, f"{USER_AGENT} {self.library.name}", client)
        self.http: Transports = self.open() if client is None else type(self).client_transports(client)
        self.watch_forks()

    def open(self) -> Transports:
        """Return new transports of our own. Raises ConfigurationError when the environment does not let us."""
        try:
            return self._new_transports()
        except (ValueError, OSError, ImportError, self.library.invalid_url) as error:
            raise setup_error(error) from error

    def request(self, call: Call) -> "httpx.Request":
        """Return the request for a call."""
        return self._requests.request(call)

    def destination(self, call: Call, request: "httpx.Request") -> Destination:
        """Return where the request for a call goes. Any address will do for a gateway."""
        host = request.url.raw_host.decode("ascii")
        return Destination(host, self._address_rule if call.cross_origin else None)

    def look_at(self, call: Call, request: "httpx.Request", response: "httpx.Response") -> None:
        """Log a call, and raise APIConnectionError for an answer of a proxy that wants a login, not of the gateway."""
        if self.owns_http:
            self.library.log(request, response)
        if response.status_code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            error = refused_by_proxy(call, owns_http=self.owns_http)
            if error is not None:
                raise error

    def _check_open(self) -> None:
        """Raise ConfigurationError when this client, or the caller's HTTP client, is closed."""
        if self._closed or self.http.is_closed:
            raise ConfigurationError("This client is closed. Make a new one, and close it after the last call.")

    def _translated(self, call: Call) -> Translated:
        call.progress.watched = True
        return Translated(call, self.library, lambda: self._closed, owns_http=self.owns_http)


class SyncSender(HttpSender[SyncTransports | SyncClientTransports]):
    """Sends a call from the thread that it is used in. May be shared by threads."""

    client_transports = SyncClientTransports

    def __init__(
        self,
        client: "httpx.Client | None",
        new_transports: Callable[[], SyncTransports],
        clock: Clock,
        max_in_flight: int,
        address_rule: AddressRule | None = None,
    ) -> None:
        super().__init__(client, new_transports, clock, max_in_flight, address_rule)
        self._begin()

    @staticmethod
    def new_transports(urls: Iterable[str] = ()) -> SyncTransports:
        """Return transports of our own for threads."""
        return sync_transports(default_library(), Proxies.of_environment(urls), urls)

    def _begin(self) -> None:
        self._streams = Streams()
        self._reads = BoundedReads(self._streams, self.library.core_read_timeout)
        self._in_flight = InFlight(self._max_in_flight, self._reads)

    def send(self, call: Call, stopped: Callable[[], bool] | None = None, reader: AnswerReader | None = None) -> Answer:
        """Send a call and return the answer, or give up soon after `stopped` says so. Raises APIConnectionError.

        A caller that passes a reader can ask it for what came of an answer that was cut.
        """
        self._check_open()
        # Calls to another host are not counted.
        in_flight: AbstractContextManager[object] = nullcontext() if call.cross_origin else self._in_flight
        with in_call(), self._translated(call), self._reads.until(call.timeout, stopped), in_flight, hold(self._clock):
            reader = reader or AnswerReader(call, self._clock)
            self._exchange(call, reader)
            return reader.answer()

    def _exchange(self, call: Call, reader: AnswerReader) -> None:
        """Send a call, and have the answer read. It leaves nothing in the HTTP client's pool."""
        request, http = self.request(call), self.http
        destination = self.destination(call, request)
        look_up(destination.before_sending(), self._reads.look_up)
        request.extensions["trace"] = self._trace(call, destination)
        transport = http.take(request.url, cross_origin=call.cross_origin)
        call.progress.began = True
        try:
            response = self._send_request(transport.handle_request, request, destination)
            try:
                self.look_at(call, request, response)
                if reader.begin(response):
                    self._read(response, reader)
            finally:
                with suppress(Exception):  # The answer is there, or another error tells why not.
                    response.close()
        except BaseException:
            http.discard(transport, request)
            raise
        http.give_back(transport, request.url)

    def _send_request(
        self,
        handle: "Callable[[httpx.Request], httpx.Response]",
        request: "httpx.Request",
        destination: Destination,
    ) -> "httpx.Response":
        while True:
            try:
                return handle(request)
            except self.library.connect_errors:
                if not destination.next_address():
                    raise

    def _read(self, response: "httpx.Response", reader: AnswerReader) -> None:
        for chunk in cast("Iterable[bytes]", response.stream):
            for _ in reader.feed(chunk):
                pass
            if reader.has_enough:
                break

    def _trace(self, call: Call, destination: Destination) -> Callable[[str, dict[str, Any]], None]:
        reads = self._reads

        def trace(event: str, info: dict[str, Any]) -> None:
            if not precedes_sending(event):
                return
            call.progress.note(event, info)
            reads.trace(event, info)
            try:
                look_up(destination.on_event(event, info), partial(reads.look_up, timeout=info.get("timeout")))
            except BaseException as error:
                if event.endswith(".connect_tcp.complete"):
                    info["return_value"].close()  # Nobody else knows of it yet.
                if isinstance(error, OSError):
                    raise self.library.unconnected(error) from error
                raise
            call.progress.note_sending(event, info)

        return trace

    def close(self) -> None:
        """Close the connections, unless the HTTP client is the caller's. Calls in flight end with an error at once."""
        if self.owns_http:
            self._closed = True
            self._streams.shut_down()
            self.http.close()

    def after_fork_in_child(self) -> None:
        """Begin anew."""
        self._streams.close()  # This process's ends only: without a word to the server.
        self.http.forget()
        self._begin()


class AsyncSender(HttpSender[AsyncTransports | AsyncClientTransports]):
    """Sends a call from the task that it is used in.

    Each event loop has connections of its own, and places of its own for calls in flight. An HTTP client of the
    caller's serves one loop at a time.
    """

    client_transports = AsyncClientTransports

    def __init__(
        self,
        client: "httpx.AsyncClient | None",
        new_transports: Callable[[], AsyncTransports],
        clock: Clock,
        max_in_flight: int,
        address_rule: AddressRule | None = None,
    ) -> None:
        super().__init__(client, new_transports, clock, max_in_flight, address_rule)
        self._loops: dict[object, LoopConnections] = {}
        self._guard = ForkSafeLock()
        self._unused: AsyncTransports | AsyncClientTransports | None = self.http  # For the next loop. None: new ones.
        self._inherited: list[object] = []  # To let go of it could disturb the event loops of the parent.

    @staticmethod
    def new_transports(urls: Iterable[str] = ()) -> AsyncTransports:
        """Return transports of our own for tasks."""
        return async_transports(default_library(), Proxies.of_environment(urls), urls)

    async def send(self, call: Call) -> Answer:
        """Send a call and return the answer. Raises APIConnectionError."""
        self._check_open()
        here = self._here()
        with in_call(), self._translated(call), here.until(call.timeout):
            reader = AnswerReader(call, self._clock)
            async with nullcontext() if call.cross_origin else here.in_flight:
                await self._exchange(here.http, call, reader)
            return reader.answer()

    async def _exchange(self, http: AsyncTransports | AsyncClientTransports, call: Call, reader: AnswerReader) -> None:
        """Send a call, and have the answer read. It leaves nothing in the HTTP client's pool."""
        request = self.request(call)
        destination = self.destination(call, request)
        await look_up_async(destination.before_sending(), partial(resolve_async, None))
        request.extensions["trace"] = self._trace(call, destination)
        transport = http.take(request.url, cross_origin=call.cross_origin)
        call.progress.began = True
        try:
            response = await self._send_request(transport.handle_async_request, request, destination)
            try:
                self.look_at(call, request, response)
                if reader.begin(response):
                    await self._read(response, reader)
            finally:
                with suppress(Exception):  # The answer is there, or another error tells why not.
                    await response.aclose()
        except BaseException:
            await http.discard(transport, request)
            raise
        await http.give_back(transport, request.url)

    async def _send_request(
        self,
        handle: "Callable[[httpx.Request], Awaitable[httpx.Response]]",
        request: "httpx.Request",
        destination: Destination,
    ) -> "httpx.Response":
        while True:
            try:
                return await handle(request)
            except self.library.connect_errors:
                if not destination.next_address():
                    raise

    async def _read(self, response: "httpx.Response", reader: AnswerReader) -> None:
        chunks, at_end = aiter(cast("AsyncIterable[bytes]", response.stream)), False
        try:
            async for chunk in chunks:
                for number, _ in enumerate(reader.feed(chunk)):
                    if number:  # A chunk came from the network, which let others go on.
                        await checkpoint()
                if reader.has_enough:
                    break
            else:
                at_end = True
        finally:
            if not at_end:
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
        """Close the connections, unless the HTTP client is the caller's. Calls in flight end with an error at once."""
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
        self._inherited += [self._loops, self.http.forget()]
        self._loops = {}
        self._unused = self.http

    def _here(self) -> LoopConnections:
        """Return what belongs to this event loop. Raises ConfigurationError when the caller's HTTP client does not."""
        loop, call_soon = current_loop()
        here = self._loops.get(loop)
        if here is not None:
            return here
        with self._guard:
            others = {one: connections for one, connections in self._loops.items() if not connections.is_over}
            http = self._http_beside(others)
            in_flight = anyio.Semaphore(self._max_in_flight, fast_acquire=True)
            here = LoopConnections(http, in_flight, call_soon)
            self._loops = {**others, loop: here}
        self.http = here.http
        return here

    def _http_beside(self, others: dict[object, LoopConnections]) -> AsyncTransports | AsyncClientTransports:
        """Return the transports for one more event loop."""
        if not isinstance(self.http, AsyncClientTransports):
            http, self._unused = self._unused or self.open(), None
            return http
        if others and self.http.has_connections:
            raise ConfigurationError(
                "The http_client is in use in another event loop, to which its connections belong. Give each event"
                " loop an AsyncLongCat of its own, or leave http_client out."
            )
        if len(others) < len(self._loops):
            self.http.forget()  # They belong to a loop that is over.
        return self.http


def precedes_sending(event: str) -> bool:
    """Return whether an event of the trace extension is one up to the sending of a request. The others tell nothing."""
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
