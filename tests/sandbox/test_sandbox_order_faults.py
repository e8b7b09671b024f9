"""Every way in which an order can end, on a real connection, and whether the sandbox counts the order as taken."""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from attrs import define, field, frozen
from sandbox_world import CATS, ORDER_PATH
from servers import LIMIT

from longcat.sandbox import EXAMPLE_KEY, FAULTS, Settings, running

BODY = json.dumps(CATS).encode()
HEAD = f"POST {ORDER_PATH} HTTP/1.1\r\nHost: sandbox\r\nOcp-Apim-Subscription-Key: {EXAMPLE_KEY}\r\n"
REQUEST = f"{HEAD}Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()


@frozen
class End:
    """How an order ended.

    Attributes:
        received: all bytes that came back.
        was_reset: whether the connection was reset.
        taken: how many orders the sandbox counts.
        seconds: how long it took.
    """

    received: bytes
    was_reset: bool
    taken: int
    seconds: float

    @property
    def code(self) -> int:
        """The status code of a whole answer; 0: no answer came, or part of one."""
        head, end, body = self.received.partition(b"\r\n\r\n")
        return int(head.split()[1]) if end and len(body) == int(self.header("content-length") or 0) else 0

    @property
    def body(self) -> bytes:
        """What follows the head."""
        return self.received.partition(b"\r\n\r\n")[2]

    @property
    def json(self) -> Any:
        """The decoded body; None if it is no JSON."""
        with contextlib.suppress(ValueError):
            return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """Return the value of a header; None: it is not there."""
        lines = self.received.partition(b"\r\n\r\n")[0].decode("latin-1").lower().split("\r\n")
        return next((line.partition(": ")[2] for line in lines if line.startswith(f"{name}: ")), None)

    def is_error(self, code: int) -> bool:
        """Whether a JSON error came, with this status code."""
        return self.code == code and set(self.json) == {"error"}

    def is_page(self, code: int) -> bool:
        """Whether an HTML page came, with this status code."""
        return self.code == code and self.header("content-type") == "text/html; charset=utf-8"

    def is_nothing(self) -> bool:
        """Whether the connection was closed without a byte."""
        return self.received == b""


@define
class Orderer:
    """Someone who orders from a sandbox."""

    url: str
    http: httpx.Client = field(repr=False)

    def order(self, fault: str, body: bytes = BODY) -> End:
        """Order once, with a fault, and return how it ended: after a whole answer, or when the connection is over."""
        before = self.set_faults(fault)
        began = time.monotonic()
        received, was_reset = self.send(body)
        return End(received, was_reset, self.taken() - before, time.monotonic() - began)

    def set_faults(self, faults: str) -> int:
        """Set the faults of the orders to come, and return how many orders were taken before."""
        assert self.http.post(f"{self.url}/sandbox/faults", json={"fault": faults}).status_code == 200
        return self.taken()

    def taken(self) -> int:
        """Return how many orders the sandbox counts."""
        return int(self.http.get(f"{self.url}/sandbox/orders/count").json()["taken"])

    def send(self, body: bytes = BODY) -> tuple[bytes, bool]:
        """Order once; return what came back, and whether the connection was reset."""
        port = int(self.url.rpartition(":")[2])
        received = b""
        with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as connection:
            connection.sendall(REQUEST)
            try:
                connection.sendall(body)
                while not End(received, was_reset=False, taken=0, seconds=0).code:
                    if not (chunk := connection.recv(65536)):
                        break
                    received += chunk
            except (ConnectionResetError, BrokenPipeError):
                return received, True
        return received, False


@pytest.fixture(scope="module")
def orderer() -> Iterator[Orderer]:
    """Return who orders from a sandbox that all tests of this module share."""
    with running(Settings(small_pictures=True)) as url, httpx.Client(timeout=LIMIT) as http:
        yield Orderer(url, http)


def taken(end: End) -> bool:
    """Whether an answer came that says that the order was taken."""
    return end.code == 202 and end.json["status"] == "QUEUED"


# Every fault of orders: its number, and the sight of it.
ENDS: dict[str, tuple[str, Callable[[End], bool]]] = {
    "order-unread": ("", lambda end: end.received == b""),
    "order-hang-up": ("", End.is_nothing),
    "order-silence": (":0.3", lambda end: end.is_nothing() and end.seconds >= 0.3),
    "order-rate-limit": (":7", lambda end: end.is_error(429) and end.header("retry-after") == "7"),
    "order-rate-limit-date": (":7", lambda end: end.is_error(429) and str(end.header("retry-after")).endswith("gmt")),
    "order-rate-limit-bare": ("", lambda end: end.is_error(429) and end.header("retry-after") is None),
    "order-unavailable": (":7", lambda end: end.is_error(503) and end.header("retry-after") == "7"),
    "order-unavailable-bare": ("", lambda end: end.is_error(503) and end.header("retry-after") is None),
    "order-server-error": ("", lambda end: end.is_error(500)),
    "order-status": (":524", lambda end: end.is_page(524)),
    "order-forbidden": ("", lambda end: end.is_error(403)),
    "order-challenge": ("", lambda end: end.is_page(403) and b"Just a moment..." in end.body),
    "order-slow": (":0.3", lambda end: taken(end) and end.seconds >= 0.3),
    "order-drip": (":0.3", lambda end: taken(end) and end.seconds >= 0.3),
    "order-hang-up-taken": ("", End.is_nothing),
    "order-silence-taken": (":0.3", lambda end: end.is_nothing() and end.seconds >= 0.3),
    "order-cut": (":40", lambda end: len(end.received) == 40 and not end.was_reset),
    "order-reset": (":40", lambda end: len(end.received) == 40 and end.was_reset),
    "order-server-error-taken": ("", lambda end: end.is_error(500)),
    "order-unavailable-taken": ("", lambda end: end.is_error(503) and end.header("retry-after") is None),
    "order-status-taken": (":520", lambda end: end.is_page(520)),
    "order-html": ("", lambda end: end.is_page(200)),
    "order-empty-body": ("", lambda end: (end.code, end.body) == (202, b"")),
    "order-cut-json": ("", lambda end: end.code == 202 and end.body.startswith(b'{"request_id"') and end.json is None),
    "order-malformed-json": ("", lambda end: end.code == 202 and end.body.endswith(b"}") and end.json is None),
    "order-no-id": ("", lambda end: end.code == 202 and end.json == {"status": "QUEUED"}),
}


@pytest.mark.parametrize("name", [name for name in FAULTS if name.startswith("order-")])
def test_order_fault(orderer: Orderer, name: str) -> None:
    """Every fault of orders does what its sentence says, once, and the order counts as taken if it says so."""
    assert name in ENDS, f"Show in ENDS what the fault {name} looks like: {FAULTS[name].sentence}"
    number, is_so = ENDS[name]
    end = orderer.order(f"{name}:1{number}")
    assert is_so(end), end
    assert end.taken == FAULTS[name].takes
    spent = orderer.order("")
    assert (taken(spent), spent.taken) == (True, 1)


@pytest.mark.parametrize("code", [300, 307, 308, 400, 404, 408, 429, 500, 502, 503, 504, *range(520, 531), 599])
@pytest.mark.parametrize("is_taken", [False, True])
def test_order_status(orderer: Orderer, code: int, is_taken: bool) -> None:
    """An order may be answered with any status code and a page, whether it was taken or not."""
    end = orderer.order(f"order-status{'-taken' if is_taken else ''}:1:{code}")
    assert (end.is_page(code), end.taken, end.header("location") is not None) == (True, is_taken, code < 400)


def test_every_byte_boundary(orderer: Orderer) -> None:
    """The connection may end after each byte of the answer, in an orderly way or by a reset; the order is taken."""
    whole = len(orderer.order("order-cut:1:65536").received)
    assert whole > 250
    cuts = [(name, count) for name in ("order-cut", "order-reset") for count in range(whole)]
    before = orderer.set_faults(",".join(f"{name}:1:{count}" for name, count in cuts))
    for name, count in cuts:
        received, was_reset = orderer.send()
        assert (len(received), was_reset) == (count, name == "order-reset")
    assert orderer.taken() - before == len(cuts)


def test_unread_body(orderer: Orderer) -> None:
    """A connection can end before a long body is read."""
    end = orderer.order("order-unread:1", BODY + b" " * 50_000)
    assert (end.received, end.taken) == (b"", 0)


def test_a_caller_who_breaks_off_orders_nothing(orderer: Orderer) -> None:
    """An order whose body does not arrive whole is not taken."""
    before = orderer.set_faults("")
    with socket.create_connection(("127.0.0.1", int(orderer.url.rpartition(":")[2]))) as connection:
        connection.sendall(REQUEST + BODY[:-1])
    assert orderer.send()[0].startswith(b"HTTP/1.1 202 ")
    assert orderer.taken() - before == 1
