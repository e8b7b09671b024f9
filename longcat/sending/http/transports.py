"""Connections of our own: each is kept by a transport of its own, and used again once an answer was read.

The libraries' pools go through all of their connections for every request, which takes longer the more there are. One
of a single connection does not; and when a call fails midway, all that it left in its pool goes with it.
"""

import ssl
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

import anyio
from attrs import frozen

from longcat.errors import ConfigurationError
from longcat.sending.http.library import HttpLibrary
from longcat.sending.proxies import Proxies
from longcat.url import Url

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

MOST_IDLE: Final = 100
"""How many connections are kept at most that nothing is sent over."""
LONGEST_IDLE: Final = 5.0
"""Seconds for which such a one is kept. The libraries keep one so long."""
HttpOrigin: TypeAlias = tuple[str, bytes]


@frozen
class IdleTransport(Generic[T]):
    """A transport whose connection is open, and free.

    Attributes:
        transport: it.
        origin: the scheme, the host and the port that it is connected to.
        since: when it began to be idle.
    """

    transport: T
    origin: HttpOrigin
    since: float


class TransportStack(Generic[T]):
    """The idle transports of a client, and how more are made: what both kinds of transports share.

    Args:
        proxies: those that URLs may go through.
        make: makes a transport for a scheme that goes through the proxy at a URL. None: through none.

    Attributes:
        is_closed: whether no transport is kept any more.
    """

    def __init__(self, proxies: Proxies, make: Callable[[str, str | None], T]) -> None:
        self._proxies = proxies
        self._make = make
        self.is_closed = False
        self.forget()

    def forget(self) -> None:
        """Begin without any transport, in a forked process."""
        self._lock = threading.Lock()
        self._idle: list[IdleTransport[T]] = []

    def take(self, url: "httpx.URL", *, cross_origin: bool) -> T:  # noqa: ARG002 - it matters to the caller's clients.
        """Return a transport for one exchange. Raises ConfigurationError for a proxy that can't be used."""
        origin = _origin(url)
        with self._lock:
            for index in range(len(self._idle) - 1, -1, -1):
                if self._idle[index].origin == origin:
                    return self._idle.pop(index).transport
        proxy = self._proxies.find(Url.read(str(url)))
        if proxy is not None:
            proxy.check()
        return self._make(url.scheme, proxy.url if proxy is not None else None)

    def _keep(self, transport: T, url: "httpx.URL") -> list[T]:
        """Keep a transport for later, and return those that are to be closed, as they were kept for long enough."""
        now, surplus = monotonic(), []
        with self._lock:
            self._idle.append(IdleTransport(transport, _origin(url), now))
            while self._idle and (
                self.is_closed or len(self._idle) > MOST_IDLE or self._idle[0].since < now - LONGEST_IDLE
            ):
                surplus.append(self._idle.pop(0).transport)
        return surplus

    def _take_all(self) -> list[T]:
        """Return all that are idle, and keep none any more."""
        self.is_closed = True
        with self._lock:
            idle, self._idle = self._idle, []
        return [one.transport for one in idle]


class SyncTransports(TransportStack["httpx.BaseTransport"]):
    """Transports for threads."""

    def give_back(self, transport: Any, url: "httpx.URL") -> None:
        """Keep a transport over which an answer came."""
        for one in self._keep(transport, url):
            _close(one)

    def discard(self, transport: Any, request: object) -> None:  # noqa: ARG002 - as above.
        """Close a transport over which no answer came."""
        _close(transport)

    def close(self) -> None:
        """Close all transports; those that are in use, as they are given back."""
        for one in self._take_all():
            _close(one)


class AsyncTransports(TransportStack["httpx.AsyncBaseTransport"]):
    """Transports for the tasks of one event loop."""

    async def give_back(self, transport: Any, url: "httpx.URL") -> None:
        """Keep a transport over which an answer came."""
        if surplus := self._keep(transport, url):
            await _aclose(surplus)

    async def discard(self, transport: Any, request: object) -> None:  # noqa: ARG002 - as above.
        """Close a transport over which no answer came."""
        await _aclose([transport])

    async def aclose(self) -> None:
        """Close all transports; those that are in use, as they are given back."""
        await _aclose(self._take_all())


def sync_transports(library: HttpLibrary, proxies: Proxies, urls: Iterable[str]) -> SyncTransports:
    """Return transports of a library for threads, which will be asked for these URLs, among others.

    Raises ConfigurationError for certificates that can't be used.
    """
    contexts, limits = TlsContexts(library, urls), library.limits(max_connections=1)
    return SyncTransports(
        proxies,
        lambda scheme, proxy: library.http_transport(verify=contexts.of(scheme, proxy), limits=limits, proxy=proxy),
    )


def async_transports(library: HttpLibrary, proxies: Proxies, urls: Iterable[str]) -> AsyncTransports:
    """Return the same for tasks."""
    contexts, limits = TlsContexts(library, urls), library.limits(max_connections=1)
    return AsyncTransports(
        proxies,
        lambda scheme, proxy: library.async_http_transport(
            verify=contexts.of(scheme, proxy), limits=limits, proxy=proxy
        ),
    )


class TlsContexts:
    """The TLS settings of transports. To read the certificates takes longer than a call, so only HTTPS waits for it.

    Args:
        library: knows which certificates are trusted.
        urls: those that will be asked. If one of them is of HTTPS, the certificates are read at once.

    Raises ConfigurationError, here or in `of`, for certificates that can't be used.
    """

    def __init__(self, library: HttpLibrary, urls: Iterable[str]) -> None:
        self._read_certificates: Callable[[], ssl.SSLContext] = cache(library.ssl_context)
        self._trusting_nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for url in urls:
            self.of(Url.read(url).scheme, None)

    def of(self, scheme: str, proxy: str | None) -> ssl.SSLContext:
        """Return the settings for a scheme, and a proxy. Those for plain HTTP would accept no certificate."""
        encrypted = scheme == "https" or (proxy is not None and Url.read(proxy).scheme == "https")
        if not encrypted:
            return self._trusting_nobody
        try:
            return self._read_certificates()
        except (OSError, ValueError) as error:
            raise setup_error(error) from error


def setup_error(error: Exception) -> ConfigurationError:
    """Return the error which says that the environment does not let us make connections of our own."""
    return ConfigurationError(
        f"The HTTP client can't be set up: {error}. Check the environment's proxies and certificates."
    )


def _origin(url: "httpx.URL") -> HttpOrigin:
    return url.scheme, url.netloc


def _close(transport: "httpx.BaseTransport") -> None:
    with suppress(Exception):  # Nothing can be done about it.
        transport.close()


async def _aclose(transports: "list[httpx.AsyncBaseTransport]") -> None:
    with anyio.CancelScope(shield=True):
        for transport in transports:
            with suppress(Exception):  # As above.
                await transport.aclose()
