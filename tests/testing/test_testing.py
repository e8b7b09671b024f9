"""That the fake gateway answers as it was told and as the contract says, at once, to every kind of client."""

import gzip
import importlib.metadata
import io
import json
import os
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from math import inf, nan
from pathlib import Path
from typing import Any, Final

import anyio
import httpx
import pytest
from attrs import frozen
from fakes import FOUR, IMAGE, Blocking, Cat, Driver, changes, completed, finish
from PIL import Image as Picture
from shell import environment

import longcat.testing
from longcat import (
    APIConnectionError,
    APIResponseValidationError,
    APITimeoutError,
    AsyncLongCat,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    DownloadError,
    FixedPolling,
    GenerationCancelled,
    GenerationFailed,
    InternalServerError,
    LongCat,
    LongCatError,
    NotFoundError,
    RateLimitError,
    State,
    WaitTimeout,
)
from longcat.clock import SystemClock
from longcat.contract import Exchange, judge, load_spec
from longcat.gateway.contract import contract
from longcat.testing import FakeGateway, Question, VirtualClock, refusal
from longcat.testing.gateway import ORDER_PATH, RESULT_PATH
from longcat.testing.script import BODIES

RESULT = contract("get_request_result")

ROOT: Final = Path(__file__).resolve().parents[2]
SPEC: Final = load_spec(ROOT / "openapi.yaml")
ENTRIES: Final[dict[str, str]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"][
    "pytest11"
]

pytestmark = pytest.mark.usefixtures("no_jitter")


def run(driver: Driver, gateway: FakeGateway, scenario: Callable[[Any], Awaitable[Any]]) -> Any:
    """Run a scenario with a client of the gateway's own making, which asks every four seconds."""
    if driver.name == "sync":
        with gateway.client(polling=FOUR) as cat:
            return finish(_returned(scenario(Blocking(cat))))

    async def main() -> Any:
        async with gateway.async_client(polling=FOUR) as cat:
            return await scenario(cat)

    return anyio.run(main, backend=driver.name)


async def _returned(result: Awaitable[Any]) -> Any:
    return await result


def codes(gateway: FakeGateway) -> list[int | None]:
    """Return the status code of each answer."""
    return [question.code for question in gateway.questions]


# --- Time. ---


def test_a_wait_of_ten_minutes_takes_no_time(driver: Driver) -> None:
    """No one waits for virtual time, and the picture is there when that has passed."""
    gateway = FakeGateway().request("r", takes=600, progress="linear")
    began = time.monotonic()
    image = run(driver, gateway, lambda cat: cat.wait("r", None))
    assert time.monotonic() - began < 60  # A tenth, on the busiest machine.
    assert (image.request_id, gateway.clock.monotonic()) == ("r", 600.0)
    assert [question.at for question in gateway.questions] == [4.0 * number for number in range(151)]


def test_a_request_begins_when_it_is_scripted(driver: Driver) -> None:
    """What a request takes is counted from the line that tells of it, on the gateway's clock."""
    gateway = FakeGateway()
    gateway.clock.sleep(100.0)
    gateway.request("r", takes=10)
    run(driver, gateway, lambda cat: cat.wait("r"))
    assert [question.at for question in gateway.questions] == [100.0, 104.0, 108.0, 112.0]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_many_waits_at_once_end_in_the_order_of_their_requests(backend: str) -> None:
    """Thirty tasks wait for thirty requests: each is done in its own time, and all in that of the longest."""
    gateway = FakeGateway(latency=0.25)
    done: list[tuple[int, float]] = []

    async def wait(cat: AsyncLongCat, number: int) -> None:
        await cat.wait(str(number))
        done.append((number, gateway.clock.monotonic()))

    async def main() -> None:
        async with gateway.async_client(polling=FOUR) as cat, anyio.create_task_group() as group:
            for number in range(30):
                gateway.request(str(number), takes=number * 5.0)
                group.start_soon(wait, cat, number)

    anyio.run(main, backend=backend)
    assert [number for number, _ in done] == list(range(30))
    assert all(number * 5.0 <= moment <= number * 5.0 + 4.5 for number, moment in done)


def test_threads_may_share_a_gateway() -> None:
    """Threads that wait at once, with one client, all get their pictures, and every question is noted."""
    gateway = FakeGateway()
    for number in range(40):
        gateway.request(str(number), takes=60, faults=[503])
    with gateway.client(polling=FOUR) as cat, ThreadPoolExecutor(8) as pool:
        images = list(pool.map(lambda number: cat.wait(str(number), None), range(40)))
    assert [image.request_id for image in images] == [str(number) for number in range(40)]
    assert codes(gateway).count(503) == 40
    assert sum(question.word == "completed" for question in gateway.questions) == 40


def test_no_time_passes_while_a_threads_question_is_in_flight() -> None:
    """However long other threads sleep meanwhile, a question that is being answered does not time out."""
    clock = VirtualClock()

    def answer(_: httpx.Request) -> httpx.Response:
        asleep = threading.Event()
        clock.on_sleep = asleep.set
        sleepers.append(threading.Thread(target=clock.sleep, args=[1000.0]))
        sleepers[-1].start()
        asleep.wait()
        sleepers[-1].join(0.05)  # It would end by now if it could.
        return httpx.Response(200, json=completed())

    sleepers: list[threading.Thread] = []
    gateway = FakeGateway(clock).request("r", answer=answer)
    with gateway.client() as cat:
        assert cat.wait("r") == IMAGE
    sleepers[0].join()
    assert (len(sleepers), len(gateway.questions), clock.now) == (1, 1, 1000.0)


def test_another_clock_may_be_given() -> None:
    """With the machine's own clock, the gateway takes real time."""
    gateway = FakeGateway(SystemClock(), latency=0.01).request("r", takes=0.02)
    began = time.monotonic()
    with gateway.client(polling=FixedPolling(0.005)) as cat:
        assert cat.wait("r").request_id == "r"
    assert time.monotonic() - began >= 0.02


def test_latency_takes_the_clocks_time(driver: Driver) -> None:
    """Every answer takes as long as it was told, and every picture."""
    gateway = FakeGateway(latency=1.5).request("r", takes=10)
    run(driver, gateway, lambda cat: cat.wait("r"))
    assert [question.at for question in gateway.questions] == [0.0, 5.5, 11.0]
    assert gateway.clock.monotonic() == 12.5


def test_an_answer_that_takes_too_long_is_a_time_out(driver: Driver) -> None:
    """Whoever asks gives up when the time of the question is over, and no answer is noted."""
    gateway = FakeGateway(latency=31.0).request("r")
    with pytest.raises(APITimeoutError):
        run(driver, gateway, lambda cat: cat.status("r"))
    assert (gateway.clock.monotonic(), gateway.questions) == (30.0, [Question(0.0, "r", None)])


# --- What it says. ---


def seen(driver: Driver, gateway: FakeGateway) -> tuple[list[tuple[str, float | None]], LongCatError | None]:
    """Return every change of the request `r`: the word, and the progress; and the error at the end, if there is one."""
    statuses, error = run(driver, gateway, lambda cat: changes(cat.watch("r", 100)))
    return [(status.raw_state, status.progress) for status in statuses], error


COURSES: Final[Mapping[str, tuple[dict[str, Any], list[tuple[str, float | None]]]]] = {
    "at once": ({}, [("completed", 1.0)]),
    "linear": ({"takes": 8}, [("processing", 0.0), ("processing", 0.5), ("completed", 1.0)]),
    "eased": (
        {"takes": 12, "progress": "eased"},
        [("processing", 0.0), ("processing", 0.2593), ("processing", 0.7407), ("completed", 1.0)],
    ),
    "stepped": (
        {"takes": 40, "progress": "stepped"},
        [*(("processing", share) for share in (0.0, 0.25, 0.5, 0.75)), ("completed", 1.0)],
    ),
    "stuck": (
        {"takes": 40, "progress": "stuck"},
        [*(("processing", share / 10) for share in range(10)), ("completed", 1.0)],
    ),
    "none": ({"takes": 12, "progress": None}, [("processing", 0.0), ("completed", 1.0)]),
    "a function": (
        {"takes": 8, "progress": lambda share: share / 2},
        [("processing", 0.0), ("processing", 0.25), ("completed", 1.0)],
    ),
    "queued": (
        {"takes": 8, "words": {"queued": 4}},
        [("queued", None), ("processing", 0.5), ("completed", 1.0)],
    ),
    "words": (
        {"takes": 16, "words": {"queued": 4, "processing": 4, "dreaming": 4}},
        [("queued", None), ("processing", 0.25), ("dreaming", None), ("processing", 0.75), ("completed", 1.0)],
    ),
    "failed": ({"takes": 4, "fails": "no cats today"}, [("processing", 0.0), ("failed", None)]),
    "another word": ({"takes": 4, "ends": "CANCELED"}, [("processing", 0.0), ("CANCELED", None)]),
    "another case": ({"takes": 4, "ends": "Completed"}, [("processing", 0.0), ("Completed", 1.0)]),
}


@pytest.mark.in_turn
@pytest.mark.parametrize(("script", "expected"), COURSES.values(), ids=COURSES)
def test_a_request_goes_as_it_was_scripted(
    driver: Driver, script: dict[str, Any], expected: list[tuple[str, float | None]]
) -> None:
    """What a watch sees, every four seconds, is what the one line said."""
    assert seen(driver, FakeGateway().request("r", **script)) == (expected, None)


@pytest.mark.parametrize(
    ("script", "error", "reason"),
    [
        ({"fails": "no cats today"}, GenerationFailed, "no cats today"),
        ({"ends": "failed"}, GenerationFailed, None),
        ({"ends": "error", "fails": "no cats"}, GenerationFailed, "no cats"),
        ({"ends": "cancelled"}, GenerationCancelled, None),
        ({"ends": "cancelled", "fails": "as you wished"}, GenerationCancelled, "as you wished"),
    ],
    ids=str,
)
def test_a_request_may_end_badly(
    driver: Driver, script: dict[str, Any], error: type[GenerationFailed], reason: str | None
) -> None:
    """A failure and a cancellation are raised by the wait, with the reason that was scripted."""
    gateway = FakeGateway().request("r", takes=42, **script)
    with pytest.raises(error) as caught:
        run(driver, gateway, lambda cat: cat.wait("r"))
    assert caught.value.status.error == reason


@pytest.mark.parametrize("script", [{"takes": inf}, {"ends": "archived"}, {"takes": 50, "ends": "processing"}], ids=str)
def test_a_request_may_never_end(driver: Driver, script: dict[str, Any]) -> None:
    """A request that is never done, or whose last word nobody knows, lasts until the deadline."""
    with pytest.raises(WaitTimeout):
        run(driver, FakeGateway().request("r", **script), lambda cat: cat.wait("r", 600))


def test_an_unknown_word_can_be_raised_for(driver: Driver) -> None:
    """A word that nobody documented reaches the client as such."""
    gateway = FakeGateway().request("r", takes=42, words={"dreaming": 10})
    assert run(driver, gateway, lambda cat: cat.status("r")).state is State.UNKNOWN
    with pytest.raises(APIResponseValidationError, match="dreaming"):
        run(driver, gateway, lambda cat: cat.wait("r", unknown="raise"))


def test_it_knows_only_what_it_was_told(driver: Driver) -> None:
    """A request that was not scripted is the documented 404, with the documented words."""
    with pytest.raises(NotFoundError, match="Endpoint not found"):
        run(driver, FakeGateway().request("r"), lambda cat: cat.wait("other"))


def test_questions_are_noted(driver: Driver) -> None:
    """Each question is noted with its time, its request, and what was answered."""
    gateway = FakeGateway().request("r", takes=4, faults=[429, httpx.ReadError("reset")])
    run(driver, gateway, lambda cat: cat.wait("r"))
    assert gateway.questions == [
        Question(0.0, "r", 429),
        Question(0.5, "r", None),
        Question(1.5, "r", 200, "processing"),
        Question(5.5, "r", 200, "completed"),
    ]
    assert repr(gateway) == "FakeGateway(1 requests, 4 questions)"


# --- Faults. ---


def page(_: httpx.Request) -> httpx.Response:
    """Answer with a page where JSON should be."""
    return httpx.Response(200, html="<html><title>Hello</title></html>")


FAULTS: Final[Mapping[str, tuple[Any, type[LongCatError]]]] = {
    "400": (400, BadRequestError),
    "401": (401, AuthenticationError),
    "429": (429, RateLimitError),
    "503": (503, InternalServerError),
    "522": (522, InternalServerError),
    "refused": (httpx.ConnectError("refused"), APIConnectionError),
    "late": (httpx.ReadTimeout("late"), APITimeoutError),
    "a response": (httpx.Response(500, text="oops"), InternalServerError),
    "a stream": (httpx.Response(500, stream=httpx.ByteStream(b"oops")), InternalServerError),
    "a function": (page, APIResponseValidationError),
}


@pytest.mark.parametrize(("fault", "error"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_the_error_that_it_stands_for(driver: Driver, fault: Any, error: type[LongCatError]) -> None:
    """A single question meets the fault, and the next one does not."""
    gateway = FakeGateway().request("r", faults=[fault])
    with pytest.raises(error) as caught:
        run(driver, gateway, lambda cat: cat.status("r"))
    assert type(caught.value) is error
    assert run(driver, gateway, lambda cat: cat.status("r")).image is not None


def test_faults_come_in_order_before_the_good_answers(driver: Driver) -> None:
    """A wait goes through one transient fault after the other, and the picture comes all the same."""
    gateway = FakeGateway().request("r", takes=2, faults=[429, 503, httpx.ReadTimeout("late"), 522])
    run(driver, gateway, lambda cat: cat.wait("r"))
    assert codes(gateway) == [429, 503, None, 522, 200]


def test_a_rate_limit_may_say_how_long(driver: Driver) -> None:
    """A 429 with a Retry-After is waited out for as long as it says, as often as it comes."""
    busy = refusal(429, retry_after=7)
    gateway = FakeGateway().request("r", faults=[busy, busy])
    run(driver, gateway, lambda cat: cat.wait("r"))
    assert [question.at for question in gateway.questions] == [0.0, 7.0, 14.0]


def test_a_gateway_may_be_asked_too_often(driver: Driver) -> None:
    """Of the questions of any one second, no more are answered than the gateway was told; then it says when."""
    gateway = FakeGateway(max_rate=2).request("r")

    async def scenario(cat: Cat) -> float | None:
        for _ in range(2):
            await cat.status("r")
        gateway.clock.sleep(0.5)
        with pytest.raises(RateLimitError) as caught:
            await cat.status("r")
        gateway.clock.sleep(0.5)
        await cat.status("r")
        return caught.value.retry_after

    assert (run(driver, gateway, scenario), codes(gateway)) == (1.0, [200, 200, 429, 200])


def test_anything_else_can_be_answered(driver: Driver) -> None:
    """A function answers instead of every good answer, after the faults."""
    gateway = FakeGateway().request(
        "r",
        faults=[503],
        answer=lambda request: httpx.Response(200, json={**json.loads(request.content), "status": "processing"}),
    )
    with pytest.raises(APIResponseValidationError, match="progress"):
        run(driver, gateway, lambda cat: cat.wait("r"))
    assert codes(gateway) == [503, 200]


def test_an_answer_may_be_packed(driver: Driver) -> None:
    """A response with an encoding is taken as httpx understands it."""
    body = b'{"status": "processing", "progress": 0.5, "request_id": "r"}'
    packed = httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=gzip.compress(body))
    gateway = FakeGateway().request("r", faults=[packed])
    assert run(driver, gateway, lambda cat: cat.status("r")).progress == 0.5


# --- What the contract says of its answers. ---


def question(**changes: Any) -> dict[str, Any]:
    """Return the arguments of an httpx request that asks about `r`."""
    usual = {
        "method": "POST",
        "url": f"{RESULT.server}/longcat-image-request-result",
        "headers": {RESULT.key_header: "k"},
        "json": {"request_id": "r"},
    }
    return {**usual, **changes}


@frozen
class Asked:
    """A question to a fake gateway, and the status code of its answer."""

    code: int
    question: Mapping[str, Any] = {}
    script: Mapping[str, Any] = {}


ASKED: Final = {
    "completed": Asked(200),
    "processing": Asked(200, script={"takes": 3}),
    "processing without progress": Asked(200, script={"takes": 3, "progress": None}),
    "no key": Asked(401, {"headers": {}}),
    "no id": Asked(400, {"json": {}}),
    "an empty id": Asked(400, {"json": {"request_id": ""}}),
    "an id that is none": Asked(400, {"json": {"request_id": 3}}),
    "no object": Asked(400, {"json": ["r"]}),
    "an unknown id": Asked(404, {"json": {"request_id": "other"}}),
    **{f"fault {code}": Asked(code, script={"faults": [code]}) for code in (403, 429, 500)},
}


def exchanged(asked: Asked) -> Exchange:
    """Ask a fake gateway, and return the exchange."""
    gateway = FakeGateway().request("r", **asked.script)
    with httpx.Client(transport=gateway) as http:
        response = http.request(**question(**asked.question))
    request = response.request
    return Exchange(
        method=request.method,
        url=str(request.url),
        request_headers=dict(request.headers),
        request_body=request.content,
        status_code=response.status_code,
        response_headers=dict(response.headers),
        response_body=response.content,
        source="a test",
        intent="unknown-request" if b"other" in request.content else None,
    )


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_every_documented_answer_keeps_the_contract(asked: Asked) -> None:
    """The judge of the drift check finds nothing in what the gateway says, good answers and errors alike."""
    exchange = exchanged(asked)
    assert (exchange.status_code, list(judge(SPEC, exchange))) == (asked.code, [])


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ({"answer": lambda _: httpx.Response(200, json={"status": "processing", "request_id": "r"})}, "field-missing"),
        ({"fails": "no cats today"}, "value-undocumented"),
    ],
    ids=["broken", "failed"],
)
def test_the_judge_sees_what_the_contract_does_not_have(script: dict[str, Any], kind: str) -> None:
    """What a test scripts beyond the contract is found, so the test above would have found it too."""
    assert kind in {finding.code for finding in judge(SPEC, exchanged(Asked(200, script=script)))}


def test_the_errors_have_the_documentations_words() -> None:
    """Each documented error has the body that the contract gives as its example, and there is no other."""
    paths = json.loads((ROOT / "generated/longcat_api/openapi.json").read_text("utf-8"))["paths"]
    ordered, asked = (paths[path]["post"]["responses"] for path in (ORDER_PATH, RESULT_PATH))
    examples = {
        int(code): next(iter(response["content"]["application/json"]["examples"].values()))["value"]
        for code, response in {**asked, "402": ordered["402"]}.items()
        if code != "200"
    }
    assert examples == BODIES


@pytest.mark.parametrize(
    "asked",
    [{"method": "GET"}, {"url": f"{RESULT.server}/nowhere"}, {"content": b"{", "json": None}],
    ids=str,
)
def test_a_wrong_question_gets_no_good_answer(asked: dict[str, Any]) -> None:
    """Another method, another path and a body that is not JSON are refused."""
    with httpx.Client(transport=FakeGateway().request("r")) as http:
        assert http.request(**question(**asked)).status_code == (400 if "content" in asked else 404)


def test_a_completed_answer_has_all_that_the_documentation_shows(driver: Driver) -> None:
    """The image says when it was made, how long that took, and by which model."""
    image = run(driver, FakeGateway().request("a b/é", takes=42), lambda cat: cat.wait("a b/é"))
    assert image.url == "https://storage.test/results/a%20b%2F%C3%A9.png"
    assert (str(image.created_at), image.duration.total_seconds()) == ("2024-06-15 10:30:00+00:00", 42.0)
    assert image.model_version == "longcat-v1.2"


# --- Pictures. ---


def saved(driver: Driver, gateway: FakeGateway, request_id: str, folder: Path) -> bytes:
    """Wait for a request, save its picture, and return the bytes of the file."""

    async def asynchronous() -> Path:
        async with gateway.async_client(polling=FOUR) as cat:
            return await cat.download(await cat.wait(request_id), folder)

    def blocking() -> Path:
        with gateway.client(polling=FOUR) as cat:
            return cat.download(cat.wait(request_id), folder)

    path = blocking() if driver.name == "sync" else anyio.run(asynchronous, backend=driver.name)
    return path.read_bytes()


def test_every_request_has_its_own_picture(driver: Driver, tmp_path: Path) -> None:
    """Pictures can be downloaded, are PNGs that can be read, and tell which request they are of."""
    names = ["a", "b", "a b/é", "%2F"]
    gateway = FakeGateway(latency=0.5)
    for name in names:
        gateway.request(name, takes=4)
    pictures = [saved(driver, gateway, name, tmp_path) for name in names]
    assert pictures == [gateway.picture(name) for name in names]
    assert (len(set(pictures)), gateway.downloads) == (len(names), names)
    for picture in pictures:
        Picture.open(io.BytesIO(picture)).verify()
        with Picture.open(io.BytesIO(picture)) as read:
            read.load()
            assert (read.format, read.size) == ("PNG", (8, 4))


def test_a_picture_may_be_anything(driver: Driver, tmp_path: Path) -> None:
    """The bytes that were scripted are what is saved; and what is no picture is the client's to refuse."""
    gateway = FakeGateway().request("gif", picture=b"GIF89a" + bytes(20)).request("page", picture=b"<html></html>")
    assert saved(driver, gateway, "gif", tmp_path) == b"GIF89a" + bytes(20)
    with pytest.raises(DownloadError):
        saved(driver, gateway, "page", tmp_path)


@pytest.mark.parametrize("script", [{"takes": 60}, {"fails": "no"}], ids=str)
def test_no_picture_without_success(tmp_path: Path, script: dict[str, Any]) -> None:
    """As long as a request is not completed, nothing is where its picture would be."""
    gateway = FakeGateway().request("r", **script)
    with gateway.client() as cat, pytest.raises(DownloadError) as caught:
        cat.download("https://storage.test/results/r.png", tmp_path)
    assert (caught.value.status_code, gateway.downloads) == (404, [])


def test_a_picture_that_takes_too_long_is_a_time_out(tmp_path: Path) -> None:
    """The latency holds for pictures too."""
    gateway = FakeGateway(latency=9.0).request("r")
    with gateway.client() as cat, pytest.raises(DownloadError):
        cat.download("https://storage.test/results/r.png", tmp_path, timeout=5)
    assert gateway.clock.monotonic() == 5.0


# --- Scripting. ---


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ({"takes": -1}, "takes is zero or more seconds, not -1"),
        ({"takes": nan}, "takes is zero or more seconds"),
        ({"takes": "42"}, 'takes is zero or more seconds, not "42"'),
        ({"progress": "quadratic"}, 'no progress "quadratic".*linear, eased, stepped, stuck'),
        ({"words": {"queued": 5}, "takes": 4}, "The words last 5 s, and the request takes 4 s only"),
        ({"words": {"queued": -1}}, 'The time of the word "queued" is zero or more'),
        ({"words": {"completed": 1}, "takes": 4}, 'The word "completed" is final'),
        ({"ends": "completed", "fails": "why"}, "A completed request has no reason to fail"),
        ({"faults": [200]}, "from 400 to 599, not 200"),
        ({"faults": [httpx.ReadTimeout]}, "A fault is a status code"),
        ({"faults": ["429"]}, 'A fault is a status code.*not "429"'),
        ({"request_id": ""}, "it is empty"),
        ({"request_id": "known"}, 'The request "known" is scripted already'),
    ],
    ids=str,
)
def test_a_script_that_can_not_be_meant_is_refused(script: dict[str, Any], message: str) -> None:
    """A mistake is told at once, in the line that makes it, with what to do; and nothing is scripted."""
    gateway = FakeGateway().request("known")
    with pytest.raises(ConfigurationError, match=rf"{message}.*\.$"):
        gateway.request(**{"request_id": "r", **script})
    assert repr(gateway) == "FakeGateway(1 requests, 0 questions)"


@pytest.mark.parametrize("options", [{"latency": -1}, {"max_rate": 0}, {"max_rate": 2.5}, {"max_rate": "5"}], ids=str)
def test_a_gateway_that_can_not_be_meant_is_refused(options: dict[str, Any]) -> None:
    """A negative latency, and a rate that is no count, are told at once."""
    with pytest.raises(ConfigurationError, match=rf"^{next(iter(options))} is .* Pass such a number\.$"):
        FakeGateway(**options)


def test_a_progress_that_breaks_the_contract_is_told(driver: Driver) -> None:
    """A function that leaves the bounds is the test's mistake, not the gateway's answer."""
    gateway = FakeGateway().request("r", takes=4, progress=lambda share: share + 2)
    with pytest.raises(ConfigurationError, match=r'The progress of "r" is 2\.0 at the share 0 of its time'):
        run(driver, gateway, lambda cat: cat.wait("r"))


def test_a_retry_after_that_is_no_time_is_refused() -> None:
    """Nobody can ask again in the past."""
    with pytest.raises(ConfigurationError, match="retry_after is zero or more seconds"):
        refusal(429, retry_after=-1)


# --- Clients of it. ---


def test_it_is_a_transport_for_any_client(driver: Driver) -> None:
    """Who makes their own HTTP client passes the gateway as its transport, and its clock."""
    gateway = FakeGateway(VirtualClock()).request("r", takes=600)

    async def scenario(cat: Cat) -> str:
        return (await cat.wait("r", None)).request_id

    assert (driver.run(scenario, gateway), gateway.clock.monotonic()) == ("r", 600.0)


def test_its_clients_close_what_they_own() -> None:
    """After the block, the connections of the client are closed, and the gateway serves the next one."""
    gateway = FakeGateway().request("r")
    for _ in range(2):
        with gateway.client() as cat:
            cat.status("r")
            assert isinstance(cat, LongCat)
        with pytest.raises(ConfigurationError, match="is closed"):
            cat.status("r")
        assert cat._sender.http.is_closed


def test_an_asynchronous_client_goes_on_in_the_next_event_loop() -> None:
    """A client that outlives its event loop still asks the fake gateway, and nothing else; then it is closed."""
    gateway = FakeGateway().request("r")
    cat = gateway.async_client()
    for backend in ("asyncio", "trio", "asyncio"):
        assert anyio.run(cat.status, "r", backend=backend).image is not None
    anyio.run(cat.close)
    with pytest.raises(ConfigurationError, match="is closed"):
        anyio.run(cat.status, "r")
    assert len(gateway.questions) == 3


def test_no_proxy_stands_between(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy, a base URL or a key in the environment leads nobody away from the fake gateway."""
    for name in ("HTTPS_PROXY", "ALL_PROXY", "LONGCAT_BASE_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("PIXAZO_API_KEY", "key-of-the-environment")
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json=completed())

    image = run(driver, FakeGateway().request("r", answer=answer), lambda cat: cat.wait("r"))
    [request] = requests
    assert (image, request.url.host, request.headers[RESULT.key_header]) == (
        IMAGE,
        "gateway.test",
        "test-key",
    )


def test_every_public_name_has_documentation() -> None:
    """`longcat.testing` exports what it says, and `help()` has something to say about each class and method."""
    names = longcat.testing.__all__
    assert names == sorted(names)
    public = [getattr(longcat.testing, name) for name in names if name not in {"ScriptedFault", "Progress"}]
    methods = [value for one in public for name, value in vars(one).items() if name[0] != "_" and callable(value)]
    assert [one for one in [*public, *methods] if not one.__doc__] == []


# --- The plugin. ---


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder of a user's tests, where longcat looks installed, with the entry points that it declares."""
    installed = tmp_path / "site" / "longcat_image-0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.4\nName: longcat-image\nVersion: 0\n", "utf-8")
    entries = "".join(f"{name} = {module}\n" for name, module in ENTRIES.items())
    (installed / "entry_points.txt").write_text(f"[pytest11]\n{entries}", "utf-8")
    files = "".join(f"{path.relative_to(ROOT).as_posix()},,\n" for path in (ROOT / "longcat").rglob("*.py"))
    (installed / "RECORD").write_text(files, "utf-8")
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def test_the_plugin_brings_the_fixture(project: Path) -> None:
    """Where longcat is installed, pytest finds the fixture by itself, fresh for every test, and warns of nothing.

    A run whose tests don't use the fixture does not load the fake gateway.
    """
    (project / "test_mine.py").write_text(
        """
import sys
import pytest

def test_nothing_is_loaded_that_is_not_asked_for():
    assert "longcat.pytest_plugin" in sys.modules
    assert "longcat.testing" not in sys.modules

@pytest.mark.parametrize("number", [1, 2])
def test_it(longcat_gateway, number):
    from longcat.testing import FakeGateway

    assert isinstance(longcat_gateway, FakeGateway)
    with longcat_gateway.request("r", takes=600).client() as cat:
        assert cat.wait("r", None).request_id == "r"
""",
        "utf-8",
    )
    paths = [str(project.parent / "site"), str(ROOT), str(ROOT / "generated")]
    env = environment(project, PYTHONPATH=os.pathsep.join(paths), PYTHONDONTWRITEBYTECODE="1")
    # Other plugins than ours take seconds to load.
    others = [f"-pno:{name}" for name in ("schemathesis", "hypothesispytest", "recording", "anyio", "cacheprovider")]
    command = [sys.executable, "-m", "pytest", "-W", "error", *others, str(project)]
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, "3 passed" in done.stdout) == (0, True), done.stdout + done.stderr


def test_the_plugin_is_an_entry_point() -> None:
    """What the project declares for pytest can be loaded."""
    for name, value in ENTRIES.items():
        assert hasattr(importlib.metadata.EntryPoint(name, value, "pytest11").load(), "longcat_gateway")
