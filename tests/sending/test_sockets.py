"""What `status`, `wait` and `watch` do on real connections: those that fail, those that drag on, and those that end."""

import asyncio
import gc
import json
import logging
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio
from fakes import KEY, Driver, completed, processing
from fault_server import serving
from faults import FAULTS
from servers import (
    LIMIT,
    SHARED,
    SOON,
    Connection,
    Request,
    Script,
    Server,
    answer,
    bomb,
    call,
    chunks,
    drive,
    each_backend,
    endless,
    eventually,
    head,
    peak,
    read,
    reset,
    response,
    stall,
    tidy,
    trickle,
)

from longcat import (
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AsyncLongCat,
    AuthenticationError,
    FixedPolling,
    Image,
    InternalServerError,
    LongCat,
    LongCatError,
    State,
    WaitTimeout,
)
from longcat.clock import RESOLUTION
from longcat.gateway.messages import (
    MAX_ANSWER,
)
from longcat.testing import VirtualClock

TYPE = "Content-Type: application/json"
ID = "cat-1"
PICTURE = "http://storage.invalid/cat.png"
SHORT = 0.1
"""Seconds of a deadline that is waited for."""
PARCEL = bomb(500_000_000)


def done(request_id: str = ID) -> bytes:
    """Return the body of a completed answer."""
    return json.dumps(completed(request_id=request_id, result_url=PICTURE)).encode()


DONE = response(done(), TYPE)
UNDER_WAY = json.dumps(processing(0.5, request_id=ID)).encode()
WELL: Script = [read, response(UNDER_WAY, TYPE, keep=True)]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No proxy stands between, and no thread, file or socket is left."""
    with tidy(monkeypatch):
        yield


def wait(timeout: float = LIMIT) -> Callable[[Any], Any]:
    """Return the wait for the request."""
    return lambda cat: cat.wait(ID, timeout=timeout)


def status(cat: Any) -> Any:
    """Ask how the request stands."""
    return cat.status(ID)


# --- Faults that come at once. ---

# What each of many faults is, and that a deadline bounds each, `test_faults` tells.


@pytest.mark.parametrize("name", ["refused", "reset in the body", "no TLS but HTTP"])
def test_a_wait_outlasts_faults(driver: Driver, name: str, tmp_path: Path) -> None:
    """`wait` asks again after a fault, until its deadline; the last fault is on the WaitTimeout.

    Which errors are faults is for `status` to say; so one fault of each stage of a call is enough.
    """
    clock = VirtualClock()
    with serving(FAULTS[name], tmp_path) as url, pytest.raises(WaitTimeout) as caught:
        drive(driver, url, wait(timeout=5), clock=clock)
    assert len(clock.sleeps) >= 3
    assert sum(clock.sleeps) == pytest.approx(5, abs=RESOLUTION)  # What is shorter is not slept
    assert caught.value.request_id == ID
    assert caught.value.last_status is None
    assert isinstance(caught.value.last_error, APIConnectionError)


def test_a_wait_recovers(driver: Driver) -> None:
    """After faults of several kinds, the wait goes on with the next answer and ends with the image."""
    faults: list[Script] = [[reset], [read], [read, b"HTTP/1.1 200 OK\r\n"], [read, response(b"", status="502 No")]]
    with Server(*faults, [read, response(UNDER_WAY, TYPE)], [read, DONE]) as server:
        image = drive(driver, server.url, wait(timeout=100), clock=VirtualClock())
    assert image == Image(ID, PICTURE, (PICTURE,))
    assert len(server.connections) == 6


def test_a_watch_recovers(driver: Driver) -> None:
    """A fault between two answers is no change, and is not seen by a watch."""
    with Server(WELL, [reset], WELL, [read], [read, DONE]) as server:
        seen = drive(driver, server.url, lambda cat: cat.watch(ID), clock=VirtualClock())
    assert [(one.state, one.progress) for one in seen] == [(State.PROCESSING, 0.5), (State.COMPLETED, 1.0)]
    assert len(server.connections) == 5


# --- Faults that drag on. ---


def test_a_watch_ends_with_its_deadline(driver: Driver) -> None:
    """A watch raises WaitTimeout with the last status when the answers stop."""
    for timeout in (SHORT, 2.0, SOON):  # A busy machine may need longer for the first answer.
        with Server([*WELL, read, stall]) as server, pytest.raises(WaitTimeout) as caught:
            drive(driver, server.url, lambda cat: cat.watch(ID, timeout=timeout))  # noqa: B023
        if caught.value.last_error is not None and caught.value.last_status is not None:
            break
    assert caught.value.last_status is not None
    assert caught.value.last_status.progress == 0.5
    assert isinstance(caught.value.last_error, APITimeoutError)


def test_the_connection_is_closed_when_the_deadline_passes(driver: Driver) -> None:
    """The connection of a question that was given up is closed then, not when the client is."""
    deserted: list[bool] = []
    with Server([read, stall]) as server, pytest.raises(WaitTimeout):
        drive(driver, server.url, wait(timeout=0.1), after=lambda: deserted.append(server.deserted()))
    assert deserted == [True]


def test_a_deadline_holds_on_a_connection_that_is_used_again(driver: Driver) -> None:
    """An answer that trickles is given up also when earlier ones came well on its connection."""
    with Server([*WELL, *WELL, read, trickle(head(TYPE), b" ")]) as server:
        started = time.monotonic()
        with pytest.raises(WaitTimeout):
            drive(driver, server.url, status, status, wait(timeout=SHORT), http=None)
        assert time.monotonic() - started < SOON
    assert len(server.connections) == 1


def test_a_deadline_holds_on_a_connection_that_someone_else_made(driver: Driver) -> None:
    """The caller's HTTP client may have connected before; that does not lift the deadline of a body that trickles."""

    def others(cat: Any) -> Any:
        return cat._sender.http.client.post(server.url)

    with Server([*WELL, read, head(TYPE, "Content-Length: 10000"), trickle(done(), b" ")]) as server:
        started = time.monotonic()
        with pytest.raises(WaitTimeout):
            drive(driver, server.url, others, wait(timeout=SHORT))
        assert time.monotonic() - started < SOON
    assert len(server.connections) == 1


def test_each_thread_has_its_own_deadline() -> None:
    """Of two waits in two threads, on one client, the one ends early and the other goes on."""
    short_has_ended = threading.Event()

    def reply(connection: Connection) -> None:
        asked = connection.read().text
        if "short" in asked:
            trickle(head(TYPE), b" ")(connection)
        else:
            assert short_has_ended.wait(LIMIT)
            connection.send(response(done("long"), TYPE))

    with Server([reply]) as server, LongCat(KEY, server.url) as cat, ThreadPoolExecutor(2) as pool:
        long = pool.submit(cat.wait, "long", LIMIT)
        assert eventually(lambda: server.requests)
        short = pool.submit(cat.wait, "short", 0.3)
        assert isinstance(short.exception(), WaitTimeout)
        assert not long.done()
        short_has_ended.set()
        assert long.result().request_id == "long"


# --- Stopped from outside. ---

HANGING: dict[str, Script] = {
    "asking": [read, stall],
    "pausing": [*WELL, stall],
}
PROGRAM = """
import signal, sys
import anyio
from longcat import AsyncLongCat, FixedPolling, LongCat
signal.signal(signal.SIGINT, signal.default_int_handler)
name, url = sys.argv[1:]

async def main():
    async with AsyncLongCat("test-key", url, polling=FixedPolling(60)) as cat:
        await cat.wait("cat-1", timeout=100)

if name == "sync":
    with LongCat("test-key", url, polling=FixedPolling(60)) as cat:
        cat.wait("cat-1", timeout=100)
else:
    anyio.run(main, backend=name)
"""


@pytest.mark.parametrize(
    ("driver", "moment"),  # To an event loop, the two moments are the same: it waits for what comes first.
    [
        (Driver("sync"), "asking"),
        (Driver("sync"), "pausing"),
        (Driver("asyncio"), "asking"),
        (Driver("trio"), "pausing"),
    ],
)
def test_ctrl_c_stops_a_program(driver: Driver, moment: str) -> None:
    """A program that waits ends at once on Ctrl-C, with KeyboardInterrupt and no complaint besides."""
    told, script = threading.Event(), HANGING[moment]
    with Server([*script[:-1], call(told.set), script[-1]]) as server:
        command = [sys.executable, "-X", "dev", "-c", PROGRAM, driver.name, server.url]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
            assert told.wait(LIMIT)
            time.sleep(0.05)  # It takes the program a moment to do what it does next.
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, noise = process.communicate(timeout=LIMIT)
            assert time.monotonic() - started < SOON
    assert process.returncode == -signal.SIGINT
    assert noise.rstrip().endswith("KeyboardInterrupt")
    for complaint in ("never retrieved", "unclosed", "ResourceWarning", "Exception ignored", "was destroyed"):
        assert complaint not in noise


@pytest.mark.parametrize("script", list(HANGING.values()), ids=list(HANGING))
def test_an_asyncio_task_can_be_cancelled(script: Script) -> None:
    """A cancelled task ends at once, and leaves no task and no connection in use."""
    told = threading.Event()

    async def main(url: str) -> None:
        async with AsyncLongCat(KEY, url, polling=FixedPolling(60)) as cat:
            task = asyncio.create_task(cat.wait(ID))
            assert await asyncio.to_thread(told.wait, 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert len(asyncio.all_tasks()) == 1

    with Server([*script[:-1], call(told.set), script[-1]]) as server:
        asyncio.run(main(server.url))
        assert server.deserted()


@pytest.mark.parametrize("script", list(HANGING.values()), ids=list(HANGING))
def test_a_trio_scope_can_be_cancelled(script: Script) -> None:
    """A cancelled scope ends at once, and leaves no task and no connection in use."""
    told = threading.Event()

    async def main(url: str) -> None:
        async with AsyncLongCat(KEY, url, polling=FixedPolling(60)) as cat, trio.open_nursery() as nursery:
            nursery.start_soon(cat.wait, ID)
            assert await trio.to_thread.run_sync(told.wait, 5)
            nursery.cancel_scope.cancel()

    with Server([*script[:-1], call(told.set), script[-1]]) as server:
        trio.run(main, server.url)
        assert server.deserted()


# --- Connections that last. ---


def test_a_connection_is_kept_between_questions(driver: Driver) -> None:
    """The questions of a wait go over one connection."""
    with Server([*WELL, *WELL, *WELL, read, DONE]) as server:
        drive(driver, server.url, wait())
    assert len(server.requests) == 4
    assert len(server.connections) == 1


def test_a_connection_that_was_closed_meanwhile_is_no_fault(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    """When the server closes a connection between two questions, the next one goes over a new connection."""
    caplog.set_level(logging.INFO, "longcat")
    with Server(WELL, WELL, [read, DONE]) as server:
        drive(driver, server.url, wait())
    assert len(server.connections) == 3
    assert [record.message for record in caplog.records if record.name == "longcat"] == []


@pytest.mark.parametrize("http", [SHARED, None], ids=["a client of the caller's", "our own"])
@pytest.mark.parametrize("surplus", [response(b'{"request_id": "dog-1"}', TYPE, keep=True), b"x"], ids=["whole", "bit"])
def test_what_follows_an_answer_is_not_taken_for_the_next_one(
    driver: Driver, surplus: bytes, http: dict[str, Any] | None
) -> None:
    """A second answer on the same connection answers no question: an order would get the id of another one."""
    first: Script = [read, response(UNDER_WAY, TYPE, keep=True) + surplus, stall]
    with Server(first, [*WELL, stall]) as server:
        assert drive(driver, server.url, status, status, http=http).progress == 0.5
    assert [len(server.requests), len(server.connections)] == [2, 2]


def test_an_error_does_not_cost_the_connection(driver: Driver) -> None:
    """A documented error is a whole answer; the next question goes over the same connection."""
    with Server([read, response(b"{}", TYPE, status="500 No", keep=True), read, DONE]) as server:
        drive(driver, server.url, wait(timeout=100), clock=VirtualClock())
    assert len(server.connections) == 1


def answered(request: Request) -> bytes:
    """Return an answer about the request that was asked for."""
    return response(done(request.body.split(b'"')[3].decode()), TYPE, keep=True)


def test_threads_share_a_client() -> None:
    """Each of many threads that wait with one client gets its own image."""
    ids = [f"cat-{number}" for number in range(64)]
    with Server([answer(answered)] * 100) as server, LongCat(KEY, server.url) as cat, ThreadPoolExecutor(8) as pool:
        images = list(pool.map(cat.wait, ids))
    assert [image.request_id for image in images] == ids
    assert len(server.connections) <= 8


@each_backend
def test_tasks_share_a_client(backend: str) -> None:
    """Each of many tasks that wait with one client gets its own image."""
    ids = [f"cat-{number}" for number in range(64)]
    images: dict[str, Image] = {}

    async def one(cat: AsyncLongCat, request_id: str) -> None:
        images[request_id] = await cat.wait(request_id)

    async def main(url: str) -> None:
        async with AsyncLongCat(KEY, url) as cat, anyio.create_task_group() as tasks:
            for request_id in ids:
                tasks.start_soon(one, cat, request_id)

    with Server([answer(answered)] * 100) as server:
        anyio.run(main, server.url, backend=backend)
    assert {image.request_id for image in images.values()} == set(ids)
    assert all(image.request_id == request_id for request_id, image in images.items())


@each_backend
@pytest.mark.parametrize("keep", [True, False], ids=["kept", "closed"])
@pytest.mark.filterwarnings("ignore:unclosed")
def test_a_client_outlives_its_event_loop(backend: str, keep: bool) -> None:
    """One AsyncLongCat may be used in one event loop after the other; none is bound to a loop that is gone."""
    with Server([answer(lambda _: response(done(), TYPE, keep=keep))] * 9) as server:
        cat = AsyncLongCat(KEY, server.url)
        for _ in range(3):
            assert anyio.run(cat.status, ID, backend=backend).state is State.COMPLETED
        anyio.run(cat.close, backend=backend)
    assert len(server.requests) == 3
    del cat
    gc.collect()  # Nobody can close the connection of a loop that has gone: Python must, and may complain.


# --- Proxies. ---


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_the_environment_s_proxy_is_used(driver: Driver, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question goes through the proxy that the environment names."""
    with Server([read, DONE]) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        drive(driver, "http://gateway.invalid", wait())
    (request,) = proxy.requests
    assert request.target.startswith("http://gateway.invalid/")
    assert request.values("host") == ["gateway.invalid"]


def test_the_environment_s_exceptions_are_heeded(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that the environment excepts is asked without the proxy."""
    with Server([read, DONE]) as proxy, Server([read, DONE]) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        drive(driver, server.url, wait())
    assert (len(proxy.requests), len(server.requests)) == (0, 1)


def test_a_proxy_does_not_learn_the_key_of_an_https_gateway(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy is asked for a tunnel without the key; its refusal is a fault that may pass."""
    with Server([read, response(b"", status="502 No")]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(APIConnectionError) as caught:
            drive(driver, "https://gateway.invalid", status)
    assert caught.value.transient
    assert [(one.method, one.target) for one in proxy.requests] == [("CONNECT", "gateway.invalid:443")]
    assert KEY not in proxy.requests[0].text


def test_a_deadline_holds_through_a_proxy(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that lets its answer trickle does not lift the deadline."""
    with Server([read, trickle(b"HTTP/1.1 200 OK\r\nX: ", b"x")]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        started = time.monotonic()
        with pytest.raises(WaitTimeout):
            drive(driver, "https://gateway.invalid", wait(timeout=SHORT), http=None)
        assert time.monotonic() - started < SOON


# --- The key. ---

NAMES = ["accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent"]


def test_the_key_goes_into_one_header(driver: Driver) -> None:
    """The question carries the key once, in the documented header, and no other header that is unusual."""
    with Server([read, DONE]) as server:
        drive(driver, server.url, status)
    (request,) = server.requests
    assert request.values("ocp-apim-subscription-key") == [KEY]
    assert request.text.count(KEY) == 1
    assert sorted(name for name, _ in request.headers) == sorted([*NAMES, "ocp-apim-subscription-key"])


@pytest.mark.parametrize(("code", "willing"), [(301, True), (302, False), (303, True), (307, True), (308, False)])
def test_a_redirect_of_the_question_is_not_followed(driver: Driver, code: int, willing: bool) -> None:
    """A redirect is an APIStatusError that shows where to, and nothing is sent there, even if the HTTP client would."""
    with Server([read, DONE]) as other:
        moved = response(b"", f"Location: {other.url}/?x=1", status=f"{code} Moved")
        for ask in (status, wait()):
            with Server([read, moved]) as server, pytest.raises(APIStatusError) as caught:
                drive(driver, server.url, ask, http={**SHARED, "follow_redirects": willing})
            assert len(server.requests) == 1
            assert caught.value.status_code == code
            assert other.url in str(caught.value)
    assert other.connections == []


@pytest.mark.parametrize("location", ["javascript:alert(1)", "http://[", "http://a..invalid/", "http://a:port/", ""])
def test_a_redirect_to_nowhere_is_an_error_too(driver: Driver, location: str) -> None:
    """A redirect to what is no URL is an answer that can't be used, and no fault of the caller's."""
    moved = response(b"", f"Location: {location}", status="302 Found")
    with Server([read, moved]) as server, pytest.raises(APIStatusError):
        drive(driver, server.url, status)


SECRETIVE: dict[str, Script] = {
    "an image": [read, DONE],
    "an echo": [read, response(b'{"error": "no such key: test-key"}', TYPE, status="401 No")],
    "an echo in a page": [read, response(b"<html><title>test-key</title></html>", status="500 No")],
    "an echo that is good": [read, response(b'{"status": "test-key", "request_id": "test-key"}', TYPE)],
    "a redirect": [read, response(b"", "Location: http://a.invalid/", status="302 Found")],
    "a reset": [read, reset],
    "a stall": [read, stall],
    "a wrong header": [read, b"HTTP/1.1 200 OK\r\nX\x00: 1\r\n\r\n"],
}


@pytest.mark.parametrize("script", list(SECRETIVE.values()), ids=list(SECRETIVE))
def test_no_log_and_no_error_shows_the_key(driver: Driver, script: Script, caplog: pytest.LogCaptureFixture) -> None:
    """No record of any logger, our libraries' included, and no error with all its causes holds the key."""
    caplog.set_level(logging.DEBUG)
    shown = ""
    with Server(script) as server:
        try:
            drive(driver, server.url, wait(timeout=0.1))
        except LongCatError as error:
            shown = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    assert KEY not in shown
    assert any(record.name.startswith("httpcore") for record in caplog.records)
    for record in caplog.records:
        assert KEY not in record.getMessage() + repr(record.args) + str(record.exc_info)


# --- Answers that are too large. ---


@pytest.mark.parametrize(
    ("code", "error", "frame"),
    [
        (200, APIResponseValidationError, "Content-Length: 50000000"),
        (200, APIResponseValidationError, "Transfer-Encoding: chunked"),
        (401, AuthenticationError, "Connection: close"),
        (503, InternalServerError, "Content-Length: 50000000"),
    ],
)
def test_a_huge_answer_is_not_read_whole(driver: Driver, code: int, error: type[LongCatError], frame: str) -> None:
    """Of an answer of 50 MB only the first bytes are read, and are on the error."""
    part = b" " * 65536
    part = chunks(part, last=False) if "chunked" in frame else part
    with Server([read, head(TYPE, frame, status=f"{code} X"), endless(part)]) as server:
        with peak(10_000_000), pytest.raises(error) as caught:
            drive(driver, server.url, status)
        assert server.deserted()
    assert server.connections[0].sent < 20_000_000
    assert isinstance(caught.value, APIStatusError | APIResponseValidationError)
    assert 0 < len(caught.value.body) <= MAX_ANSWER


def test_a_huge_answer_in_a_small_parcel_is_not_unpacked_whole(driver: Driver) -> None:
    """Of an answer that unpacks to 500 MB, no more is unpacked than is read of an answer."""
    script: Script = [read, response(PARCEL, TYPE, "Content-Encoding: gzip")]
    with Server(script) as server, peak(6_000_000), pytest.raises(APIResponseValidationError) as caught:
        drive(driver, server.url, status)
    assert 0 < len(caught.value.body) <= MAX_ANSWER
