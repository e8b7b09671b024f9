"""Sends a call by the thread that calls."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, cast

from longcat.clock import Clock, hold
from longcat.gateway.messages import Answer, Call
from longcat.sending.answer_reader import AnswerReader
from longcat.sending.bounded_reads import MADE, BoundedReads, InFlight, Streams
from longcat.sending.destination import AddressRule, Destination, look_up
from longcat.sending.http.clients import SyncClientTransports
from longcat.sending.http.joined_writes import join_writes
from longcat.sending.http.libraries import default_library
from longcat.sending.http.surplus import end_if_surplus
from longcat.sending.http.transports import SyncTransports, sync_transports
from longcat.sending.proxies import Proxies
from longcat.sending.sender import CONNECTING, SENDING, HttpSender, TraceInfo
from longcat.text.known_keys import in_call

if TYPE_CHECKING:
    import httpx


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
        self._reads = BoundedReads(self._streams, self._library.core_read_timeout)
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
        if not http.tells_nothing:
            request.extensions["trace"] = self._trace(call, request, destination)
        self.check(call)  # For transports that tell nothing; and before one is taken, which would be left open.
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
                    end_if_surplus(response)
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
            except self._library.connect_errors:
                if not destination.next_address():
                    raise

    def _read(self, response: "httpx.Response", reader: AnswerReader) -> None:
        for chunk in cast("Iterable[bytes]", response.stream):
            for _ in reader.feed(chunk):
                pass
            if reader.has_enough:
                break

    def _trace(
        self, call: Call, request: "httpx.Request", destination: Destination
    ) -> Callable[[str, TraceInfo], None]:
        reads, http = self._reads, self.http

        def trace(event: str, info: TraceInfo) -> None:
            step = event.partition(".")[2]
            if step == SENDING:
                call.progress.traced = True
                reads.left()  # What is to stop, or too late, is not sent.
                self.check(call)
            elif step in CONNECTING:
                call.progress.note(event, info)
                if self.owns_http and event.endswith(MADE):
                    join_writes(info["return_value"], self._library.core_write_error)
                reads.trace(event, info)
            else:
                return
            try:
                if (lookups := destination.on_event(event, info)) is not None:
                    look_up(lookups, partial(reads.look_up, timeout=info.get("timeout")))
            except BaseException as error:
                if event.endswith(".connect_tcp.complete"):
                    info["return_value"].close()  # Nobody else knows of it yet.
                if isinstance(error, OSError):
                    raise self._library.unconnected(error) from error
                raise
            if step == SENDING and call.progress.note_sending(info) and http.sends_once:
                request.extensions["trace"] = None  # What comes after that tells nothing.

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
