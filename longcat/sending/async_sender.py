"""Sends a call by a task, on asyncio and trio."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import anyio
from anyio.lowlevel import checkpoint

from longcat.clock import Clock
from longcat.errors import ConfigurationError
from longcat.gateway.messages import Answer, Call
from longcat.processes import ForkSafeLock
from longcat.sending.addresses import Address, resolve_in_thread
from longcat.sending.answer_reader import AnswerReader
from longcat.sending.destination import AddressRule, Destination, look_up_async
from longcat.sending.http.async_clients import AsyncClientTransports
from longcat.sending.http.async_transports import AsyncTransports, async_transports
from longcat.sending.http.libraries import HttpLibrary, default_library
from longcat.sending.http.surplus import end_if_surplus
from longcat.sending.loop_guard import current_loop
from longcat.sending.loops import LoopConnections
from longcat.sending.proxies import Proxies
from longcat.sending.sender import CONNECTING, SENDING, HttpSender, TraceInfo
from longcat.sending.tasks.driver import spawn
from longcat.text.known_keys import in_call

if TYPE_CHECKING:
    import httpx


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
        if not http.tells_nothing:
            request.extensions["trace"] = self._trace(call, request, destination)
        self.check(call)  # For transports that tell nothing; and before one is taken, which would be left open.
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
                    end_if_surplus(response)
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
            except self._library.connect_errors:
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
                    await drain(chunks, self._library)

    def _trace(
        self, call: Call, request: "httpx.Request", destination: Destination
    ) -> Callable[[str, TraceInfo], Awaitable[None]]:
        opened: list[Any] = []  # The connection, until its TLS handshake is over.

        async def trace(event: str, info: TraceInfo) -> None:
            step = event.partition(".")[2]
            if step == SENDING:
                call.progress.traced = True
                self.check(call)
            elif step in CONNECTING:
                call.progress.note(event, info)
                await close_half_open(opened, event, info)
            else:
                return
            try:
                if (lookups := destination.on_event(event, info)) is not None:
                    await look_up_async(lookups, partial(resolve_async, info.get("timeout")))
            except BaseException as error:
                if event.endswith(".connect_tcp.complete"):
                    await close(opened)  # Nobody else knows of it yet.
                if isinstance(error, OSError):
                    raise self._library.unconnected(error) from error
                raise
            if step == SENDING and call.progress.note_sending(info) and self.http.sends_once:
                request.extensions["trace"] = None  # What comes after that tells nothing.

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


async def close_half_open(opened: list[Any], event: str, info: TraceInfo) -> None:
    """Close a connection whose TLS handshake is cancelled: httpcore leaves it open."""
    if event.endswith(".connect_tcp.complete"):
        opened.append(info["return_value"])
    elif event.endswith(".start_tls.failed"):
        await close(opened)


async def close(connections: list[Any]) -> None:
    """Close connections, also in a task that is cancelled."""
    with anyio.CancelScope(shield=True):
        while connections:
            await connections.pop().aclose()


async def drain(chunks: AsyncIterator[bytes], library: HttpLibrary, pieces: int = 64) -> None:
    """Read the generators behind a closed response to their end, which is an error, after what they still hold.

    To leave them half-way would do no harm, but trio warns of it.
    """
    with suppress(*library.stream_errors, StopAsyncIteration):
        while pieces > 0:
            await anext(chunks)
            pieces -= 1
