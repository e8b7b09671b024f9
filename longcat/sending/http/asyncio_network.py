"""Network connections on asyncio, for the connections of httpcore.

Its own go through anyio, where they spend a third of the time of a question. These know no timeout for reading and
writing, as each call of ours is bounded as a whole, and send the head and the body of a request in one piece.
"""

import asyncio
import select
import ssl
from typing import Any, Final

from longcat.sending.http.joined_writes import MAX_UNSENT
from longcat.sending.http.libraries import HttpLibrary

MAX_UNREAD: Final = 256 * 1024
"""How many bytes wait at most to be read before no more are taken from the network."""
EXTRAS: Final = {"server_addr": "peername", "client_addr": "sockname", "socket": "socket", "ssl_object": "ssl_object"}
"""What asyncio calls what httpcore asks about a connection."""


class AsyncioNetwork:
    """Makes connections, as an `httpcore.AsyncNetworkBackend` does.

    Args:
        library: the HTTP library whose core this serves.
    """

    def __init__(self, library: HttpLibrary) -> None:
        self._library = library

    async def connect_tcp(self, host: str, port: int, timeout: float | None = None, **_: object) -> "AsyncioStream":
        """Return a connection. Raises the core's `ConnectError` and `ConnectTimeout`."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                return (await loop.create_connection(lambda: AsyncioStream(self._library), host, port))[1]
        except OSError as error:
            raise self._library.unconnected(error) from error


class AsyncioStream(asyncio.Protocol):
    """A connection, as an `httpcore.AsyncNetworkStream` is one."""

    def __init__(self, library: HttpLibrary) -> None:
        self._library = library
        self._transport: Any = None
        self._unread = bytearray()
        self._unsent = bytearray()
        self._is_paused = True
        self._at_end = False
        self._error: Exception | None = None
        self._news: asyncio.Future[None] | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - as said above.
        """Return the next bytes; none at the end. Raises the core's `ReadError`."""
        self._send()
        self._resume()
        while not self._unread and not self._at_end:
            self._news = asyncio.get_running_loop().create_future()
            try:
                await self._news
            finally:
                self._news = None
        if self._error is not None and not self._unread:
            raise self._library.core_read_error(str(self._error)) from self._error
        chunk = bytes(memoryview(self._unread)[:max_bytes])
        del self._unread[:max_bytes]
        self._resume()
        return chunk

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - as said above.
        """Send bytes, at the latest when an answer is read. Raises the core's `WriteError`."""
        if self._at_end and buffer:
            raise self._library.core_write_error(str(self._error or "the connection was closed"))
        self._unsent += buffer
        if len(self._unsent) > MAX_UNSENT:
            self._send()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> "AsyncioStream":
        """Return the connection, encrypted from now on. Raises the core's `ConnectError` and `ConnectTimeout`."""
        loop = asyncio.get_running_loop()
        if self._unread:  # Whoever sent this without TLS must not be believed.
            self._transport.abort()
            raise self._library.unconnected(OSError("something was sent before TLS began"))
        try:
            async with asyncio.timeout(timeout):
                self._transport = await loop.start_tls(
                    self._transport, self, ssl_context, server_hostname=server_hostname
                )
                self._is_paused = False
        except OSError as error:
            if not str(error):
                error.args = ("the connection ended before TLS began",)
            raise self._library.unconnected(error) from error
        return self

    async def aclose(self) -> None:
        """Close the connection."""
        self._transport.abort()
        await asyncio.sleep(0)  # It is closed by the event loop.

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks about the connection: whether there is something to read, which may be its end."""
        if info == "is_readable":
            # The event loop may have been busy since the other side closed the connection.
            return self._at_end or bool(self._unread) or _is_readable(self._transport.get_extra_info("socket"))
        return self._transport.get_extra_info(EXTRAS[info]) if info in EXTRAS else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin. The event loop calls this, and what follows.

        Nothing is read before it is wanted: what comes before TLS begins is for TLS, and not for us.
        """
        self._transport = transport
        self._transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """Keep bytes to be read."""
        self._unread += data
        if len(self._unread) > MAX_UNREAD and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._tell()

    def eof_received(self) -> None:
        """Take note that nothing more comes."""
        self._at_end = True
        self._tell()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note of the end."""
        self._at_end, self._error = True, exc
        self._tell()

    def _resume(self) -> None:
        if self._is_paused and len(self._unread) <= MAX_UNREAD:
            self._is_paused = False
            self._transport.resume_reading()

    def _send(self) -> None:
        if self._unsent and not self._at_end:
            self._transport.write(bytes(self._unsent))
        self._unsent.clear()

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)


def _is_readable(connection: Any) -> bool:
    """Whether a socket has something to read, or is closed."""
    if connection is None or connection.fileno() < 0:
        return True
    if not hasattr(select, "poll"):  # On Windows.
        return bool(select.select([connection], [], [], 0)[0])
    poll = select.poll()  # `select` knows no high numbers of descriptors.
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))
