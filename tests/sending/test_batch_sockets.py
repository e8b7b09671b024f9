"""Many waits at once on real sockets: that calls go side by side, and that leaving the loop leaves nothing behind."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any, Final

import anyio
import pytest
from fakes import KEY, PICTURE, Driver, completed
from servers import (
    LIMIT,
    SOON,
    Request,
    Server,
    answer,
    drive,
    eventually,
    http_client,
    read,
    response,
    stall,
    tidy,
    trickle,
)

from longcat import AsyncLongCat, Image, LongCat

IN_FLIGHT: Final = 10


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No proxy stands between, and no thread, file or socket is left."""
    with tidy(monkeypatch):
        yield


def answered(request: Request) -> bytes:
    """Return the completed answer to a question."""
    body = completed(request_id=json.loads(request.body)["request_id"], result_url=PICTURE)
    return response(json.dumps(body).encode(), "Content-Type: application/json", keep=True)


IDS: Final = [f"cat-{number}" for number in range(40)]


def side_by_side() -> Server:
    """Return a server that answers only when as many questions are there as may be in flight."""
    together = threading.Barrier(IN_FLIGHT, timeout=LIMIT)

    def answered_together(request: Request) -> bytes:
        together.wait()
        return answered(request)

    return Server([answer(answered_together)] * len(IDS))


def test_calls_go_side_by_side(driver: Driver) -> None:
    """As many questions as may be are in flight at once, on no more connections."""
    with side_by_side() as server:
        images = drive(driver, server.url, lambda cat: cat.wait_all(IDS), http=None, max_in_flight=IN_FLIGHT)
    assert [image.request_id for image in images if isinstance(image, Image)] == IDS
    assert len(server.connections) <= IN_FLIGHT


FIRST_ONLY: Final = {
    "silence": [stall],
    "a head without an end": [read, trickle(b"HTTP/1.1 200 OK\r\n", b"X-Cat: cat\r\n")],
    "a body without an end": [read, trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{", b" ")],
}


@pytest.mark.parametrize("script", list(FIRST_ONLY.values()), ids=list(FIRST_ONLY))
def test_leaving_early_ends_the_threads(sync_driver: Driver, script: Any) -> None:
    """Calls under way are given up, whatever they hang in, and their connections closed."""
    scripts = [[answer(answered)], *[script] * 30]
    with (
        Server(*scripts) as server,
        http_client(sync_driver) as http,
        LongCat(KEY, server.url, http_client=http, max_in_flight=5) as cat,
    ):
        for _ in cat.as_completed(IDS):
            began = time.monotonic()
            break
        assert time.monotonic() - began < SOON
        assert [thread for thread in threading.enumerate() if thread.name == "longcat"] == []
        assert eventually(server.deserted)


@pytest.mark.parametrize("script", list(FIRST_ONLY.values()), ids=list(FIRST_ONLY))
def test_leaving_early_ends_the_tasks(event_loop_driver: Driver, script: Any) -> None:
    """The same with an event loop."""

    async def main(server: Server) -> float:
        async with (
            http_client(event_loop_driver) as http,
            AsyncLongCat(KEY, server.url, http_client=http, max_in_flight=5) as cat,
        ):
            async with aclosing(cat.as_completed(IDS)) as outcomes:
                await anext(outcomes)
                began = time.monotonic()
            elapsed = time.monotonic() - began
            assert await anyio.to_thread.run_sync(eventually, server.deserted)
            return elapsed

    with Server([answer(answered)], *[script] * 30) as server:
        assert anyio.run(main, server, backend=event_loop_driver.name) < SOON


def test_a_deadline_ends_the_threads(sync_driver: Driver) -> None:
    """Calls that hang when the batch's time is up are given up, and everyone has an outcome."""
    with (
        Server(*[[stall]] * 40) as server,
        http_client(sync_driver) as http,
        LongCat(KEY, server.url, http_client=http, max_in_flight=5) as cat,
    ):
        began = time.monotonic()
        results = cat.wait_all(IDS[:8], batch_timeout=0.2)
        assert (len(results), time.monotonic() - began < SOON) == (8, True)
    assert [thread for thread in threading.enumerate() if thread.name == "longcat"] == []
