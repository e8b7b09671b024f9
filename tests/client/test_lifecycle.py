"""Clients that are closed, left, cancelled, or shared by event loops, while they work."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread
import httpx
import pytest
import trio
from fakes import KEY, Driver, completed
from journals import Place
from libraries import LIBRARIES, WAYS
from servers import (
    SHARED,
    SOON,
    Connection,
    Script,
    Server,
    crowded,
    each_backend,
    eventually,
    head,
    http_client,
    read,
    response,
    stall,
    tidy,
    trickle,
)

from longcat import (
    APIConnectionError,
    AsyncLongCat,
    BadRequestError,
    ConfigurationError,
    Image,
    LongCat,
    LongCatError,
    SubmitUnknown,
)
from longcat.gateway.order_fields import usable_order
from longcat.gateway.queue import QueueGateway
from longcat.saving.journal.journal import Journal
from longcat.sending.http import pools
from longcat.sending.sender import HttpSender
from longcat.waiting.order_store import OrderState

TYPE: Final = "Content-Type: application/json"
with_our_own_http_client = pytest.mark.parametrize("driver", [Driver(way) for way in WAYS], ids=str)
"""For what a caller's HTTP client is left alone with."""
CLOSED: Final = "this client was closed meanwhile"


@pytest.fixture(autouse=True)
def surroundings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No proxy stands between, and no thread, file or socket is left, but those of the database's server."""
    if "place" in request.fixturenames:
        request.getfixturevalue("place")
    with tidy(monkeypatch):
        yield


def serve(connection: Connection) -> None:
    """Answer every question of a connection: what is asked about is done."""
    while True:
        answer(connection)


def answer(connection: Connection) -> None:
    """Answer one."""
    body = completed(request_id=json.loads(connection.read().body)["request_id"])
    connection.send(response(json.dumps(body).encode(), TYPE, keep=True))


def order_number(number: int) -> bytes:
    """Return the answer to an order that is taken."""
    request_id = f"longcat-image-498_019a1b2c-0000-7000-8000-{number:012}"
    return response(
        json.dumps({"request_id": request_id, "status": "QUEUED", "polling_url": "https://gateway.test/p"}).encode(),
        TYPE,
        status="202 Accepted",
    )


# --- Closed. ---


HANGING: Final[dict[str, Script]] = {
    "silence": [read, stall],
    "a head": [read, head(TYPE, "Content-Length: 100"), stall],
    "a body": [read, head(TYPE, "Content-Length: 9999"), trickle(b"{", b" ")],
}
CALLS: Final[dict[str, Callable[[Any], Any]]] = {
    "status": lambda cat: cat.status("r"),
    "wait": lambda cat: cat.wait("r", None),
    "submit": lambda cat: cat.submit("a cat", timeout=None),
    "wait_all": lambda cat: cat.wait_all(["r", "s"], None),
    "download": lambda cat: cat.download(cat.url, cat.folder / "cat.png", timeout=None),
}


@with_our_own_http_client
@pytest.mark.parametrize(
    ("call", "script"),
    [*((call, "silence") for call in CALLS), ("wait", "a head"), ("wait", "a body"), ("download", "a body")],
)
def test_a_client_that_is_closed_ends_what_is_in_flight(driver: Driver, call: str, script: str, tmp_path: Path) -> None:
    """At once, whichever call it is and whatever it waits for; the error says that the client was closed."""
    under_way, began = threading.Event(), 0.0
    with Server([lambda _: under_way.set(), *HANGING[script]]) as server:

        def close_when_under_way(close: Callable[[], object]) -> None:
            nonlocal began
            assert under_way.wait(SOON)
            time.sleep(0.02)  # The answer begins to arrive.
            began = time.monotonic()
            close()

        result = _closing(driver, server.url, CALLS[call], close_when_under_way, tmp_path)
        assert time.monotonic() - began < SOON
        assert eventually(server.deserted)
    errors = result if isinstance(result, list) else [result]
    assert [CLOSED in str(error) for error in errors] == [True] * len(errors), errors
    assert {type(error).__name__ for error in errors} <= {"APIConnectionError", "SubmitUnknown", "DownloadError"}
    assert isinstance(errors[0], SubmitUnknown) == (call == "submit")
    assert list(tmp_path.iterdir()) == []


def _closing(
    driver: Driver,
    url: str,
    call: Callable[[Any], Any],
    meanwhile: Callable[[Callable[[], object]], None],
    folder: Path,
) -> Any:
    """Make a call with a client that is closed by another thread or task, and return what it returns or raises."""

    async def main() -> Any:
        cat: Any = AsyncLongCat(KEY, url)
        cat.url, cat.folder, results = f"{url}/cat.png", folder, []

        async def ask() -> None:
            try:
                results.append(await call(cat))
            except LongCatError as error:
                results.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.to_thread.run_sync(meanwhile, lambda: None)
            await cat.close()
        return results[0]

    if driver.name != "sync":
        return anyio.run(main, backend=driver.name)
    cat: Any = LongCat(KEY, url)
    cat.url, cat.folder = f"{url}/cat.png", folder
    thread = threading.Thread(target=meanwhile, args=[cat.close])
    thread.start()
    try:
        return call(cat)
    except LongCatError as error:
        return error
    finally:
        thread.join()


@each_backend
def test_a_client_that_is_closed_in_one_event_loop_ends_what_is_in_flight_in_another(backend: str) -> None:
    """Its connections are closed there, by the loop that made them."""
    under_way = threading.Event()
    with Server([lambda _: under_way.set(), read, stall]) as server:
        cat, errors = AsyncLongCat(KEY, server.url), []

        async def ask() -> None:
            with pytest.raises(APIConnectionError) as caught:
                await cat.wait("r", None)
            errors.append(str(caught.value))
            await anyio.to_thread.run_sync(eventually, server.deserted)

        thread = threading.Thread(target=lambda: anyio.run(ask, backend=backend))
        thread.start()
        assert under_way.wait(SOON)
        anyio.run(cat.close, backend=backend)
        thread.join()
    assert [CLOSED in error for error in errors] == [True]


# --- Shared by event loops. ---


@each_backend
def test_event_loops_that_run_at_once_share_a_client(backend: str) -> None:
    """Each has its own connections, and none sees anything of the others."""
    with Server([serve]) as server:
        cat, together = AsyncLongCat(KEY, server.url, max_in_flight=3), threading.Barrier(3)
        results: list[Any] = []

        async def ask() -> None:
            together.wait(SOON)
            results.extend(await cat.wait_all([f"{threading.get_ident()}-{number}" for number in range(20)], 30))
            together.wait(SOON)
            if not together.wait(SOON):
                await cat.close()
            await anyio.to_thread.run_sync(together.wait, SOON)
            await anyio.to_thread.run_sync(eventually, server.deserted)  # Each loop closes its own connections.

        threads = [threading.Thread(target=lambda: anyio.run(ask, backend=backend)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [type(result) for result in results] == [Image] * 60


def test_a_callers_http_client_serves_one_event_loop_at_a_time(event_loop_driver: Driver) -> None:
    """In a second one, the error says whose the connections are; the first one goes on."""

    async def main(url: str) -> str:
        async with http_client(event_loop_driver, SHARED) as http, AsyncLongCat(KEY, url, http_client=http) as cat:

            async def ask() -> str:
                try:
                    return (await cat.wait("r", 30)).request_id
                except ConfigurationError as error:
                    return str(error)

            def elsewhere() -> str:
                return anyio.run(ask, backend=event_loop_driver.name)

            answers = [await ask(), await anyio.to_thread.run_sync(elsewhere), await ask()]
            assert [answer == "r" for answer in answers] == [True, False, True]
            return answers[1]

    with Server([serve]) as server:
        assert anyio.run(main, server.url, backend=event_loop_driver.name).startswith(
            "The http_client is in use in another event loop"
        )


# --- Cancelled. ---


MOST: Final = 4
"""Connections at a time, so that a place which is lost is missed soon."""


@pytest.mark.parametrize("library", list(LIBRARIES))
@pytest.mark.parametrize("way", ["asyncio, its own cancel", "asyncio", "trio"])
def test_waits_that_are_cancelled_at_any_moment_leave_the_pool_empty(way: str, library: str) -> None:
    """However a task is cancelled, the places of the pool, the caller's or our own, are free again."""
    driver, natively = Driver(way.partition(",")[0], library), "own" in way
    limits = driver.http.Limits(max_connections=MOST)

    async def cancel(cat: AsyncLongCat, seconds: float) -> None:
        if natively:
            task = asyncio.ensure_future(cat.wait("r", None))
            await asyncio.sleep(seconds)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        else:
            with anyio.move_on_after(seconds):
                await cat.wait("r", None)

    async def cancel_all(cat: AsyncLongCat) -> None:
        for turn in range(25):
            async with anyio.create_task_group() as tasks:
                for number in range(2 * MOST):
                    tasks.start_soon(cancel, cat, 0.0004 * (turn + number / 10))

    async def main(url: str) -> None:
        options = {"limits": limits, **SHARED}
        async with http_client(driver, options) as http, AsyncLongCat(KEY, url, http_client=http) as cat:
            await cancel_all(cat)
            (pool,) = pools.pools(http)
            assert pool._requests == []
            assert all(connection.is_idle() for connection in pool.connections)
            assert isinstance(await cat.wait("r", 30), Image)
        async with AsyncLongCat(KEY, url, max_in_flight=MOST) as cat:
            await cancel_all(cat)
            assert cat._sender._here().in_flight.value == MOST
            assert isinstance(await cat.wait("r", 30), Image)

    with Server([serve]) as server:
        anyio.run(main, server.url, backend=driver.name)
        assert eventually(server.deserted)


def test_httpcore_still_loses_places() -> None:
    """When it does no more, `longcat.sending.http.pools` can do with less."""

    async def main(url: str) -> int:
        async with httpx.AsyncClient(**SHARED) as http:
            for step in range(40):
                task = asyncio.ensure_future(http.post(url, json={"request_id": "r"}))
                for _ in range(step):
                    await asyncio.sleep(0)
                task.cancel()
                for _ in range(2):
                    await asyncio.sleep(0)
                    task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            (pool,) = pools.pools(http)
            return len(pool._requests) + sum(not connection.is_idle() for connection in pool.connections)

    with Server([serve]) as server:
        assert asyncio.run(main(server.url))


@each_backend
@pytest.mark.parametrize("sent", [False, True], ids=["while it connects", "once it is sent"])
def test_an_order_that_is_cancelled_is_in_doubt_only_if_it_was_sent(backend: str, sent: bool, place: Place) -> None:
    """The journal forgets an order of which no byte can have gone out, and so does the note on the exception."""
    under_way = threading.Event()

    async def main(url: str) -> None:
        async with AsyncLongCat(KEY, url, journal=place) as cat:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(lambda: cat.submit("a cat", id="the cat"))
                    if sent:
                        await anyio.to_thread.run_sync(under_way.wait, SOON)
                    else:
                        await anyio.sleep(0.2)
                    scope.cancel()

    with Server([read, lambda _: under_way.set(), stall]) as server, crowded() as nowhere:
        url = server.url if sent else nowhere
        anyio.run(main, url, backend=backend)
    with Journal(place, time=lambda: 0.0) as journal:
        known = journal.orders(url).known("the cat")
    assert (known and known.state) == (OrderState.UNKNOWN if sent else None)


# --- Left. ---


@pytest.mark.parametrize("answered", [True, False], ids=["answered", "never answered"])
def test_orders_that_are_under_way_when_a_loop_is_left(
    answered: bool, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They get the time to be answered, and no more are sent; those that are not answered are in doubt."""
    monkeypatch.setattr("longcat.sending.threads.pool.ORDER_GRACE", SOON if answered else 0.1)
    together, left, prompts = threading.Barrier(4, timeout=SOON), threading.Event(), set[str]()

    def take(connection: Connection) -> None:
        prompt = json.loads(connection.read().body)["prompt"]
        number = together.wait()
        if number == 0:
            connection.send(response(b"{}", TYPE, status="400 Bad Request"))
            return
        prompts.add(prompt)
        if answered:
            left.wait(SOON)
            connection.send(order_number(number))
        else:
            stall(connection)

    with Server([take]) as server, LongCat(KEY, server.url, max_in_flight=8, journal=place) as cat:
        for outcome in cat.generate_all(map(str, range(1000))):
            assert isinstance(outcome.error, BadRequestError)
            threading.Timer(0.1, left.set).start()
            break
    with Journal(place, time=lambda: 0.0) as journal:
        orders = journal.orders(server.url)
        assert {record.order.prompt for record in orders.in_doubt()} == (set() if answered else prompts)
        assert orders.spent() == 3 * QueueGateway(server.url, KEY).cost(usable_order("a cat"))
    assert len(server.requests) == 4


def test_a_batch_goes_on_with_the_threads_that_it_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system lets us have one thread, calls go one after the other; where none, the error says so."""
    allowed, start = iter([True]), threading.Thread.start

    def limited(self: threading.Thread) -> None:
        if self.name == "longcat" and not next(allowed, False):
            raise RuntimeError("can't start new thread")
        start(self)

    with Server([serve]) as server, LongCat(KEY, server.url) as cat:
        monkeypatch.setattr(threading.Thread, "start", limited)
        assert [type(image) for image in cat.wait_all(["a", "b", "c"], 30)] == [Image] * 3
        with pytest.raises(ConfigurationError, match="No thread can be started"):
            cat.wait_all(["d"], 30)


def test_trio_may_be_a_guest_of_asyncio() -> None:
    """A client that is used in a task of trio uses trio, whichever event loop is below it."""

    async def ask() -> str:
        async with AsyncLongCat(KEY, server.url) as cat:
            return (await cat.status("r")).request_id

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        trio.lowlevel.start_guest_run(
            ask, run_sync_soon_threadsafe=loop.call_soon_threadsafe, done_callback=done.set_result
        )
        return (await done).unwrap()

    with Server([serve]) as server:
        assert asyncio.run(main()) == "r"


def test_a_connection_that_ended_while_the_event_loop_was_busy_is_not_used_again() -> None:
    """Nobody has told the loop of it yet, but the socket knows, so nothing is sent into the void."""
    busy, closed = threading.Event(), threading.Event()

    def answer_and_close(connection: Connection) -> None:
        answer(connection)
        busy.wait(SOON)
        connection.socket.close()
        closed.set()

    async def main() -> None:
        async with AsyncLongCat(KEY, server.url) as cat:
            await cat.status("first")
            busy.set()
            assert closed.wait(SOON)
            assert (await cat.status("second")).request_id == "second"

    with Server([answer_and_close], [serve]) as server:
        asyncio.run(main())
    assert len(server.connections) == 2


@pytest.mark.parametrize("kind", [LongCat, AsyncLongCat])
def test_a_call_that_is_held_back_at_the_last_moment_leaves_no_connection_open(
    kind: type[LongCat | AsyncLongCat], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that the journal keeps from being sent, though a connection is free for it, leaves that one to others."""

    def refuse(_: object) -> None:
        raise ConfigurationError("It is not ours any more.")

    async def main() -> None:
        cat: Any = kind(KEY, server.url)

        async def ask(request_id: str) -> None:
            status = cat.status(request_id)
            assert (status if kind is LongCat else await status).request_id == request_id

        await ask("first")
        with monkeypatch.context() as patch:
            patch.setattr(HttpSender, "check", staticmethod(refuse))
            with pytest.raises(ConfigurationError, match="not ours"):
                await ask("second")
        await ask("third")
        cat.close() if kind is LongCat else await cat.close()
        assert eventually(server.deserted)

    with Server([serve]) as server:
        asyncio.run(main())
    assert len(server.connections) == 1
