"""The pools of a caller's HTTP client: what httpcore leaves there, and what a forked process must leave alone.

httpcore has no public way to do either, so this reads its attributes. A pool that has others is left as it is.
"""

# ruff: noqa: SLF001

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import httpx

POOL_ATTRIBUTES: Final = ("_requests", "_connections", "_optional_thread_lock", "_assign_requests_to_connections")


UNTRACED: Final = frozenset({"httpx_aiohttp", "pyreqwest"})
"""The packages with transports that make connections, and do not know the trace extension."""


def _transports(http: "httpx.Client | httpx.AsyncClient") -> list[Any]:
    """Return the transports of an HTTP client: one, and one for each proxy."""
    return [*{id(one): one for one in (http._transport, *http._mounts.values())}.values()]


def has_pools_alone(http: "httpx.Client | httpx.AsyncClient") -> bool:
    """Whether all transports of an HTTP client are pools of the library, which send a request once."""
    return len([*pools(http)]) == len(_transports(http))


def tells_nothing(http: "httpx.Client | httpx.AsyncClient") -> bool:
    """Whether an HTTP client has transports of the packages that do not trace, and no other."""
    return all(_does_not_trace(one) for one in _transports(http))


def is_untraced(http: "httpx.Client | httpx.AsyncClient") -> bool:
    """Whether an HTTP client has a transport of one of the packages that do not trace."""
    return any(_does_not_trace(one) for one in _transports(http))


def _does_not_trace(transport: object) -> bool:
    return type(transport).__module__.partition(".")[0] in UNTRACED


def pools(http: "httpx.Client | httpx.AsyncClient") -> Iterator[Any]:
    """Yield the connection pools of an HTTP client. A transport for tests has none."""
    for transport in _transports(http):
        pool = getattr(transport, "_pool", None)
        if all(hasattr(pool, name) for name in POOL_ATTRIBUTES):
            yield pool


def free_places(http: "httpx.Client | httpx.AsyncClient", request: "httpx.Request") -> list[Any]:
    """Give back the places that a request which failed still has in the pools, and return the connections to close.

    httpcore forgets a request that is stopped at the wrong moment, such as by `asyncio.Task.cancel` while it closes, or
    a connection that was made in vain; see https://github.com/encode/httpcore/discussions/1093. Each keeps its place in
    the pool, until there is none left.
    """
    abandoned: list[Any] = []
    for pool in pools(http):
        with pool._optional_thread_lock:
            pool._requests[:] = [one for one in pool._requests if one.request.extensions is not request.extensions]
            in_use = {id(one.connection) for one in pool._requests}
            orphans = [one for one in pool._connections if id(one) not in in_use and _is_orphan(one)]
            pool._connections[:] = [one for one in pool._connections if one not in orphans]
            abandoned += orphans + pool._assign_requests_to_connections()
    return abandoned


def _is_orphan(connection: Any) -> bool:
    """Whether a connection that no request uses can't be used by another one either."""
    return not (connection.is_idle() or connection.is_closed() or connection.is_available())


def close(connections: list[Any]) -> None:
    """Close connections, whatever goes wrong."""
    for connection in connections:
        with suppress(Exception):
            connection.close()


def forget_connections(http: "httpx.Client | httpx.AsyncClient") -> list[Any]:
    """Have an HTTP client begin without connections, and without requests under way, and return what it had.

    They belong to another process or to an event loop that is over. No thread must be using the client.
    """
    forgotten: list[Any] = []
    for pool in pools(http):
        pool._optional_thread_lock = type(pool._optional_thread_lock)()  # A thread of the parent may have held it.
        forgotten += pool._connections
        pool._requests, pool._connections = [], []
    return forgotten
