"""Connections of our own: each is kept by a transport of its own, and used again once an answer was read.

The libraries' pools go through all of their connections for every request, which takes longer the more there are. One
of a single connection does not; and when a call fails midway, all that it left in its pool goes with it.
"""

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

from attrs import frozen

from longcat.sending.http.certificates import TlsContexts
from longcat.sending.http.libraries import HttpLibrary
from longcat.sending.proxies import Proxies
from longcat.url import Url

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

MAX_IDLE: Final = 100
"""How many idle connections are kept at most."""
LONGEST_IDLE: Final = 5.0
"""Seconds for which an idle connection is kept, as the libraries do."""
HttpOrigin: TypeAlias = tuple[str, bytes]


@frozen
class IdleTransport(Generic[T]):
    """A transport whose connection is open, and free.

    Attributes:
        transport: what requests go through.
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

    sends_once = True
    is_untraced = tells_nothing = False

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
                self.is_closed or len(self._idle) > MAX_IDLE or self._idle[0].since < now - LONGEST_IDLE
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


def sync_transports(library: HttpLibrary, proxies: Proxies, urls: Iterable[str]) -> SyncTransports:
    """Return transports of a library for threads, which will be asked for these URLs, among others.

    Raises ConfigurationError for certificates that can't be used.
    """
    contexts, limits = TlsContexts(library, urls), library.limits(max_connections=1)
    return SyncTransports(
        proxies,
        lambda scheme, proxy: library.http_transport(verify=contexts.of(scheme, proxy), limits=limits, proxy=proxy),
    )


def _origin(url: "httpx.URL") -> HttpOrigin:
    return url.scheme, url.netloc


def _close(transport: "httpx.BaseTransport") -> None:
    with suppress(Exception):  # Nothing can be done about it.
        transport.close()
