"""How many questions a second come through, of how many that are in flight or waited for at once."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from bench.calls import HEADERS, KEY, PATH, REQUEST_ID, library
from bench.experiment import Effort, Series, turns
from bench.server import Counts
from longcat import AsyncLongCat, FixedPolling

MANY: Final = 500
SECONDS: Final = 2.0
"""How long a turn lasts at least. Each has a client of its own, as some grow slower with time."""

OFTEN: Final = FixedPolling(0.1)
"""So many questions are due that nothing but the client bounds how many are asked."""

Run = Callable[[float], Awaitable[None]]
"""Asks for so many seconds, as fast as it can."""
Subject = Callable[[str], AbstractAsyncContextManager[Run]]
"""Makes a run ready, given the server's URL."""


@asynccontextmanager
async def in_flight(ask: Callable[[], Awaitable[object]], number: int = MANY) -> AsyncIterator[Run]:
    """Yield what keeps so many questions in flight, and asks each twice at least: the first ones have to connect."""

    async def one_after_the_other(until: float) -> None:
        await ask()
        await ask()
        while time.monotonic() < until:
            await ask()

    async def run(seconds: float) -> None:
        until = time.monotonic() + seconds
        await asyncio.gather(*(one_after_the_other(until) for _ in range(number)))

    await ask()
    yield run


def client_of(module: Any, **options: Any) -> Any:
    """Return an `AsyncClient` of httpx or of its successor, whose pool has no bounds and which waits long enough."""
    limits = module.Limits(max_connections=None, max_keepalive_connections=None)
    return module.AsyncClient(timeout=60, limits=limits, **options)


def posting(client: Any, url: str) -> Callable[[], Awaitable[object]]:
    """Return what asks one question with such a client."""

    async def ask() -> object:
        return (await client.post(url + PATH, headers=HEADERS, json={"request_id": REQUEST_ID})).json()

    return ask


def raw(module: str, number: int) -> Subject:
    """Return httpx, or its successor, with so many questions in flight."""

    @asynccontextmanager
    async def subject(url: str) -> AsyncIterator[Run]:
        async with client_of(library(module)) as client, in_flight(posting(client, url), number) as run:
            yield run

    return subject


@asynccontextmanager
async def raw_aiohttp(url: str) -> AsyncIterator[Run]:
    """Ask with aiohttp."""
    aiohttp = library("aiohttp")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=MANY)) as session:

        async def ask() -> object:
            async with session.post(url + PATH, headers=HEADERS, json={"request_id": REQUEST_ID}) as response:
                return await response.json()

        async with in_flight(ask) as run:
            yield run


@asynccontextmanager
async def raw_pyreqwest(url: str) -> AsyncIterator[Run]:
    """Ask with pyreqwest, whose work is done in Rust."""
    async with library("pyreqwest.client").ClientBuilder().build() as client:
        body = {"request_id": REQUEST_ID}

        async def ask() -> object:
            response = await client.post(url + PATH).headers(HEADERS).body_json(body).build().send()
            return await response.json()

        async with in_flight(ask) as run:
            yield run


@asynccontextmanager
async def waiting(url: str, http_client: Any = None) -> AsyncIterator[Run]:
    """Yield what waits for many requests at once that are never done, and asks about each as often as it can."""
    async with AsyncLongCat(KEY, url, polling=OFTEN, http_client=http_client) as cat:

        async def run(seconds: float) -> None:
            async for _ in cat.as_completed([f"bench-{i:05}" for i in range(MANY)], seconds):
                pass

        await cat.status(REQUEST_ID)
        yield run


@asynccontextmanager
async def longcat_on_httpx2(url: str) -> AsyncIterator[Run]:
    """Wait with `AsyncLongCat`, and an HTTP client of the caller's, of httpx's successor."""
    async with library("httpx2").AsyncClient() as client, waiting(url, client) as run:
        yield run


@asynccontextmanager
async def longcat_on_httpx_aiohttp(url: str) -> AsyncIterator[Run]:
    """Wait with `AsyncLongCat`, and with aiohttp's connections, which the extra `fast` brings."""
    async with library("httpx_aiohttp").HttpxAiohttpClient() as client, waiting(url, client) as run:
        yield run


@asynccontextmanager
async def longcat_on_pyreqwest(url: str) -> AsyncIterator[Run]:
    """Wait with `AsyncLongCat`, and with pyreqwest's connections."""
    transport = library("pyreqwest.compatibility.httpx").HttpxTransport()
    async with library("httpx").AsyncClient(transport=transport) as client, waiting(url, client) as run:
        yield run


PLAIN: Final[dict[str, Subject]] = {f"httpx, {MANY} in flight": raw("httpx", MANY), "longcat": waiting}
PEERS: Final[dict[str, Subject]] = {
    f"httpx, {MANY} in flight": raw("httpx", MANY),
    "httpx, 20 in flight": raw("httpx", 20),
    "httpx2, 500 in flight": raw("httpx2", MANY),
    "httpx2, 20 in flight": raw("httpx2", 20),
    "httpx2, 5 in flight": raw("httpx2", 5),
    f"aiohttp, {MANY} in flight": raw_aiohttp,
    f"pyreqwest, {MANY} in flight": raw_pyreqwest,
    "longcat": waiting,
    "longcat on httpx2": longcat_on_httpx2,
    "longcat on httpx-aiohttp (extra fast)": longcat_on_httpx_aiohttp,
    "longcat on pyreqwest": longcat_on_pyreqwest,
}


def rates(subjects: dict[str, Subject], url: str, effort: Effort) -> Series:
    """Return the questions a second of each, what one takes of CPU time (µs), and the server's share of a CPU (%)."""
    return asyncio.run(_rates(subjects, url, effort))


async def _rates(subjects: dict[str, Subject], url: str, effort: Effort) -> Series:
    series: Series = {}
    for name in turns(subjects, effort.rounds):
        async with subjects[name](url) as run:
            for quantity, figure in (await _turn(run, url, effort)).items():
                series.setdefault(name + quantity, []).append(figure)
    return series


async def _turn(run: Run, url: str, effort: Effort) -> dict[str, float]:
    before, began, cpu = Counts.of(url), time.perf_counter(), time.process_time()
    await run(effort.share * SECONDS)
    cpu, wall, after = time.process_time() - cpu, time.perf_counter() - began, Counts.of(url)
    answers = max(after.answers - before.answers, 1)
    return {"": answers / wall, ", CPU": 1e6 * cpu / answers, ", server": 100 * (after.cpu - before.cpu) / wall}
