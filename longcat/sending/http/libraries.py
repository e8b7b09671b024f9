"""The HTTP libraries that calls can be sent with: httpx, and its successor httpx2, which has the same names.

One is imported only if it is used: the one whose client the caller passes, or `DEFAULT`.
"""

import logging
import sys
from collections.abc import AsyncIterator, Callable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

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


class HttpLibrary:
    """The parts of an HTTP library that are used here. Their types are those of httpx; httpx2 has the same ones.

    Args:
        api: the module of the library.
        core: that of its core.

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
        response: the class of responses.
        core_request, core_url, core_connection: the core's classes of requests, their URLs, and connections for tasks.
        core_errors: the context in which the library's errors are raised for those of the core.
        core_stream: returns the body of the core's response as one of the library's.
        core_read_timeout: raised to the library when an answer is not to be waited for any longer, and by its
            connections.
    """

    def __init__(self, api: ModuleType, core: ModuleType) -> None:
        self.name: str = f"{api.__name__}/{api.__version__}"
        self.logger: logging.Logger = logging.getLogger(api.__name__)
        self.http_transport: type[httpx.HTTPTransport] = api.HTTPTransport
        self.async_http_transport: type[httpx.AsyncHTTPTransport] = api.AsyncHTTPTransport
        self.limits: type[httpx.Limits] = api.Limits
        self.request: type[httpx.Request] = api.Request
        self.url: type[httpx.URL] = api.URL
        self.headers: type[httpx.Headers] = api.Headers
        self.byte_stream: type[httpx.ByteStream] = api.ByteStream
        self.ssl_context: Callable[[], Any] = api.create_ssl_context
        self.invalid_url: type[Exception] = api.InvalidURL
        self.timeout_errors: tuple[type[Exception], ...] = (api.TimeoutException, core.TimeoutException, TimeoutError)
        self.not_sent_errors: tuple[type[Exception], ...] = (
            api.ConnectError,
            api.ConnectTimeout,
            api.PoolTimeout,
            api.ProxyError,
            api.UnsupportedProtocol,
        )
        self.connect_errors: tuple[type[Exception], ...] = (api.ConnectError, api.ConnectTimeout)
        self.request_error: type[Exception] = api.RequestError
        self.unsupported_protocol: type[Exception] = api.UnsupportedProtocol
        self.proxy_error: type[Exception] = api.ProxyError
        self.protocol_error: type[Exception] = api.RemoteProtocolError
        self.status_error: type[Exception] = api.HTTPStatusError
        self.stream_errors: tuple[type[Exception], ...] = (api.HTTPError, api.StreamError)
        self.core_connect_error: type[Exception] = core.ConnectError
        self.core_connect_timeout: type[Exception] = core.ConnectTimeout
        self.core_read_error: type[Exception] = core.ReadError
        self.core_write_error: type[Exception] = core.WriteError
        self.response: type[httpx.Response] = api.Response
        self.core_request: Callable[..., Any] = core.Request
        self.core_url: Callable[..., Any] = core.URL
        self.core_connection: Callable[..., Any] = core.AsyncHTTPConnection
        self.core_errors = CoreErrors(api, core)
        self.core_stream: Callable[[Any], httpx.AsyncByteStream] = _core_stream(api.AsyncByteStream, self.core_errors)
        self.core_read_timeout: type[Exception] = core.ReadTimeout

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


CORE_ERRORS: Final = (
    *("ConnectTimeout", "ReadTimeout", "WriteTimeout", "PoolTimeout", "TimeoutException", "NetworkError"),
    *("ConnectError", "ReadError", "WriteError", "ProxyError", "UnsupportedProtocol"),
    *("ProtocolError", "LocalProtocolError", "RemoteProtocolError"),
)
"""The errors of a core. The library has one of the same name for each."""


class CoreErrors:
    """The context in which a library's errors are raised for those of its core."""

    def __init__(self, api: ModuleType, core: ModuleType) -> None:
        self._errors = {getattr(core, name): getattr(api, name) for name in CORE_ERRORS}

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind in self._errors:
            raise self._errors[kind](str(error)) from error


def _core_stream(byte_stream: Any, errors: CoreErrors) -> Any:
    """Return the class of the library's bodies that are read from those of its core."""

    class CoreStream(byte_stream):  # type: ignore[misc]
        """The body of a response of the core."""

        def __init__(self, stream: Any) -> None:
            self._stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            with errors:
                async for chunk in self._stream:
                    yield chunk

        async def aclose(self) -> None:
            """Close it."""
            await self._stream.aclose()

    return CoreStream


@cache
def _of_module(name: str) -> HttpLibrary:
    """Return the library of this name, which is imported if it is not yet."""
    return HttpLibrary(import_module(name), import_module(CORES[name]))


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
    """Return the libraries that are imported.

    A program may keep one from being imported, by None in its place; another thread may be importing one, of which
    there is no client yet then.
    """
    modules = [sys.modules.get(name) for name in CORES]
    return [one for one in modules if hasattr(one, "Client") and hasattr(one, "AsyncClient")]
