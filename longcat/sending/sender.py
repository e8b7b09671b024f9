"""The base of the senders, by threads and by tasks: what both need beyond the HTTP libraries below."""

import platform
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeAlias, TypeVar

from longcat._version import __version__
from longcat.clock import Clock
from longcat.errors import ConfigurationError
from longcat.gateway.messages import Call
from longcat.processes import ForkAware
from longcat.sending.destination import AddressRule, Destination
from longcat.sending.http.certificates import setup_error
from longcat.sending.http.libraries import HttpLibrary, library_of
from longcat.sending.http.request_factory import RequestFactory
from longcat.sending.translation import Translated, refused_by_proxy

if TYPE_CHECKING:
    import httpx

USER_AGENT: Final = f"longcat-image/{__version__} python/{platform.python_version()}"
"""How we call ourselves, before the name of the HTTP library."""
CONNECTING: Final = frozenset(
    f"{step}.{outcome}"
    for step in ("connect_tcp", "connect_unix_socket", "start_tls")
    for outcome in ("started", "complete", "failed")
)
"""The events of the trace extension that tell of a connection, without who tells of them."""
SENDING: Final = "send_request_headers.started"
"""The event before a request is sent, likewise. On a connection that is open already, no other one of these comes."""
TraceInfo: TypeAlias = dict[str, Any]
"""What the trace extension tells with an event. It has a name as annotations of inner functions are evaluated often."""


class HttpTransports(Protocol):
    """Sends requests: transports of our own, or the caller's HTTP client."""

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent through it any more."""

    @property
    def sends_once(self) -> bool:
        """Whether a request is sent once, and no step after that connects anew."""

    @property
    def is_untraced(self) -> bool:
        """Whether connections are made by a library that is known to tell nothing of them."""

    @property
    def tells_nothing(self) -> bool:
        """Whether all connections are made by such a library, so that there is nothing to trace."""


Transports = TypeVar("Transports", bound=HttpTransports)


class HttpSender(ForkAware, Generic[Transports]):
    """Sends calls by an HTTP library: what both kinds of sender share.

    A forked process begins without connections, and with nothing in flight.

    Args:
        client: the caller's HTTP client, which stays open. None: transports of our own are used.
        new_transports: makes these.
        clock: the time.
        max_in_flight: how many calls to the gateway may be in flight.
        address_rule: where other hosts than the gateway may be. None: on the public internet.
    """

    client_transports: Callable[[Any], Transports]
    """Returns a caller's HTTP client as transports."""
    new_transports: Callable[..., Transports]
    """Returns transports of our own that will be asked for these URLs, among others.

    Raises ConfigurationError for a proxy that can't be used, and OSError or ValueError for certificates that can't be.
    """

    def __init__(
        self,
        client: Any,
        new_transports: Callable[[], Transports],
        clock: Clock,
        max_in_flight: int,
        address_rule: AddressRule | None = None,
    ) -> None:
        self._address_rule = address_rule or AddressRule()
        self.owns_http = client is None
        self._new_transports: Callable[[], Transports] = new_transports
        self._clock = clock
        self._max_in_flight = max_in_flight
        self._closed = False
        self._library: HttpLibrary = library_of(client)
        self._requests = RequestFactory(self._library, f"{USER_AGENT} {self._library.name}", client)
        self.http: Transports = self.open() if client is None else type(self).client_transports(client)
        self.watch_forks()

    def open(self) -> Transports:
        """Return new transports of our own. Raises ConfigurationError when the environment does not let us."""
        try:
            return self._new_transports()
        except (ValueError, OSError, ImportError, self._library.invalid_url) as error:
            raise setup_error(error) from error

    def request(self, call: Call) -> "httpx.Request":
        """Return the request for a call."""
        return self._requests.request(call)

    def destination(self, call: Call, request: "httpx.Request") -> Destination:
        """Return where the request for a call goes. Any address will do for a gateway."""
        host = request.url.raw_host.decode("ascii")
        if not call.cross_origin:
            return Destination(host, None)
        return Destination(host, self._address_rule, self.http.is_untraced)

    def look_at(self, call: Call, request: "httpx.Request", response: "httpx.Response") -> None:
        """Log a call, and raise APIConnectionError for an answer of a proxy that wants a login, not of the gateway."""
        if self.owns_http:
            self._library.log(request, response)
        if response.status_code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            error = refused_by_proxy(call, owns_http=self.owns_http)
            if error is not None:
                raise error

    def _check_open(self) -> None:
        """Raise ConfigurationError when this client, or the caller's HTTP client, is closed."""
        if self._closed or self.http.is_closed:
            raise ConfigurationError("This client is closed. Make a new one, and close it after the last call.")

    @staticmethod
    def check(call: Call) -> None:
        """Raise what keeps a call from being sent, unless it was sent already."""
        if call.check is not None and not call.progress.sent:
            call.check()

    def _translated(self, call: Call) -> Translated:
        call.progress.watched = True
        return Translated(call, self._library, lambda: self._closed, owns_http=self.owns_http)
