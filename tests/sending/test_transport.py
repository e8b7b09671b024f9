"""What the senders do that no answer shows."""

from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from longcat.gateway.messages import Call
from longcat.sending import async_sender
from longcat.sending.bounded_reads import BoundedReads, Streams
from longcat.sending.http import async_clients, async_transports
from longcat.sending.http.clients import SyncClientTransports
from longcat.sending.http.transports import SyncTransports
from longcat.sending.proxies import Proxies


@pytest.mark.parametrize(
    ("own", "left", "expected"),
    [(100.0, 10.0, 10.0), (5.0, 10.0, 5.0), (None, 10.0, 10.0), (5.0, inf, 5.0), (None, inf, None)],
)
def test_a_connection_is_given_the_time_that_is_left(
    own: float | None, left: float, expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step's own timeout holds unless less is left of the call's."""
    monkeypatch.setattr("longcat.sending.bounded_reads.monotonic", lambda: 0.0)
    reads = BoundedReads(Streams())
    info: dict[str, Any] = {"timeout": own}
    with reads.until(left):
        reads.trace("connection.connect_tcp.started", info)
    assert info == {"timeout": expected}


def test_a_hundred_idle_connections_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more, those that have been idle for longest are closed."""
    monkeypatch.setattr("longcat.sending.http.transports.monotonic", lambda: 0.0)
    idle = [httpx.MockTransport(lambda _: httpx.Response(200)) for _ in range(102)]
    closed: list[httpx.MockTransport] = []
    for one in idle:
        one.close = partial(closed.append, one)  # type: ignore[method-assign]
    transports = SyncTransports(Proxies(), lambda _scheme, _proxy: idle[0])
    for one in idle:
        transports.give_back(one, httpx.URL("https://gateway.example"))
    assert closed == idle[:2]


def test_a_connection_is_used_again_for_its_own_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several idle ones, the last that was used for this origin is taken: a gateway closes others sooner."""
    monkeypatch.setattr("longcat.sending.http.transports.monotonic", lambda: 0.0)
    transports = SyncTransports(Proxies(), lambda _scheme, _proxy: httpx.MockTransport(lambda _: httpx.Response(200)))
    urls = [httpx.URL(f"https://{host}.example/path") for host in "abbca"]
    idle = [transports.take(url, cross_origin=False) for url in urls]
    for one, url in zip(idle, urls, strict=True):
        transports.give_back(one, url)
    taken = [transports.take(httpx.URL(f"https://{host}.example"), cross_origin=False) for host in "babac"]
    assert taken == [idle[2], idle[4], idle[1], idle[0], idle[3]]
    assert transports.take(urls[0], cross_origin=False) not in idle


@pytest.mark.parametrize(
    ("options", "once"),
    [
        ({}, True),
        ({"auth": ("me", "password")}, False),
        ({"transport": httpx.MockTransport(lambda _: httpx.Response(200))}, False),
    ],
    ids=["alone", "with a login", "with a transport of the caller's"],
)
def test_a_client_of_the_caller_s_is_watched_while_it_may_send_again(options: dict[str, Any], *, once: bool) -> None:
    """A login may take a second request, and what a transport does is not known."""
    with httpx.Client(**options) as client:
        assert SyncClientTransports(client).sends_once is once


def test_a_call_does_not_show_its_headers() -> None:
    """Its text form, as in a traceback or a log, leaves out what holds the key."""
    assert "the-key" not in repr(Call("POST", "https://gateway.example", 5.0, {"Ocp-Apim-Subscription-Key": "the-key"}))


class Lingering:
    """A connection that takes a moment to close."""

    def __init__(self, error: Exception | None = None) -> None:
        self.is_closed = False
        self._error = error

    async def aclose(self) -> None:
        """Close it, unless the task is cancelled."""
        await anyio.lowlevel.checkpoint()
        self.is_closed = True
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("close", [async_clients._aclose, async_transports._aclose, async_sender.close])
def test_connections_are_closed_in_a_task_that_is_cancelled(close: Callable[[list[Any]], Any], backend: str) -> None:
    """Else they would stay open, as nobody else knows of them."""
    connections = [Lingering(), Lingering()]

    async def main() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await close([*connections])

    anyio.run(main, backend=backend)
    assert [one.is_closed for one in connections] == [True, True]


def test_a_connection_that_can_not_be_closed_keeps_no_other_one_open() -> None:
    """It may be dead already."""
    connections = [Lingering(OSError("broken")), Lingering()]
    anyio.run(async_clients._aclose, connections)
    assert [one.is_closed for one in connections] == [True, True]
