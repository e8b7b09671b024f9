"""What comes of an answer that is in a content coding, over real sockets."""

import gzip
import json
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import httpx
import pytest
from fakes import KEY, Driver, completed
from servers import SHARED, Script, Server, bomb, drive, head, peak, read, response, stall, tidy

from longcat import (
    APIResponseValidationError,
    APIStatusError,
    AsyncLongCat,
    AuthenticationError,
    DownloadError,
    Image,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    State,
    SubmitUnknown,
)
from longcat.gateway.messages import Call
from longcat.sending.answer_reader import AnswerReader
from longcat.testing import VirtualClock

TYPE = "Content-Type: application/json"
DONE = json.dumps(completed()).encode()


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No proxy stands between, and nothing is left open."""
    with tidy(monkeypatch):
        yield


def status(cat: Any) -> Any:
    """Ask how the request stands."""
    return cat.status("r")


CODED = {
    "members": ("gzip", gzip.compress(DONE[:30]) + gzip.compress(b"") + gzip.compress(DONE[30:])),
    "in capitals, in a list": ("identity, X-GZIP,", gzip.compress(DONE)),
    "deflate": ("deflate", zlib.compress(DONE)),
    "deflate without a header": ("deflate", zlib.compress(DONE)[2:-4]),
    "twice": ("deflate, gzip", gzip.compress(zlib.compress(DONE))),
    "a character set": ("UTF-8", DONE),
}


@pytest.mark.in_turn
@pytest.mark.parametrize(("coding", "body"), list(CODED.values()), ids=list(CODED))
@pytest.mark.parametrize("framed", [True, False], ids=["length", "close"])
def test_a_coded_answer_is_read(driver: Driver, coding: str, body: bytes, framed: bool) -> None:
    """In every coding that is known, with and without a length."""
    lines = [TYPE, f"Content-Encoding: {coding}", *([f"Content-Length: {len(body)}"] if framed else [])]
    with Server([read, head(*lines), body]) as server:
        assert drive(driver, server.url, status).state is State.COMPLETED


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, br", "klingon"])
def test_a_coding_that_can_not_be_read_is_an_answer(driver: Driver, coding: str) -> None:
    """It is named, it is not asked for again, and its body is not waited for."""
    with Server([read, head(TYPE, f"Content-Encoding: {coding}"), DONE[:20], stall]) as server:
        with pytest.raises(APIResponseValidationError) as caught:
            drive(driver, server.url, lambda cat: cat.wait("r", timeout=60))
        assert server.deserted()
    assert caught.value.coding == coding
    assert f'"{coding}"' in str(caught.value)
    assert not caught.value.transient
    assert len(server.requests) == 1


@pytest.mark.parametrize("coding", ["br", "gzip"], ids=["unknown", "damaged"])
@pytest.mark.parametrize(
    ("code", "error", "transient"),
    [
        (401, AuthenticationError, False),
        (404, NotFoundError, False),
        (502, InternalServerError, True),
    ],
)
def test_a_code_says_enough(
    sync_driver: Driver, coding: str, code: int, error: type[APIStatusError], transient: bool
) -> None:
    """An error whose body can't be decoded is what its status code says."""
    with (
        Server([read, response(b"{}", f"Content-Encoding: {coding}", status=f"{code} No")]) as server,
        pytest.raises(error) as caught,
    ):
        drive(sync_driver, server.url, status)
    assert caught.value.transient is transient
    assert (f'"{coding}"' in str(caught.value)) is (coding == "br")


def test_a_403_that_can_not_be_read_is_no_page_of_a_cdn(sync_driver: Driver) -> None:
    """It may be the gateway's own, so it is raised at once."""
    with (
        Server([read, response(b"?", "Content-Encoding: br", status="403 Forbidden")]) as server,
        pytest.raises(PermissionDeniedError) as caught,
    ):
        drive(sync_driver, server.url, lambda cat: cat.wait("r", timeout=60))
    assert not caught.value.transient


def test_a_coding_that_quotes_the_key_does_not_show_it(sync_driver: Driver) -> None:
    """No header gets the key into an error."""
    with (
        Server([read, response(b"?", f"Content-Encoding: x{KEY}")]) as server,
        pytest.raises(APIResponseValidationError) as caught,
    ):
        drive(sync_driver, server.url, status)
    assert KEY.lower() not in f"{caught.value} {caught.value!r} {caught.value.coding}".lower()


def test_an_order_whose_acceptance_can_not_be_read_is_in_doubt(sync_driver: Driver) -> None:
    """It may have been taken, so it is not sent again."""
    with (
        Server([read, response(b"?", "Content-Encoding: br", status="202 Accepted")]) as server,
        pytest.raises(SubmitUnknown, match="br"),
    ):
        drive(sync_driver, server.url, lambda cat: cat.submit("a cat", image_size="square_1_1"))
    assert len(server.requests) == 1


def test_twenty_bombs_at_once_take_little_memory(tmp_path: Any) -> None:
    """Each unpacks to 100 MB, as an answer and as a picture; none is unpacked further than is read of it."""
    packed = bomb(100_000_000)
    script: Script = [read, response(packed, "Content-Encoding: gzip")]
    ends: list[str] = []

    async def ask(cat: AsyncLongCat, server: Server, number: int) -> None:
        try:
            if number % 2:
                await cat.status(f"r-{number}")
            else:
                await cat.download(Image("r", server.url, (server.url,)), tmp_path / f"{number}.png", max_bytes=10**6)
        except (APIResponseValidationError, DownloadError) as error:
            ends.append(type(error).__name__)

    async def main(server: Server) -> None:
        async with (
            httpx.AsyncClient(**SHARED) as http,
            AsyncLongCat(KEY, server.url, http_client=http) as cat,
            anyio.create_task_group() as group,
        ):
            for number in range(20):
                group.start_soon(ask, cat, server, number)

    with Server(script) as server, peak(60_000_000):
        anyio.run(main, server, backend="asyncio")
    assert sorted(ends) == ["APIResponseValidationError"] * 10 + ["DownloadError"] * 10


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_other_tasks_go_on_while_an_answer_unpacks_to_much(backend: str) -> None:
    """However few bytes it came in, another task has its turn after every 64 KiB."""
    turns, meanwhile = [0], list[int]()

    async def packed() -> AsyncIterator[bytes]:
        before = turns[0]
        yield gzip.compress(json.dumps(completed()).encode() + b" " * 900_000)
        meanwhile.append(turns[0] - before)

    async def main() -> None:
        transport = httpx.MockTransport(
            lambda _: httpx.Response(200, headers={"content-encoding": "gzip"}, content=packed())
        )
        async with (
            httpx.AsyncClient(transport=transport) as http,
            AsyncLongCat(KEY, "https://gateway.test", http_client=http) as cat,
            anyio.create_task_group() as group,
        ):
            group.start_soon(count)
            await cat.status("r")
            group.cancel_scope.cancel()

    async def count() -> None:
        while True:
            turns[0] += 1
            await anyio.lowlevel.checkpoint()

    anyio.run(main, backend=backend)
    assert meanwhile[0] >= 900_000 // 65_536 - 1


class Steps(VirtualClock):
    """A clock on which every look at it takes a second."""

    def monotonic(self) -> float:
        """Return the time."""
        self.sleep(1.0)
        return super().monotonic()


def test_a_bomb_does_not_outlast_the_call() -> None:
    """The time is looked at after every 64 KiB, however few bytes they came from."""
    clock, call = Steps(), Call("GET", "http://gateway.invalid/", timeout=5.0)
    reader = AnswerReader(call, clock)
    packed = httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b""))
    assert reader.begin(packed)
    assert sum(1 for _ in reader.feed(bomb(100_000_000)[:60_000])) == 5
    with pytest.raises(TimeoutError):
        reader.answer()
