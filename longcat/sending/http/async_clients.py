"""The caller's asynchronous HTTP clients, as transports."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio

from longcat.sending.http import pools
from longcat.sending.http.clients import ClientTransports, isolated

if TYPE_CHECKING:
    import httpx


class AsyncClientTransports(ClientTransports["httpx.AsyncClient", "AsyncClientTransport"]):
    """The caller's HTTP client in place of transports of our own, for the tasks of one event loop at a time."""

    def __init__(self, client: "httpx.AsyncClient") -> None:
        super().__init__(client, AsyncClientTransport(client), AsyncClientTransport(client, auth=None))

    @property
    def has_connections(self) -> bool:
        """Whether it has connections, as far as can be known, which belong to one event loop."""
        return any(pools.pools(self.client))

    async def give_back(self, transport: object, url: object) -> None:
        """Do nothing: its own pool keeps the connection."""

    async def discard(self, transport: object, request: "httpx.Request") -> None:  # noqa: ARG002 - there is but one.
        """Give back what a request that failed still has in the pool."""
        await _aclose(pools.free_places(self.client, request))

    async def aclose(self) -> None:
        """Leave it open."""

    def forget(self) -> list[Any]:
        """Begin without connections, in a forked process or another event loop, and return those that there were."""
        return pools.forget_connections(self.client)


class AsyncClientTransport:
    """Sends requests by an HTTP client as a transport does. The body of the response is yet to be read."""

    def __init__(self, client: "httpx.AsyncClient", **options: None) -> None:
        self._client = client
        self._options: Any = options

    async def handle_async_request(self, request: "httpx.Request") -> "httpx.Response":
        """Send a request, and return the response."""
        return await isolated(self._client).send(request, stream=True, follow_redirects=False, **self._options)


async def _aclose(connections: list[Any]) -> None:
    """Close asynchronous connections, whatever goes wrong, and also in a task that is cancelled."""
    with anyio.CancelScope(shield=True):
        for connection in connections:
            with suppress(Exception):
                await connection.aclose()
