"""A transport of one connection on asyncio, without the pool and the network of httpcore.

These take more time than all else of a question: the pool is there for many connections, and the network goes through
anyio. What speaks HTTP is httpcore's all the same.
"""

import ssl
from types import FunctionType
from typing import TYPE_CHECKING, Any

from longcat.sending.http.asyncio_network import AsyncioNetwork
from longcat.sending.http.libraries import HttpLibrary

if TYPE_CHECKING:
    import httpx


class AsyncioTransport:
    """Sends requests over one connection, which is made anew when the server has closed it.

    Tools for tests, and those that trace, replace the method by which the library's own transports send. Such a tool
    sees the calls, as they go through one of these then.

    Args:
        library: the HTTP library.
        context: the TLS settings.
        limits: of the library's own transport.
        network: makes the connection.
    """

    def __init__(
        self, library: HttpLibrary, context: ssl.SSLContext, limits: "httpx.Limits", network: AsyncioNetwork
    ) -> None:
        self._library = library
        self._context = context
        self._limits = limits
        self._network = network
        self._connection: Any = None
        self._usual: httpx.AsyncHTTPTransport | None = None

    async def handle_async_request(self, request: "httpx.Request") -> "httpx.Response":
        """Send a request, and return the response, its body yet to be read. Raises the library's errors."""
        library, url = self._library, request.url
        if is_replaced(library.async_http_transport.handle_async_request):
            if self._usual is None:
                self._usual = library.async_http_transport(verify=self._context, limits=self._limits)
            return await self._usual.handle_async_request(request)
        core_request = library.core_request(
            method=request.method,
            url=library.core_url(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with library.core_errors:
            connection = await self._open_connection(core_request.url.origin)
            response = await connection.handle_async_request(core_request)
        return library.response(
            response.status,
            headers=response.headers,
            stream=library.core_stream(response.stream),
            extensions=response.extensions,
        )

    async def _open_connection(self, origin: Any) -> Any:
        """Return the connection, or one that will be made for the first request, if it can't be used any more."""
        connection = self._connection
        if connection is not None and connection.is_idle() and not connection.has_expired():
            return connection
        if connection is not None:
            await connection.aclose()
        self._connection = self._library.core_connection(
            origin=origin,
            ssl_context=self._context,
            keepalive_expiry=self._limits.keepalive_expiry,
            network_backend=self._network,
        )
        return self._connection

    async def aclose(self) -> None:
        """Close the connection."""
        for one in (self._connection, self._usual):
            if one is not None:
                await one.aclose()


def is_replaced(method: Any) -> bool:
    """Whether a method of a library's class is not the one that the library gave it."""
    return (
        type(method) is not FunctionType
        or not method.__code__.co_qualname.endswith("AsyncHTTPTransport.handle_async_request")
        or hasattr(method, "__wrapped__")
    )
