"""The callbacks that the sandbox sends, over real sockets; the waits between them are not waited for."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import httpx
import pytest
from attrs import define
from sandbox_world import CATS, KEY, ORDER_PATH, STATUS_PATH, World
from servers import LIMIT, Connection, Server, eventually, read, response

from longcat.sandbox import Fault, Settings, running
from longcat.sandbox.queue.webhooks import moments

TAKEN = response(b"", status="204 No Content")
REFUSED = response(b"", status="500 Oops")


@define
class ManualTime:
    """Time that passes when a test says so.

    Attributes:
        now: seconds since the beginning.
        asleep: how many sleep.
    """

    now: float = 0.0
    asleep: int = 0

    def clock(self) -> float:
        """Return the seconds that have passed."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Return when so many seconds have passed."""
        until = self.now + seconds
        self.asleep += 1
        while self.now < until:  # noqa: ASYNC110 - it is another thread that lets time pass.
            await anyio.sleep(0.001)
        self.asleep -= 1


@define
class Sandbox:
    """A sandbox, who listens to its callbacks, and someone who orders."""

    url: str
    receiver: Server
    time: ManualTime
    http: httpx.Client

    def order(self, *, mode: str | None = None, url: str | None = None) -> str:
        """Order with a webhook, and return the id of the request."""
        headers = KEY | {"X-Webhook-URL": url or f"{self.receiver.url}/hook?a=b"}
        headers |= {"X-Webhook-Mode": mode} if mode else {}
        request_id: str = self.http.post(self.url + ORDER_PATH, json=CATS, headers=headers).json()["request_id"]
        return request_id

    def status(self, request_id: str) -> Any:
        """Ask for the status."""
        return self.http.get(self.url + STATUS_PATH + request_id, headers=KEY).json()

    def pass_to(self, moment: float, *, called_back: int, asleep: int = 1) -> None:
        """Let time pass to a moment, once so many sleep, and wait until that many callbacks were due."""
        assert eventually(lambda: self.time.asleep >= asleep)
        self.time.now = moment
        assert eventually(lambda: self._called_back() == called_back)

    def _called_back(self) -> int:
        listed = self.http.get(f"{self.url}/sandbox/requests").json()
        return sum(request.get("called_back", 0) for request in listed)

    def received(self, number: int) -> list[Any]:
        """Let time pass until so many callbacks have come; return their bodies, decoded where they are JSON."""

        def passes() -> bool:
            self.time.now += 1.0
            return self.have_come(number)

        assert eventually(passes)
        return self.bodies()

    def have_come(self, number: int) -> bool:
        """Whether so many callbacks have come."""
        return len(self.receiver.requests) >= number

    def bodies(self) -> list[Any]:
        """Return the bodies of the callbacks that have come."""
        return [decoded(request.body) for request in self.receiver.requests]


def decoded(body: bytes) -> Any:
    """Return the decoded body; the body itself if it is no JSON."""
    try:
        return json.loads(body)
    except ValueError:
        return body


@contextmanager
def sandbox(*answers: bytes, **settings: Any) -> Iterator[Sandbox]:
    """Yield a sandbox, and a receiver that answers its callbacks so; the last answer serves all further ones."""
    time = ManualTime()
    scripts = [(read, answer) for answer in answers or (TAKEN,)]
    with (
        Server(*scripts) as receiver,
        running(Settings(**settings), clock=time.clock, sleep=time.sleep) as url,
        httpx.Client(timeout=LIMIT) as http,
    ):
        yield Sandbox(url, receiver, time, http)


def test_terminal() -> None:
    """By default there is one callback, when the request is over, whose body is that of the status."""
    with sandbox(duration=20) as world:
        request_id = world.order()
        bodies = world.received(1)
        assert bodies == [world.status(request_id)]
        assert bodies[0]["status"] == "COMPLETED"
        (request,) = world.receiver.requests
        assert (request.method, request.target) == ("POST", "/hook?a=b")
        assert request.values("content-type") == ["application/json"]
        assert "subscription-key" not in request.text.lower()


@pytest.mark.parametrize("outcome", ["failed", "error"])
def test_bad_ends_call_back(outcome: str) -> None:
    """A request that fails calls back, too."""
    with sandbox(duration=1, outcome=outcome) as world:
        request_id = world.order(mode="terminal")
        assert world.received(1) == [world.status(request_id)]


def test_sync() -> None:
    """In the mode sync there is a callback each time that the gateway asks its supplier, and one at the end."""
    with sandbox(duration=20, queued=0.3) as world:
        world.order(mode="sync")
        for number, moment in enumerate([1.0, 3.0, 7.0, 15.0, 20.0], start=1):
            world.pass_to(moment, called_back=number)
            assert eventually(lambda number=number: world.have_come(number))  # type: ignore[misc]
        words = [body["status"] for body in world.bodies()]
        assert words == ["QUEUED", "QUEUED", "PROCESSING", "PROCESSING", "COMPLETED"]


@pytest.mark.parametrize(
    ("duration", "mode", "expected"),
    [
        (0.0, "terminal", [0.0]),
        (50.0, "terminal", [50.0]),
        (0.0, "sync", [0.0]),
        (1.0, "sync", [1.0]),
        (50.0, "sync", [1.0, 3.0, 7.0, 15.0, 30.0, 45.0, 50.0]),
    ],
)
def test_moments(duration: float, mode: str, expected: list[float]) -> None:
    """The pauses of the mode sync grow to 15 seconds."""
    assert list(moments(duration, mode)) == expected


def test_a_receiver_that_fails_is_called_again() -> None:
    """A callback that is not answered with 2xx is sent again, twice; then the receiver is left alone."""
    with sandbox(REFUSED, response(b"", status="302 Found"), TAKEN) as world:
        world.order()
        bodies = world.received(3)
        assert bodies == [bodies[0]] * 3


def test_a_receiver_that_is_not_there_does_no_harm() -> None:
    """A receiver that hangs up, or does not exist, does not disturb the gateway."""

    def hang_up(connection: Connection) -> None:
        connection.socket.close()

    with sandbox() as world:
        world.receiver.scripts[:] = [(hang_up,)]
        request_id = world.order()
        world.order(url="http://127.0.0.1:1/")
        world.pass_to(6.0, called_back=2, asleep=2)
        assert eventually(lambda: len(world.receiver.connections) >= 1)
        assert world.status(request_id)["status"] == "COMPLETED"


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hook",
        "http://10.0.0.1/",
        "http://localhost.example.com/",
        "ftp://127.0.0.1/",
        "urn:a:b",
        "http://[",
        "http://127.0.0.1:99999/",
    ],
)
def test_nobody_else_is_called(url: str) -> None:
    """The sandbox calls back to this machine only; an order with another URL is taken all the same."""
    world = World(backend="trio")  # Where a callback would be an error.
    assert world.order(headers={"X-Webhook-URL": url}).status_code == 202


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"X-Webhook-Mode": "all"}, "The header X-Webhook-Mode must be one of: terminal, sync."),
        ({"X-Webhook-URL": ""}, "The header X-Webhook-URL must be a URL."),
        ({"X-Webhook-URL": "127.0.0.1/hook"}, "The header X-Webhook-URL must be a URL."),
        ({"X-Webhook-URL": "https://a b"}, "The header X-Webhook-URL must be a URL."),
    ],
)
def test_bad_headers(headers: dict[str, str], message: str) -> None:
    """Another mode than the two is 400, and so is what is no URL; the order is not taken."""
    world = World()
    response = world.order(headers=headers)
    assert (response.status_code, response.json()["message"], world.orders()["taken"]) == (400, message, 0)


def test_webhooks_need_asyncio() -> None:
    """On another event loop a callback can't be sent, and the sandbox says so."""
    with pytest.raises(RuntimeError, match=r"Webhooks need asyncio: run the sandbox with serve\(\) or running\(\)"):
        World(backend="trio").order(headers={"X-Webhook-URL": "http://127.0.0.1:1/"})


def test_variants_of_callbacks() -> None:
    """A callback has the body of the status as the variants have it."""
    with sandbox(duration=1, variants=("dates-without-zone",)) as world:
        world.order()
        (body,) = world.received(1)
        assert body["completed_at"] == body["updated_at"]
        assert " " in body["completed_at"]


# --- The faults.


def test_never() -> None:
    """The first callbacks may not come."""
    with sandbox(duration=4, faults=(Fault("webhook-never", 2),)) as world:
        world.order(mode="sync")
        for number, moment in enumerate([1.0, 3.0, 4.0], start=1):
            world.pass_to(moment, called_back=number)
        assert eventually(lambda: world.have_come(1))
        assert [body["status"] for body in world.bodies()] == ["COMPLETED"]


def test_repeated() -> None:
    """A callback may come twice."""
    with sandbox(duration=1, faults=(Fault("webhook-repeated", 1),)) as world:
        world.order()
        first, second = world.received(2)
        assert first == second


def test_late() -> None:
    """A callback that is late comes after the one that was sent after it."""
    with sandbox(duration=4, queued=0.5, faults=(Fault("webhook-late", 1, 10.0),)) as world:
        world.order(mode="sync")
        for number, moment in enumerate([1.0, 3.0, 4.0], start=1):
            world.pass_to(moment, called_back=number, asleep=min(number, 2))  # The one that is late sleeps on.
            assert eventually(lambda number=number: world.have_come(number - 1))  # type: ignore[misc]
        assert [body["status"] for body in world.received(3)] == ["PROCESSING", "COMPLETED", "QUEUED"]


def test_forged() -> None:
    """A callback may say what is not true."""
    with sandbox(duration=1, outcome="failed", faults=(Fault("webhook-forged", 1),)) as world:
        request_id = world.order()
        assert [body["status"] for body in world.received(1)] == ["COMPLETED"]
        assert world.status(request_id)["status"] == "FAILED"


def test_malformed() -> None:
    """The body of a callback may be no JSON."""
    with sandbox(duration=1, faults=(Fault("webhook-malformed", 1),)) as world:
        world.order()
        (body,) = world.received(1)
        assert isinstance(body, bytes)
