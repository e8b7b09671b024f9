"""Connections of our own for tasks."""

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio

from longcat.sending.http.asyncio_network import AsyncioNetwork
from longcat.sending.http.asyncio_transport import AsyncioTransport
from longcat.sending.http.certificates import TlsContexts
from longcat.sending.http.libraries import HttpLibrary
from longcat.sending.http.transports import TransportStack
from longcat.sending.loop_guard import in_trio
from longcat.sending.proxies import Proxies

if TYPE_CHECKING:
    import httpx


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


def async_transports(library: HttpLibrary, proxies: Proxies, urls: Iterable[str]) -> AsyncTransports:
    """Return transports of a library for tasks, as `sync_transports` does for threads."""
    contexts, limits, network = TlsContexts(library, urls), library.limits(max_connections=1), AsyncioNetwork(library)

    def make(scheme: str, proxy: str | None) -> Any:
        context = contexts.of(scheme, proxy)
        if proxy is None and not in_trio():
            return AsyncioTransport(library, context, limits, network)
        return library.async_http_transport(verify=context, limits=limits, proxy=proxy)

    return AsyncTransports(proxies, make)


async def _aclose(transports: "list[httpx.AsyncBaseTransport]") -> None:
    with anyio.CancelScope(shield=True):
        for transport in transports:
            with suppress(Exception):  # As above.
                await transport.aclose()
