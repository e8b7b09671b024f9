"""Callbacks: what is read of them, who is woken by them, and what strangers can't do with them."""

import contextlib
import json
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from attrs import define, field
from fakes import KEY, Cat, Driver
from servers import SOON, drive, peak, refusing, tidy
from starlette.applications import Starlette
from starlette.routing import Mount

from longcat import (
    AdaptivePolling,
    APIResponseValidationError,
    ConfigurationError,
    FixedPolling,
    LongCat,
    Polling,
    State,
    webhooks,
)
from longcat.cli.orders.client import OrderingClient
from longcat.cli.run import run
from longcat.sandbox import Fault, Settings, running
from longcat.testing import FakeGateway
from longcat.webhooks import Receiver, parse, serving

T = TypeVar("T")

SYNC: Final = Driver("sync")
ID: Final = "longcat-image-498_019a1b2c-0000-7000-8000-0123456789abc"
PICTURE: Final = "https://storage.test/one.png"


def says(request_id: str = "r", word: str = "ERROR", **more: Any) -> bytes:
    """Return the body of a callback."""
    return json.dumps({"request_id": request_id, "status": word, **more}).encode()


# --- What a callback says.

COMPLETED: Final = {
    "request_id": ID,
    "status": "COMPLETED",
    "model_id": "longcat-image-498",
    "error": None,
    "output": {"media_url": [PICTURE], "media_type": "image/png"},
    "created_at": "2026-05-22T13:17:32.110Z",
    "updated_at": "2026-05-22 13:19:23",
    "completed_at": "2026-05-22 13:19:23",
}
BODIES: Final[dict[str, tuple[Any, State, str | None]]] = {
    "completed, with both forms of dates": (COMPLETED, State.COMPLETED, None),
    "completed, as of a sister model": (
        {"request_id": ID, "status": "COMPLETED", "result": {"images": [{"url": PICTURE}]}},
        State.COMPLETED,
        None,
    ),
    "error, from the page": (
        {"request_id": ID, "status": "ERROR", "model_id": "m", "error": "Description of the error", "output": None},
        State.FAILED,
        "Description of the error",
    ),
    "failed, with an object": (
        {"request_id": ID, "status": "FAILED", "error": {"code": "X", "message": "too bad"}},
        State.FAILED,
        "too bad",
    ),
    "a supplier's word": ({"request_id": ID, "status": "IN_PROGRESS"}, State.PROCESSING, None),
    "an unknown word": ({"request_id": ID, "status": "PONDERING"}, State.UNKNOWN, None),
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("written", ["bytes", "text"])
def test_what_a_callback_says(name: str, written: str) -> None:
    """A callback is read as an answer about its request is, sister models' forms included."""
    body, state, error = BODIES[name]
    text = json.dumps(body)
    status = parse(text if written == "text" else text.encode())
    assert (status.request_id, status.state, status.error) == (ID, state, error)
    assert (status.image is not None and status.image.urls == (PICTURE,)) == (state is State.COMPLETED)


BROKEN: Final[dict[str, Any]] = {
    "empty": b"",
    "no JSON": b"<!doctype html><title>Just a moment...</title>",
    "cut": json.dumps(COMPLETED).encode()[:100],
    "not UTF-8": b'{"request_id": "\xff", "status": "ERROR"}',
    "a list": b"[]",
    "no id": says().replace(b"request_id", b"id"),
    "a number for an id": b'{"request_id": 7, "status": "ERROR"}',
    "an empty id": says(""),
    "a huge id": says("r" * 10_000),
    "no word": b'{"request_id": "r"}',
    "completed without a picture": says(word="COMPLETED"),
    "nested too deeply": b'{"request_id": "r", "status": "ERROR", "error": ' + b"[" * 100_000,
    "too many digits": b'{"request_id": "r", "status": ' + b"9" * 10_000 + b"}",
    "too long": b" " * 1_048_577 + says(),
    "half a character": '{"request_id": "\ud800", "status": 1}',
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_callback(name: str) -> None:
    """What does not have the form is an error of ours that says what is wrong, and asking again does not help."""
    with pytest.raises(APIResponseValidationError, match=r"^The answer.* breaks the contract: .*\.$") as caught:
        parse(BROKEN[name])
    assert not caught.value.transient


@pytest.mark.parametrize("body", [None, 7, {"request_id": "r"}])
def test_a_body_is_bytes_or_text(body: Any) -> None:
    """What was decoded already, or is missing, is the caller's mistake."""
    with pytest.raises(ConfigurationError, match=r"^The body of a callback is bytes or text, not \w+\."):
        parse(body)


def test_a_long_body_is_not_touched() -> None:
    """Of a body that is far too long, no more is copied than may be read."""
    body = bytearray(50_000_000)
    with peak(8_000_000), pytest.raises(APIResponseValidationError, match="at most 1048576 bytes long"):
        parse(body)  # type: ignore[arg-type]


# --- The waits that are woken, in virtual time.


@define
class Callbacks:
    """Callbacks that come at certain moments on the clock of a gateway: what a wait is given as `wake`.

    Attributes:
        moments: when they come, in seconds, each with its body. None: that the last order has ended.
        receiver: takes them.
        woken: how often a wait was woken.
    """

    gateway: FakeGateway
    moments: list[tuple[float, bytes | None]]
    receiver: Receiver = field(init=False)
    woken: int = 0

    def __attrs_post_init__(self) -> None:
        self.receiver = Receiver(monotonic=self.gateway.clock.monotonic)

    def run(self, driver: Driver, ask: Callable[[Cat, Any], Awaitable[T]], polling: Polling) -> T:
        """Let a client ask while the callbacks come, and return what it returns."""

        async def scenario(cat: Cat) -> T:
            if driver.name == "sync":
                clock: Any = self.gateway.clock
                clock.on_sleep = self._on_sleep
                return await ask(cat, self)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._come)
                result = await ask(cat, self)
                tasks.cancel_scope.cancel()
            return result

        return driver.run(scenario, self.gateway, polling=polling)

    def subscribe(self, request_id: str, callback: Callable[[], object]) -> Callable[[], None]:
        """Subscribe at the receiver, and count."""

        def count() -> None:
            self.woken += 1
            callback()

        return self.receiver.subscribe(request_id, count)

    async def _come(self) -> None:
        for moment, body in self.moments:
            await self.gateway.clock.asleep(moment - self.gateway.clock.monotonic())
            self._hear(body)

    def _hear(self, body: bytes | None) -> None:
        self.receiver.hear(says(self.gateway.orders[-1].request_id or "") if body is None else body)

    def _on_sleep(self) -> None:
        """Let callbacks come in the midst of a sleep, until one of them wakes a wait."""
        clock: Any = self.gateway.clock
        end, before = clock.now + clock.sleeps[-1], self.woken
        while self.moments and self.moments[0][0] <= end and self.woken == before:
            moment, body = self.moments.pop(0)
            clock.now = max(clock.now, moment)
            self._hear(body)


async def collect(values: Any) -> list[Any]:
    """Return all that is yielded."""
    return [value async for value in values]


METHODS: Final[dict[str, Callable[[Cat, Any], Awaitable[Any]]]] = {
    "wait": lambda cat, wake: cat.wait("r", wake=wake),
    "watch": lambda cat, wake: collect(cat.watch("r", wake=wake)),
    "as_completed": lambda cat, wake: collect(cat.as_completed(["r"], wake=wake)),
    "wait_all": lambda cat, wake: cat.wait_all(["r"], wake=wake),
}
ORDERS: Final[dict[str, Callable[[Cat, Any], Awaitable[Any]]]] = {
    "generate": lambda cat, wake: cat.generate("a cat", wake=wake),
    "generate_all": lambda cat, wake: collect(cat.generate_all(["a cat"], wake=wake)),
}


def asked(gateway: FakeGateway) -> list[float]:
    """Return when each question came, in seconds."""
    return [round(question.at, 6) for question in gateway.questions]


@pytest.mark.parametrize("name", METHODS)
def test_a_callback_wakes_the_wait_for_its_request(driver: Driver, name: str) -> None:
    """Whichever method waits, it asks at the moment of the callback, and leaves nothing behind in the receiver."""
    gateway = FakeGateway().request("r", takes=3.7)
    callbacks = Callbacks(gateway, [(3.7, says())])
    callbacks.run(driver, METHODS[name], FixedPolling(60))
    assert asked(gateway) == [0.0, 3.7]
    assert (callbacks.receiver._subscriptions, callbacks.receiver._heard) == ({}, {})


@pytest.mark.parametrize("name", ORDERS)
def test_a_callback_wakes_the_wait_for_what_was_ordered(driver: Driver, name: str) -> None:
    """The request of an order that is waited for at once is not asked about before its callback comes."""
    gateway = FakeGateway().order(takes=3.7)
    callbacks = Callbacks(gateway, [(3.7, None)])
    callbacks.run(driver, ORDERS[name], FixedPolling(60))
    assert asked(gateway) == [3.7]


def test_each_of_many_is_woken_by_its_own_callback(driver: Driver) -> None:
    """Callbacks in any order, and twice, wake those that they are about, and nobody else."""
    gateway = FakeGateway()
    for number in range(20):
        gateway.request(f"r{number}", takes=40.0 - 2 * number)
    moments: list[tuple[float, bytes | None]] = [(40.0 - 2 * n, says(f"r{n}")) for n in reversed(range(20))]
    callbacks = Callbacks(gateway, [*moments, (40.5, says("r3"))])
    ids = [f"r{number}" for number in range(20)]
    outcomes = callbacks.run(driver, lambda cat, wake: collect(cat.as_completed(ids, wake=wake)), FixedPolling(60))
    assert [one.request_id for one in outcomes] == ids[::-1]
    assert asked(gateway) == [0.0] * 20 + [2.0 * n for n in range(1, 21)]


def test_a_callback_before_the_wait_is_not_lost(driver: Driver) -> None:
    """One that comes between an order and its wait lets the wait ask at once."""
    gateway = FakeGateway().order()
    receiver = Receiver()

    async def scenario(cat: Cat) -> None:
        order = await cat.submit("a cat")
        receiver.hear(says(order.request_id))
        await cat.wait(order, wake=receiver)

    driver.run(scenario, gateway, polling=FixedPolling(60))
    assert asked(gateway) == [0.0]


def every(step: float, until: float, *bodies: bytes) -> list[tuple[float, bytes | None]]:
    """Return callbacks that come every so many seconds, with these bodies in turn."""
    return [(round((n + 1) * step, 6), bodies[n % len(bodies)]) for n in range(int(until / step))]


MOMENTS: Final[dict[str, tuple[list[tuple[float, bytes | None]], list[float]]]] = {
    "none": ([], [0, 4, 8]),
    "about another request": ([(1, says("s"))], [0, 4, 8]),
    "too early": ([(1.5, says())], [0, 1.5, 5.5, 9.5]),
    "at once": ([(0.25, says())], [0, 1, 5, 9]),
    "a flood": (every(0.1, 6, says()), [0, 1, 2, 3, 4, 5, 6, 7]),
    "that it is not done": ([(1.5, says(word="PROCESSING"))], [0, 1.5, 5.5, 9.5]),
    "that again and again": (every(1.5, 6, says(word="PROCESSING")), [0, 1.5, 5.5, 9.5]),
    "one word, then another": ([(1.5, says(word="QUEUED")), (3, says(word="IN_PROGRESS"))], [0, 1.5, 3, 7]),
    "what nobody knows": (every(1.5, 6, says(word="PONDERING")), [0, 1.5, 5.5, 9.5]),
    "what breaks the contract": ([(1.5, b'{"request_id": "r", "status": 7}')], [0, 1.5, 5.5, 9.5]),
    "garbage": (every(0.5, 6, b"", b"[]", b"\xff", b"{}", says("r" * 2000)), [0, 4, 8]),
    "that it is done": ([(7, says())], [0, 4, 7]),
    "when a question is due": ([(4, says())], [0, 4, 8]),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_when_a_wait_is_woken(name: str) -> None:
    """A request of seven seconds, asked about every four: news is followed at once, but once a second at most."""
    moments, expected = MOMENTS[name]
    gateway = FakeGateway().request("r", takes=7.0)
    Callbacks(gateway, [*moments]).run(SYNC, METHODS["wait"], FixedPolling(4))
    assert asked(gateway) == expected


def test_news_during_a_question_is_not_lost() -> None:
    """A callback that overtakes an answer, which may be older, leads to another question a second later."""
    gateway, receiver = FakeGateway(), Receiver()

    def overtaken(_: httpx.Request) -> httpx.Response:
        receiver.hear(says())
        return httpx.Response(200, json={"request_id": "r", "status": "processing", "progress": 0.5})

    gateway.request("r", takes=0.5, faults=[overtaken])
    with gateway.client(polling=FixedPolling(60)) as cat:
        cat.wait("r", wake=receiver)
    assert asked(gateway) == [0, 1]


@pytest.mark.usefixtures("no_jitter")
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(httpx.Response(500), [0, 0.5], id="500"),
        pytest.param(httpx.Response(429, headers={"Retry-After": "30"}), [0, 30], id="429"),
    ],
)
def test_news_does_not_hasten_a_gateway_that_fails(fault: httpx.Response, expected: list[float]) -> None:
    """After an error, and while the gateway wants to be left alone, callbacks make no question come earlier."""
    gateway = FakeGateway().request("r", faults=[fault])
    Callbacks(gateway, every(0.1, 30, says())).run(SYNC, METHODS["wait"], FixedPolling(60))
    assert asked(gateway) == expected


def test_a_flood_costs_no_more_questions_than_the_page_advises() -> None:
    """With a budget, all questions of a woken wait together are within the budget, at every moment."""
    gateway = FakeGateway().request("r", takes=200.0, progress=None)
    callbacks = Callbacks(gateway, every(0.1, 120, says(), says(word="PROCESSING"), says(word="QUEUED")))
    callbacks.run(SYNC, METHODS["wait"], AdaptivePolling(seconds_per_question=5))
    moments = asked(gateway)
    assert [n for n, at in enumerate(moments, 1) if n > 2 + at / 5] == []
    assert len([at for at in moments if at < 120]) >= 120 / 5
    # Nor does it starve the wait afterwards.
    assert 120 < min(at for at in moments if at > 120) < 135


def test_the_budget_leaves_one_question_for_news() -> None:
    """The plan alone never uses up what the first callback may ask, however often it has asked."""
    polling = AdaptivePolling(seconds_per_question=5, max_interval=0.1, jitter=0)
    for moment in (3.0, 7.1, 12.3, 19.9):
        gateway = FakeGateway().request("r", takes=moment)
        Callbacks(gateway, [(moment, says())]).run(SYNC, METHODS["wait"], polling)
        assert asked(gateway)[-1] == moment


def test_a_clock_that_cannot_be_woken_sleeps_in_parts() -> None:
    """With a clock of the caller's that has nothing but the documented methods, news is noticed within a second."""
    gateway = FakeGateway().request("r", takes=3.7)
    receiver = Receiver()
    clock: Any = gateway.clock

    class Plain:
        time, monotonic, asleep = clock.time, clock.monotonic, clock.asleep

        def sleep(self, seconds: float) -> None:
            clock.sleep(seconds)
            if clock.now == 4.0:
                receiver.hear(says())

    with httpx.Client(transport=gateway) as http:
        plain: Any = Plain()
        with LongCat("a-key", "https://gateway.test", http_client=http, clock=plain, polling=FixedPolling(60)) as cat:
            cat.wait("r", wake=receiver)
    assert asked(gateway) == [0, 4]


# --- What a receiver bounds.


def test_unknown_requests_take_no_more_memory_than_a_bound() -> None:
    """A flood of callbacks about requests that nobody waits for is forgotten, the oldest first."""
    receiver = Receiver()
    with peak(3_000_000):
        for number in range(3000):
            receiver.hear(says(f"r{number}"))
    assert len(receiver._heard) == webhooks.MAX_HEARD
    woken: list[str] = []
    receiver.subscribe("r0", lambda: woken.append("old"))()
    receiver.subscribe("r2999", lambda: woken.append("new"))()
    assert woken == ["new"]


def test_a_body_that_is_handed_over() -> None:
    """Servers that don't speak ASGI hand a body over, as bytes or as text, and learn whether it names a request."""
    receiver = Receiver()
    bodies: list[bytes | str] = [says(), says().decode(), says() + b" " * webhooks.MAX_BODY, b"?", ""]
    assert [receiver.hear(body) for body in bodies] == [True, True, False, False, False]


def test_what_was_heard_long_ago_is_forgotten() -> None:
    """A callback is remembered for ten minutes, and for one wait."""
    now = 0.0
    receiver = Receiver(monotonic=lambda: now)
    woken: list[str] = []
    for request_id in ("a", "b"):
        receiver.hear(says(request_id))
    now = 599.0
    for _ in range(2):
        receiver.subscribe("a", lambda: woken.append("a"))()
    now = 601.0
    receiver.subscribe("b", lambda: woken.append("b"))()
    assert woken == ["a"]


def test_waits_are_woken_so_often_in_a_second() -> None:
    """However many callbacks come, no more than a thousand waits are woken in a second; the next second, again."""
    now = 0.0
    receiver = Receiver(monotonic=lambda: now)
    woken: list[float] = []
    for number in range(400):
        receiver.subscribe(f"r{number % 4}", lambda: woken.append(now))
    for _ in range(3):
        for number in range(20):
            receiver.hear(says(f"r{number % 4}"))
        now += 1.0
    assert [woken.count(second) for second in (0.0, 1.0, 2.0)] == [webhooks.MAX_WAKES] * 3


def test_all_waits_for_a_request_are_woken() -> None:
    """Two waits for one request are both woken, and ending one leaves the other; ending it twice is no error."""
    receiver = Receiver()
    woken: list[str] = []
    ends = [receiver.subscribe("r", lambda name=name: woken.append(name)) for name in ("a", "b")]  # type: ignore[misc]
    receiver.hear(says())
    ends[0]()
    ends[0]()
    receiver.hear(says())
    assert woken == ["a", "b", "b"]


# --- The ASGI application.


def call(
    receiver: Receiver, backend: str, *messages: Mapping[str, Any], method: str = "POST", path: str = "/hook"
) -> tuple[int | None, dict[str, str]]:
    """Return status and headers of the answer to a call whose body comes so. None: there is no answer.

    When the messages have come, nothing more does.
    """
    sent: list[dict[str, Any]] = []

    async def main() -> None:
        left = iter(messages)

        async def receive() -> Mapping[str, Any]:
            message = next(left, None)
            if message is None:
                await anyio.sleep_forever()
                raise AssertionError
            return message

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await receiver({"type": "http", "method": method, "path": path, "http_version": "1.1"}, receive, send)

    anyio.run(main, backend=backend)
    if not sent:
        return None, {}
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    """Return a piece of a body, as a server hands it to an application."""
    return {"type": "http.request", "body": body, "more_body": more}


GONE: Final = {"type": "http.disconnect"}
FULL: Final = says() + b" " * (webhooks.MAX_BODY - len(says()))
CALLS: Final[dict[str, tuple[list[dict[str, Any]], int | None]]] = {
    "whole": ([part(says())], 200),
    "byte by byte": ([*(part(bytes([byte]), more=True) for byte in says()), part(b"")], 200),
    "without a body in a message": ([{"type": "http.request", "more_body": True}, part(says())], 200),
    "as long as it may be": ([part(FULL)], 200),
    "a byte too long": ([part(FULL, more=True), part(b" ", more=True)], 413),
    "without an end": ([part(b" " * 1000, more=True)] * 100, 413),
    "that stops": ([part(says()[:10], more=True)], 408),
    "that never begins": ([], 408),
    "hung up": ([part(says()[:10], more=True), GONE], None),
    "garbage": ([part(b"what?")], 400),
    "empty": ([part(b"")], 400),
    "about nothing": ([part(b"{}")], 400),
    "that breaks the contract": ([part(b'{"request_id": "r", "status": []}')], 200),
}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("name", CALLS)
def test_what_a_body_is_answered(name: str, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What names a request gets a 200, and wakes its wait; all else is refused, as soon as that is certain."""
    if CALLS[name][1] == 408:
        monkeypatch.setattr(webhooks, "BODY_TIMEOUT", 0.01)
    receiver = Receiver()
    woken: list[None] = []
    receiver.subscribe("r", lambda: woken.append(None))
    messages, status = CALLS[name]
    assert call(receiver, backend, *messages)[0] == status
    assert len(woken) == (status == 200)
    assert call(receiver, backend, part(says()))[0] == 200  # Nothing of it is left.


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "post", "X"])
def test_other_methods(method: str) -> None:
    """Nothing but a POST is a callback."""
    status, headers = call(Receiver(), "asyncio", part(says()), method=method)
    assert (status, headers["allow"], headers["connection"]) == (405, "POST", "close")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/s3cret", 200),
        ("/mounted/somewhere/s3cret", 200),
        ("/s3cret/", 200),
        ("/", 404),
        ("/s3cre", 404),
        ("/xs3cret", 404),
        ("/s3cret/more", 404),
        ("/\ud800", 404),
    ],
)
def test_a_path_with_a_secret(path: str, status: int, caplog: pytest.LogCaptureFixture) -> None:
    """A receiver with a secret is found under paths that end with it, and nowhere else; it says so once."""
    receiver = Receiver("s3cret")
    for _ in range(3):
        assert call(receiver, "asyncio", part(says()), path=path)[0] == status
    assert len(caplog.messages) == (status == 404)


@pytest.mark.parametrize("secret", ["", "a/b", "caf\u00e9", "a\n"])
def test_a_secret_is_a_part_of_a_path(secret: str) -> None:
    """What no path can end with can't be the secret."""
    with pytest.raises(ConfigurationError, match=r"^The secret of a receiver is the last part of a path\."):
        Receiver(secret)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_too_many_slow_bodies_at_a_time(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When as many bodies are being read as may be, one more is refused at once; when they are done, it is not."""
    monkeypatch.setattr(webhooks, "MAX_READING", 3)
    receiver = Receiver()
    statuses: list[int] = []

    async def main() -> None:
        released = anyio.Event()

        async def receive() -> Mapping[str, Any]:
            await released.wait()
            return part(says())

        async def send(message: dict[str, Any]) -> None:
            if "status" in message:
                statuses.append(message["status"])

        scope = {"type": "http", "method": "POST", "path": "/"}
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(receiver, scope, receive, send)
            await anyio.wait_all_tasks_blocked()
            await receiver(scope, receive, send)
            released.set()
        await receiver(scope, receive, send)

    anyio.run(main, backend=backend)
    assert statuses == [503, 200, 200, 200, 200]


def test_what_else_a_server_may_say() -> None:
    """The application takes part in its server's start and end, and takes no web sockets."""
    sent: list[dict[str, Any]] = []

    async def main() -> None:
        messages = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> dict[str, Any]:
            return {"type": next(messages)}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await Receiver()({"type": "lifespan"}, receive, send)
        await Receiver()({"type": "websocket", "path": "/"}, receive, send)
        with pytest.raises(ValueError, match="can't serve a pigeon"):
            await Receiver()({"type": "a pigeon"}, receive, send)

    anyio.run(main)
    assert [one["type"] for one in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
        "websocket.close",
    ]


# --- The command line.


@pytest.fixture
def _at_a_shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have a key and a folder of one's own."""
    monkeypatch.setenv("PIXAZO_API_KEY", KEY)
    monkeypatch.chdir(tmp_path)


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


ONE: Final = ["generate", "a cat", "-o", "cat.png"]
MANY: Final = ["batch", "cats.txt", "-o", "cats"]


@pytest.mark.usefixtures("_at_a_shell")
@pytest.mark.parametrize(("command", "pictures"), [(ONE, 1), (MANY, 3)], ids=["generate", "batch"])
def test_commands_with_callbacks(command: list[str], pictures: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--webhook-listen` takes the callbacks to `--webhook-url`, which the pictures don't wait a minute for."""
    Path("cats.txt").write_text("a cat\ntwo cats\nthree cats\n", "utf-8")
    patient = partial(OrderingClient, polling=FixedPolling(60))
    monkeypatch.setattr("longcat.cli.orders.batch_run.OrderingClient", patient)
    port = free_port()
    with running(Settings(api_key=KEY, duration=0.3, small_pictures=True)) as url:
        listen = ["--webhook-listen", f"127.0.0.1:{port}", "--webhook-url", f"http://127.0.0.1:{port}/hook"]
        began = time.monotonic()
        assert run([*command, "--base-url", url, *listen]) == 0
        assert time.monotonic() - began < SOON
    assert len([*Path().rglob("*.png")]) == pictures


@pytest.mark.usefixtures("_at_a_shell")
@pytest.mark.parametrize("command", [ONE, MANY], ids=["generate", "batch"])
@pytest.mark.parametrize(
    ("arguments", "says_so"),
    [
        (["--webhook-listen", "127.0.0.1:0"], "--webhook-listen needs a --webhook-url"),
        (["--webhook-listen", "8000"], "is no HOST:PORT"),
        (["--webhook-listen", "host:port"], "is no HOST:PORT"),
        (["--webhook-listen", "[::1]:70000", "--webhook-url", "https://me.test/"], '"::1", port 70000: a port is'),
    ],
)
def test_a_listener_that_cannot_be(
    arguments: list[str], says_so: str, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A listener that can't be started is a wrong use, and nothing is sent."""
    Path("cats.txt").write_text("a cat\n", "utf-8")
    with refusing() as url:
        try:
            code = run([*command, "--base-url", url, *arguments])
        except SystemExit as end:
            code = end.code  # type: ignore[assignment]
    err = capsys.readouterr().err
    assert (code, says_so in err, "order" in err) == (2, True, False)


# --- Real sockets.


def test_a_receiver_in_another_application(driver: Driver) -> None:
    """Mounted in a Starlette application, it is reached under the path of its mount."""
    app = Starlette(routes=[Mount("/hooks", app=Receiver("s3cret"))])
    transport = httpx.ASGITransport(app)

    async def main() -> list[int]:
        async with httpx.AsyncClient(transport=transport, base_url="http://me.test") as http:
            return [(await http.post(path, content=says())).status_code for path in ("/hooks/s3cret", "/hooks/x")]

    backend = "asyncio" if driver.name == "sync" else driver.name
    assert anyio.run(main, backend=backend) == [200, 404]


@pytest.mark.parametrize("name", ["generate", "generate_all"])
def test_the_sandbox_calls_back(driver: Driver, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A callback over a real socket, taken in another thread, ends a wait that would not have asked for a minute."""
    receiver = Receiver("s3cret")
    settings = Settings(api_key=KEY, duration=0.3, small_pictures=True)
    with tidy(monkeypatch), running(settings) as url, serving(receiver) as mine:
        order: Any = {"prompt": "a cat", "webhook_url": f"{mine}/s3cret"}
        asks: dict[str, Callable[[Any], Any]] = {
            "generate": lambda cat: cat.generate(**order, wake=receiver),
            "generate_all": lambda cat: cat.generate_all([order] * 3, wake=receiver),
        }
        began = time.monotonic()
        drive(driver, url, asks[name], polling=FixedPolling(60))
        assert time.monotonic() - began < SOON


FAULTS: Final = ["webhook-never", "webhook-repeated", "webhook-late", "webhook-forged", "webhook-malformed"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_callback_does_no_harm(fault: str) -> None:
    """Whatever comes instead of an honest callback, or nothing: the gateway's answer counts, and polling finds it."""
    receiver = Receiver()
    settings = Settings(api_key=KEY, duration=0.2, small_pictures=True, faults=(Fault(fault, 9),))
    with running(settings) as url, serving(receiver) as mine:
        order: Any = {"prompt": "a cat", "webhook_url": mine, "webhook_mode": "sync"}
        image = drive(SYNC, url, lambda cat: cat.generate(**order, wake=receiver))
    assert image.urls


def talk(url: str, *pieces: bytes) -> bytes:
    """Send pieces to a server as long as it takes them, and return all that it says until it hangs up."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=SOON) as connection:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
        said = b""
        with contextlib.suppress(ConnectionResetError):
            while data := connection.recv(65536):
                said += data
    return said


POST: Final = b"POST /hook HTTP/1.1\r\nHost: me\r\nContent-Type: text/plain\r\n"


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        pytest.param(
            [POST, b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(says()), says()], 200, id="honest"
        ),
        pytest.param([POST, b"Content-Length: 9999999999\r\n\r\n", *[bytes(65536)] * 4], 413, id="huge"),
        pytest.param([POST, b"Content-Length: 100\r\n\r\n", b"{"], 408, id="slow"),
        pytest.param([POST.replace(b"POST", b"GET"), b"Content-Length: 5\r\n\r\n"], 405, id="wrong method"),
        pytest.param([b"what?\r\n\r\n"], 400, id="no HTTP"),
    ],
)
def test_strangers_on_a_socket(pieces: list[bytes], status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends too much, too slowly or something else is answered, and the connection is closed."""
    monkeypatch.setattr(webhooks, "BODY_TIMEOUT", 0.2)
    with tidy(monkeypatch), serving(Receiver()) as url:
        assert talk(url, *pieces).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_is_taken(host: str) -> None:
    """An address that can't be had is an error of ours that names the next step."""
    with serving(Receiver(), host) as url:
        port = urlsplit(url).port or 0
        with pytest.raises(ConfigurationError, match=rf"port {port}: .* Choose another host or port\.$"):
            serving(Receiver(), host, port).__enter__()


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("no.such.host.invalid", 0)])
def test_an_address_that_is_none(host: str, port: int) -> None:
    """So is one that does not exist."""
    with pytest.raises(ConfigurationError, match=r"^No callbacks can be taken at .* Choose another host or port\.$"):
        serving(Receiver(), host, port).__enter__()


def test_without_uvicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is missing, the error names it."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(
        ConfigurationError, match=r"needs the package uvicorn.*pip install 'longcat-image\[webhooks\]'$"
    ):
        serving(Receiver()).__enter__()
