"""The caller's HTTP clients, as transports: with their hooks, credentials and connections, but without cookies."""

from copy import copy
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from longcat.sending.http import pools

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
ClientT = TypeVar("ClientT", bound="httpx.Client | httpx.AsyncClient")
TransportT = TypeVar("TransportT")


class NoCookies:
    """The cookies of an HTTP client that has none, and keeps none. It does not even read those of an answer."""

    def __len__(self) -> int:
        return 0

    def extract_cookies(self, response: object) -> None:
        """Leave the cookies of an answer alone."""


def isolated(client: T) -> T:
    """Return a copy of an HTTP client for one request, which shares all but the cookies with it.

    It neither sends nor keeps any. Nor does it read where a redirect leads that it is not to follow: the libraries fail
    when that is no URL. It is of the same class as the caller's, which may be changed between two requests.
    """
    double: Any = copy(client)
    # The libraries have public ways for neither of the two: they copy cookies that are set into a jar of their own.
    double._cookies = NoCookies()  # noqa: SLF001
    double._build_redirect_request = _not_followed  # noqa: SLF001
    return cast("T", double)


def _not_followed(request: object, response: object) -> object:  # noqa: ARG001 - it leads nowhere.
    return request


class ClientTransports(Generic[ClientT, TransportT]):
    """The caller's HTTP client in place of transports of our own: what both kinds have in common.

    It has a pool of its own, and its owner closes it.

    Args:
        client: the caller's HTTP client.
        to_gateway: sends with its credentials.
        elsewhere: sends without them.
    """

    def __init__(self, client: ClientT, to_gateway: TransportT, elsewhere: TransportT) -> None:
        self.client = client
        self._has_pools_alone = pools.has_pools_alone(client)
        self.tells_nothing = pools.tells_nothing(client)
        self._to_gateway = to_gateway
        self._elsewhere = elsewhere

    @property
    def is_closed(self) -> bool:
        """Whether the owner has closed it."""
        return self.client.is_closed

    @property
    def sends_once(self) -> bool:
        """Whether a request is sent once, and no step after that connects anew."""
        return self._has_pools_alone and self.client.auth is None

    @property
    def is_untraced(self) -> bool:
        """Whether its connections are made by a library that is known to tell nothing of them."""
        return pools.is_untraced(self.client)

    def take(self, url: object, *, cross_origin: bool) -> TransportT:  # noqa: ARG002 - it goes anywhere.
        """Return it as a transport: without its credentials, if what is sent does not go to the gateway."""
        return self._elsewhere if cross_origin else self._to_gateway


class SyncClientTransports(ClientTransports["httpx.Client", "SyncClientTransport"]):
    """The caller's HTTP client in place of transports of our own, for threads."""

    def __init__(self, client: "httpx.Client") -> None:
        super().__init__(client, SyncClientTransport(client), SyncClientTransport(client, auth=None))

    def give_back(self, transport: object, url: object) -> None:
        """Do nothing: its own pool keeps the connection."""

    def discard(self, transport: object, request: "httpx.Request") -> None:  # noqa: ARG002 - there is but one.
        """Give back what a request that failed still has in the pool."""
        pools.close(pools.free_places(self.client, request))

    def close(self) -> None:
        """Leave it open."""

    def forget(self) -> None:
        """Begin without connections, in a forked process."""
        pools.close(pools.forget_connections(self.client))  # This process's ends only: without a word to the server.


class SyncClientTransport:
    """Sends requests by an HTTP client as a transport does. The body of the response is yet to be read."""

    def __init__(self, client: "httpx.Client", **options: None) -> None:
        self._client = client
        self._options: Any = options

    def handle_request(self, request: "httpx.Request") -> "httpx.Response":
        """Send a request, and return the response."""
        return isolated(self._client).send(request, stream=True, follow_redirects=False, **self._options)
