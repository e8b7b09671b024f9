"""Many waits at once on real sockets: that calls go side by side, and that leaving the loop leaves nothing behind."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any, Final

import anyio
import pytest
from fakes import KEY, PICTURE, completed
from servers import LIMIT, SOON, Request, Server, answer, eventually, read, response, stall, tidy, trickle

from longcat import AsyncLongCat, Image, LongCat

IN_FLIGHT: Final = 10
each_backend = pytest.mark.parametrize("backend", ["asyncio", "trio"])


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


def test_threads_ask_side_by_side() -> None:
    """As many questions as may be are in flight at once, on no more connections."""
    with side_by_side() as server, LongCat(KEY, server.url, max_in_flight=IN_FLIGHT) as cat:
        images = cat.wait_all(IDS)
    assert [image.request_id for image in images if isinstance(image, Image)] == IDS
    assert len(server.connections) <= IN_FLIGHT


@each_backend
def test_tasks_ask_side_by_side(backend: str) -> None:
    """The same with an event loop."""

    async def main(url: str) -> list[Any]:
        async with AsyncLongCat(KEY, url, max_in_flight=IN_FLIGHT) as cat:
            return await cat.wait_all(IDS)

    with side_by_side() as server:
        images = anyio.run(main, server.url, backend=backend)
    assert [image.request_id for image in images if isinstance(image, Image)] == IDS
    assert len(server.connections) <= IN_FLIGHT


FIRST_ONLY: Final = {
    "silence": [stall],
    "a head without an end": [read, trickle(b"HTTP/1.1 200 OK\r\n", b"X-Cat: cat\r\n")],
    "a body without an end": [read, trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{", b" ")],
}


@pytest.mark.parametrize("script", list(FIRST_ONLY.values()), ids=list(FIRST_ONLY))
def test_leaving_early_ends_the_threads(script: Any) -> None:
    """Calls under way are given up, whatever they hang in, and their connections closed."""
    scripts = [[answer(answered)], *[script] * 30]
    with Server(*scripts) as server, LongCat(KEY, server.url, max_in_flight=5) as cat:
        for _ in cat.as_completed(IDS):
            began = time.monotonic()
            break
        assert time.monotonic() - began < SOON
        assert [thread for thread in threading.enumerate() if thread.name == "longcat"] == []
        assert eventually(server.deserted)


@each_backend
@pytest.mark.parametrize("script", list(FIRST_ONLY.values()), ids=list(FIRST_ONLY))
def test_leaving_early_ends_the_tasks(backend: str, script: Any) -> None:
    """The same with an event loop."""

    async def main(server: Server) -> float:
        async with AsyncLongCat(KEY, server.url, max_in_flight=5) as cat:
            async with aclosing(cat.as_completed(IDS)) as outcomes:
                await anext(outcomes)
                began = time.monotonic()
            elapsed = time.monotonic() - began
            assert await anyio.to_thread.run_sync(eventually, server.deserted)
            return elapsed

    with Server([answer(answered)], *[script] * 30) as server:
        assert anyio.run(main, server, backend=backend) < SOON


def test_a_deadline_ends_the_threads() -> None:
    """Calls that hang when the batch's time is up are given up, and everyone has an outcome."""
    with Server(*[[stall]] * 40) as server, LongCat(KEY, server.url, max_in_flight=5) as cat:
        began = time.monotonic()
        results = cat.wait_all(IDS[:8], batch_timeout=1.0)
        assert (len(results), time.monotonic() - began < SOON) == (8, True)
    assert [thread for thread in threading.enumerate() if thread.name == "longcat"] == []
