"""The HTTP libraries that calls can be sent with: httpx, and its successor httpx2, which has the same names.

One is imported only if it is used: the one whose client the caller passes, or `DEFAULT`.
"""

import logging
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from attrs import frozen

if TYPE_CHECKING:
    import httpx
    import httpx2

SyncClient: TypeAlias = "httpx.Client | httpx2.Client"
AsyncClient: TypeAlias = "httpx.AsyncClient | httpx2.AsyncClient"
ClientKind: TypeAlias = Literal["Client", "AsyncClient"]

DEFAULT: Final = "httpx"
"""The library of our own HTTP clients."""
CORES: Final = {"httpx": "httpcore", "httpx2": "httpcore2"}
"""The libraries, each with the package that does its network."""


@frozen(eq=False)
class HttpLibrary:
    """What of an HTTP library is used here. The types are those of httpx, and stand for the same ones of the other.

    Attributes:
        name: the name and the version, as in a `User-Agent`.
        logger: tells of every call of the library's clients.
        http_transport: the class of the transports for threads, and `async_http_transport` for tasks.
        limits: the class of what bounds a pool.
        request, url, headers, byte_stream: the classes of requests and of their parts.
        ssl_context: returns the TLS settings of the environment.
        invalid_url: raised for what is no URL.
        timeout_errors: raised when a step took too long.
        not_sent_errors: raised before a call is sent: there is no connection, or none that is trusted.
        connect_errors: raised when an address could not be connected to.
        request_error: raised for everything else that happens on the way, and for these.
        unsupported_protocol: raised for what no URL of HTTP begins with.
        proxy_error: raised when a proxy refuses.
        protocol_error: raised when what was answered is no HTTP.
        status_error: raised by a hook of the caller's that wants no error as an answer.
        stream_errors: raised by a body that is read on after its end.
        core_connect_error: raised to the library when there is nothing to connect to.
        core_connect_timeout: raised to the library when that can't be found out in time.
        core_read_error, core_write_error: raised by a connection that is broken.
        core_pool: the class of the connection pools for tasks.
        core_read_timeout: raised to the library when an answer is not to be waited for any longer, and by its
            connections.
    """

    name: str
    logger: logging.Logger
    http_transport: type["httpx.HTTPTransport"]
    async_http_transport: type["httpx.AsyncHTTPTransport"]
    limits: type["httpx.Limits"]
    request: type["httpx.Request"]
    url: type["httpx.URL"]
    headers: type["httpx.Headers"]
    byte_stream: type["httpx.ByteStream"]
    ssl_context: Callable[[], Any]
    invalid_url: type[Exception]
    timeout_errors: tuple[type[Exception], ...]
    not_sent_errors: tuple[type[Exception], ...]
    connect_errors: tuple[type[Exception], ...]
    request_error: type[Exception]
    unsupported_protocol: type[Exception]
    proxy_error: type[Exception]
    protocol_error: type[Exception]
    status_error: type[Exception]
    stream_errors: tuple[type[Exception], ...]
    core_connect_error: type[Exception]
    core_connect_timeout: type[Exception]
    core_read_error: type[Exception]
    core_write_error: type[Exception]
    core_pool: Callable[..., Any]
    core_read_timeout: type[Exception]

    @classmethod
    def of_modules(cls, api: ModuleType, core: ModuleType) -> "HttpLibrary":
        """Return what is used of a library and of its core."""
        return cls(
            name=f"{api.__name__}/{api.__version__}",
            logger=logging.getLogger(api.__name__),
            http_transport=api.HTTPTransport,
            async_http_transport=api.AsyncHTTPTransport,
            limits=api.Limits,
            request=api.Request,
            url=api.URL,
            headers=api.Headers,
            byte_stream=api.ByteStream,
            ssl_context=api.create_ssl_context,
            invalid_url=api.InvalidURL,
            timeout_errors=(api.TimeoutException, core.TimeoutException, TimeoutError),
            not_sent_errors=(
                api.ConnectError,
                api.ConnectTimeout,
                api.PoolTimeout,
                api.ProxyError,
                api.UnsupportedProtocol,
            ),
            connect_errors=(api.ConnectError, api.ConnectTimeout),
            request_error=api.RequestError,
            unsupported_protocol=api.UnsupportedProtocol,
            proxy_error=api.ProxyError,
            protocol_error=api.RemoteProtocolError,
            status_error=api.HTTPStatusError,
            stream_errors=(api.HTTPError, api.StreamError),
            core_connect_error=core.ConnectError,
            core_connect_timeout=core.ConnectTimeout,
            core_read_error=core.ReadError,
            core_write_error=core.WriteError,
            core_pool=core.AsyncConnectionPool,
            core_read_timeout=core.ReadTimeout,
        )

    def log(self, request: "httpx.Request", response: "httpx.Response") -> None:
        """Log a call as the library's own clients do."""
        if self.logger.isEnabledFor(logging.INFO):
            version, reason = response.http_version, response.reason_phrase
            self.logger.info(
                'HTTP Request: %s %s "%s %d %s"', request.method, request.url, version, response.status_code, reason
            )

    def unconnected(self, error: OSError) -> Exception:
        """Return the error that tells the library that a host can't be connected to, as its name is not found."""
        if isinstance(error, TimeoutError):
            return self.core_connect_timeout(str(error))
        return self.core_connect_error(str(error))


@cache
def _of_module(name: str) -> HttpLibrary:
    """Return the library of this name, which is imported if it is not yet."""
    return HttpLibrary.of_modules(import_module(name), import_module(CORES[name]))


def default_library() -> HttpLibrary:
    """Return the library of our own HTTP clients."""
    return _of_module(DEFAULT)


def library_of(http_client: object) -> HttpLibrary:
    """Return the library that an HTTP client is of. For None, or what is no client: the one of our own."""
    for module in _imported():
        if isinstance(http_client, (module.Client, module.AsyncClient)):
            return _of_module(module.__name__)  # A program may have httpx2 go by the name of httpx.
    return default_library()


def is_client(http_client: object, kind: ClientKind) -> bool:
    """Whether it is an HTTP client of this kind, of any of the libraries."""
    return any(isinstance(http_client, getattr(module, kind)) for module in _imported())


def _imported() -> list[Any]:
    return [sys.modules[name] for name in CORES if name in sys.modules]
