"""What `wait`, `watch` and `status` do with every answer: the table in the design, row by row, in virtual time."""

import json
import logging
import ssl
import sys
import threading
from collections.abc import Iterator
from itertools import chain, cycle, repeat
from math import inf, nan
from typing import Any

import anyio
import httpx
import pytest
from attrs import define, field, frozen
from fakes import (
    HOST,
    IMAGE,
    KEY,
    PICTURE,
    URL,
    Cat,
    Driver,
    Reply,
    Script,
    anatomy,
    by_driver,
    changes,
    completed,
    fails,
    leaving,
    processing,
    says,
)

import longcat
from longcat import (
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    FixedPolling,
    GenerationCancelled,
    GenerationFailed,
    GeometricPolling,
    Image,
    InsufficientBalanceError,
    InternalServerError,
    LongCatError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    State,
    Status,
    Violation,
    WaitTimeout,
)
from longcat.gateway.messages import Answer, Call
from longcat.gateway.result import ResultGateway
from longcat.models import STATE_OF_WORD, Pause
from longcat.sending.threads.driver import drive
from longcat.testing import VirtualClock
from longcat.testing.clock import START
from longcat.waiting.commands import Acquire, Command, RunInThread, Sleep
from longcat.waiting.rates.rate_limit import RateLimiter
from longcat.waiting.wait import MOVES, Phase, Wait

pytestmark = pytest.mark.usefixtures("no_jitter")

DONE = Status("r", State.COMPLETED, "completed", 1.0, IMAGE)
FINISHED = says(completed())
SYNC = Driver("sync")
"""For what is decided before a driver has anything to do."""
DREAMING = Status("r", State.UNKNOWN, "dreaming")
PAGE = b"<!DOCTYPE html><html><head><title>gateway.test | 522: Connection timed out</title></head></html>"
TITLE = 'an HTML page titled "gateway.test | 522: Connection timed out"'
NO_JSON = Violation("", "JSON", TITLE)


def ongoing(progress: float) -> Status:
    """Return the status that `processing(progress)` tells."""
    return Status("r", State.PROCESSING, "processing", progress)


def ended(word: str, state: State, error: str | None = None) -> Status:
    """Return the status of a request that ended without an image."""
    return Status("r", state, word, error=error)


def invalid(body: bytes, *findings: Violation, is_json: bool = True) -> APIResponseValidationError:
    """Return the error for a body that breaks the contract so."""
    return APIResponseValidationError(findings, body, "r", is_json)


@frozen
class Row:
    """A row of the table.

    Attributes:
        replies: what the gateway does.
        sleeps: every pause that is made.
        seen: every status that `watch` yields.
        end: what `wait` returns or raises.
        timeout: seconds. None: no deadline.
        unknown: the argument of the same name.
    """

    replies: tuple[Reply, ...]
    sleeps: list[float]
    seen: list[Status]
    end: Image | LongCatError
    timeout: float | None = None
    unknown: Any = "wait"


def failing(word: str, kind: type[GenerationFailed], state: State, reason: str | None) -> Row:
    """Return the row of a request that ends with a failure word."""
    body = {"status": word} if reason is None else {"status": word, "error": reason}
    status = ended(word, state, reason)
    return Row((says(processing(0.5)), says(body)), [4.0], [ongoing(0.5), status], kind(status))


def refusing(kind: type[APIStatusError], code: int, body: Any, message: str, location: str = "") -> Row:
    """Return the row of an error that is raised at once, here after one good answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    error = kind(code, message, content, request_id="r")
    headers = {"Location": location} if location else {}
    return Row((says(processing(0.5)), says(content, code, headers)), [4.0], [ongoing(0.5)], error)


ROWS = {
    "completed": Row((FINISHED,), [], [DONE], IMAGE),
    "processing": Row(
        (says(processing(0.3)), says(processing(0.45)), FINISHED),
        [4.0, 4.0],
        [ongoing(0.3), ongoing(0.45), DONE],
        IMAGE,
    ),
    "queued": Row(
        (says({"status": "queued"}), says(processing(0.0)), FINISHED),
        [4.0, 4.0],
        [Status("r", State.QUEUED, "queued"), ongoing(0.0), DONE],
        IMAGE,
    ),
    "words in capitals": Row(
        (says({"status": "QUEUED"}), says(processing(0.5, status="Processing")), says(completed(status="COMPLETED"))),
        [4.0, 4.0],
        [
            Status("r", State.QUEUED, "QUEUED"),
            Status("r", State.PROCESSING, "Processing", 0.5),
            Status("r", State.COMPLETED, "COMPLETED", 1.0, IMAGE),
        ],
        IMAGE,
    ),
    "the same answer twice": Row(
        (says(processing(0.5)), says(processing(0.5)), says(processing(0.4)), FINISHED),
        [4.0, 4.0, 4.0],
        [ongoing(0.5), ongoing(0.4), DONE],
        IMAGE,
    ),
    "failed": failing("failed", GenerationFailed, State.FAILED, "out of memory"),
    "failed, no reason": failing("failed", GenerationFailed, State.FAILED, None),
    "FAILED": failing("FAILED", GenerationFailed, State.FAILED, "out of memory"),
    "error": failing("error", GenerationFailed, State.FAILED, "out of memory"),
    "Error": failing("Error", GenerationFailed, State.FAILED, "out of memory"),
    "cancelled": failing("cancelled", GenerationCancelled, State.CANCELLED, "by the user"),
    "CANCELLED": failing("CANCELLED", GenerationCancelled, State.CANCELLED, None),
    "canceled": failing("canceled", GenerationCancelled, State.CANCELLED, "by the user"),
    "Canceled": failing("Canceled", GenerationCancelled, State.CANCELLED, "by the user"),
    "an unknown word": Row((says({"status": "dreaming"}), FINISHED), [4.0], [DREAMING, DONE], IMAGE),
    "an unknown word, until the deadline": Row(
        (says({"status": "dreaming"}),) * 3,
        [4.0, 4.0, 2.0],
        [DREAMING],
        WaitTimeout("r", 10.0, DREAMING),
        timeout=10.0,
    ),
    "an unknown word, unwanted": Row(
        (says(processing(0.5)), says({"status": "dreaming"})),
        [4.0],
        [ongoing(0.5)],
        invalid(
            b'{"status": "dreaming"}',
            Violation("/status", " or ".join(STATE_OF_WORD), '"dreaming"'),
        ),
        unknown="raise",
    ),
    "breaks the contract": Row(
        (says(processing(0.5)), says(processing(1.5))),
        [4.0],
        [ongoing(0.5)],
        invalid(json.dumps(processing(1.5)).encode(), Violation("/progress", "at most 1", "1.5")),
    ),
    "400": refusing(BadRequestError, 400, {"error": "Invalid parameters"}, "Invalid parameters"),
    "401": refusing(AuthenticationError, 401, {"error": "Invalid authentication"}, "Invalid authentication"),
    "402": refusing(InsufficientBalanceError, 402, {"error": "Balance too low"}, "Balance too low"),
    "403, JSON": refusing(PermissionDeniedError, 403, {"error": "Access denied"}, "Access denied"),
    "404": refusing(NotFoundError, 404, {"error": "Endpoint not found"}, "Endpoint not found"),
    "404, a page": refusing(NotFoundError, 404, PAGE, TITLE),
    "405": refusing(APIStatusError, 405, b"", "method not allowed"),
    "418": refusing(APIStatusError, 418, {"message": "I'm a teapot"}, "I'm a teapot"),
    "a redirect": refusing(
        APIStatusError,
        307,
        b"",
        'a redirect to "https://elsewhere.test/", not followed because the key would go with it',
        location="https://elsewhere.test/",
    ),
    "a redirect to nowhere": refusing(
        APIStatusError,
        302,
        b"",
        'a redirect to "http://[", not followed because the key would go with it',
        location="http://[",
    ),
}


rows = by_driver(ROWS, "row", "completed", "processing", "failed", "an unknown word, until the deadline", "404")


@define
class Outcome:
    """What came of a conversation, in the form in which two of them can be compared."""

    sleeps: list[float]
    seen: list[Status] | None
    end: Any


def settle(script: Script, timeout: float | None) -> None:
    """Fail unless no question had more time than was left, and every connection was let go."""
    for request, asked in zip(script.requests, script.asked, strict=True):
        left = inf if timeout is None else timeout - asked
        assert max(request.extensions["timeout"].values()) <= left
    assert all(body.closed for body in script.bodies)


def run_wait(driver: Driver, script: Script, timeout: float | None = None, unknown: Any = "wait") -> Outcome:
    """Wait, and return what came of it."""
    end: Any
    try:
        end = driver.wait(script, timeout, unknown=unknown)
    except LongCatError as error:
        end = error
    settle(script, timeout)
    return Outcome(script.clock.sleeps, None, anatomy(end))


def run_watch(driver: Driver, script: Script, timeout: float | None = None, unknown: Any = "wait") -> Outcome:
    """Watch, and return what came of it."""

    async def scenario(cat: Cat) -> tuple[list[Status], LongCatError | None]:
        return await changes(cat.watch("r", timeout, unknown=unknown))

    seen, error = driver.run(scenario, script)
    settle(script, timeout)
    return Outcome(script.clock.sleeps, seen, anatomy(error))


# --- The table. ---


@rows
def test_wait_does_what_the_table_says(driver: Driver, row: Row) -> None:
    """`wait` pauses exactly so, and ends exactly so."""
    assert run_wait(driver, Script(*row.replies), row.timeout, row.unknown) == Outcome(
        row.sleeps, None, anatomy(row.end)
    )


@rows
def test_watch_yields_every_change_and_ends_after_the_final_one(driver: Driver, row: Row) -> None:
    """`watch` pauses as `wait` does, yields each change once, and ends in peace after a failure as after an image."""
    end = None if isinstance(row.end, Image | GenerationFailed) else row.end
    assert run_watch(driver, Script(*row.replies), row.timeout, row.unknown) == Outcome(
        row.sleeps, row.seen, anatomy(end)
    )


def test_no_error_of_the_table_is_followed_by_a_question(driver: Driver) -> None:
    """Every reply of every row is needed: none is asked for after the end."""
    for row in ROWS.values():
        script = Script(*row.replies)
        run_wait(driver, script, row.timeout, row.unknown)
        assert len(script.requests) == len(row.replies)


# --- Transient faults. ---


def no_answer(error: Exception, message: str, *, sent: bool = True) -> tuple[Reply, LongCatError]:
    """Return a fault of the transport, and what it becomes."""
    return fails(error), APIConnectionError(message, HOST, sent)


def too_late(error: Exception, *, sent: bool = True) -> tuple[Reply, LongCatError]:
    """Return a timeout of the transport, and what it becomes; the question is the one asked with one second left."""
    return fails(error), APITimeoutError("no whole answer within 1 s", HOST, sent)


def fault(code: int, body: bytes, message: str, kind: type[APIStatusError]) -> tuple[Reply, LongCatError]:
    """Return an answer that may be another one the next time, and what it becomes."""
    return says(body, code), kind(code, message, body, request_id="r")


FAULTS: dict[str, tuple[Reply, LongCatError]] = {
    "not found by name": no_answer(
        httpx.ConnectError("Name or service not known"), "Name or service not known", sent=False
    ),
    "refused": no_answer(httpx.ConnectError("refused"), "refused", sent=False),
    "reset": no_answer(httpx.ReadError("reset by peer"), "reset by peer"),
    "broken pipe": no_answer(httpx.WriteError("broken pipe"), "broken pipe"),
    "closed": no_answer(httpx.CloseError("closed"), "closed"),
    "no words": no_answer(httpx.ReadError(""), "ReadError"),
    "proxy": no_answer(httpx.ProxyError("502 Bad Gateway"), "502 Bad Gateway", sent=False),
    "TLS": no_answer(ssl.SSLError(1, "certificate verify failed"), "certificate verify failed"),
    "protocol": no_answer(
        httpx.RemoteProtocolError("server disconnected without a response"), "server disconnected without a response"
    ),
    "connect timeout": too_late(httpx.ConnectTimeout(""), sent=False),
    "read timeout": too_late(httpx.ReadTimeout("")),
    "write timeout": too_late(httpx.WriteTimeout("")),
    "pool timeout": too_late(httpx.PoolTimeout(""), sent=False),
    "a timeout of the system": too_late(TimeoutError()),
    "cut within the body": (
        Reply(body=(b'{"status": ', httpx.RemoteProtocolError("cut"))),
        APIConnectionError("cut", HOST),
    ),
    "200, a page": (says(PAGE), invalid(PAGE, NO_JSON, is_json=False)),
    "200, cut": (
        says(b'{"status": "proc'),
        invalid(
            b'{"status": "proc', Violation("", "JSON", 'a body that begins "{\\"status\\": \\"proc"'), is_json=False
        ),
    ),
    "200, empty": (says(b""), invalid(b"", Violation("", "JSON", "an empty body"), is_json=False)),
    "204": (says(b"", 204), invalid(b"", Violation("", "JSON", "an empty body"), is_json=False)),
    "403, a page": fault(403, PAGE, TITLE, PermissionDeniedError),
    "408": fault(408, b"", "request timeout", APIStatusError),
    "425": fault(425, b"", "too early", APIStatusError),
    "500": fault(500, b'{"error": "An unexpected error"}', "An unexpected error", InternalServerError),
    "502": fault(502, b"", "bad gateway", InternalServerError),
    "503": fault(503, b"no", 'a body that begins "no"', InternalServerError),
    **{str(code): fault(code, PAGE, TITLE, InternalServerError) for code in range(520, 531)},
    "599": fault(599, b"", "no reason given", InternalServerError),
}
OF_EACH_KIND = ("reset", "TLS", "read timeout", "a timeout of the system", "cut within the body", "200, a page", "503")
faults = by_driver(FAULTS, "fault", *OF_EACH_KIND)


@faults
def test_a_transient_fault_is_waited_out(driver: Driver, fault: tuple[Reply, LongCatError]) -> None:
    """After a fault that may pass, `wait` asks again: after half a second, then after a whole one."""
    script = Script(fault[0], fault[0], FINISHED)
    assert run_wait(driver, script) == Outcome([0.5, 1.0], None, IMAGE)


@faults
def test_a_lasting_fault_ends_at_the_deadline(driver: Driver, fault: tuple[Reply, LongCatError]) -> None:
    """A fault that does not pass is the `last_error` of the `WaitTimeout`, and none of those before it."""
    reply, error = fault
    script = Script(fails(httpx.ConnectError("an earlier one")), then=repeat(reply))
    expected = Outcome([0.5, 1.0, 2.0, 4.0, 1.5, 1.0], None, anatomy(WaitTimeout("r", 10.0, None, error)))
    assert run_wait(driver, script, 10.0) == expected
    assert script.asked == [0.0, 0.5, 1.5, 3.5, 7.5, 9.0]


# Under trio, httpx leaves its own generators behind when it can't decode what they yield.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
def test_a_body_that_is_not_in_its_encoding_is_a_transient_fault(driver: Driver) -> None:
    """An answer that claims to be compressed, but is not, counts as none."""
    script = Script(Reply(body=(b"no gzip",), headers={"content-encoding": "gzip"}), FINISHED)
    assert run_wait(driver, script) == Outcome([0.5], None, IMAGE)


def test_watch_tolerates_faults_without_yielding_them(driver: Driver) -> None:
    """A fault is no change: `watch` stays silent until there is a new answer."""
    down = fails(httpx.ConnectError("refused"))
    script = Script(down, says(processing(0.5)), down, says(processing(0.5)), down, FINISHED)
    assert run_watch(driver, script) == Outcome([0.5, 4.0, 0.5, 4.0, 0.5], [ongoing(0.5), DONE], None)


def test_the_pause_after_faults_grows_to_ten_seconds_and_starts_anew_after_an_answer(driver: Driver) -> None:
    """Each fault in a row doubles the pause, up to ten seconds; an answer ends the row."""
    down = fails(httpx.ConnectError("refused"))
    script = Script(*[down] * 7, says(processing(0.5)), down, down, FINISHED)
    assert run_wait(driver, script) == Outcome([0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 4.0, 0.5, 1.0], None, IMAGE)


def test_an_answer_clears_the_last_error(driver: Driver) -> None:
    """`last_error` is the fault since the last answer; there is none when the last question was answered."""
    script = Script(fails(httpx.ConnectError("refused")), says(processing(0.5)), says(processing(0.75)))
    expected = Outcome([0.5, 4.0, 1.5], None, anatomy(WaitTimeout("r", 6.0, ongoing(0.75))))
    assert run_wait(driver, script, 6.0) == expected


def test_the_last_status_survives_later_faults(driver: Driver) -> None:
    """`WaitTimeout` has both the last answer and the fault that came after it."""
    script = Script(says(processing(0.5)), then=repeat(fails(httpx.ConnectError("refused"))))
    error = WaitTimeout("r", 6.0, ongoing(0.5), APIConnectionError("refused", HOST, sent=False))
    assert run_wait(driver, script, 6.0) == Outcome([4.0, 0.5, 1.0, 0.5], None, anatomy(error))


# --- Rate limits, and the other side's wishes. ---


def test_a_rate_limit_is_waited_out(driver: Driver) -> None:
    """A 429 is a fault that may pass, and the pause after it grows like that after any other."""
    limited = says({"error": "slow down"}, 429)
    assert run_wait(driver, Script(limited, limited, FINISHED)) == Outcome([0.5, 1.0], None, IMAGE)


def test_a_lasting_rate_limit_ends_the_wait_without_a_last_question(driver: Driver) -> None:
    """A gateway that wants to be left alone is left alone: a pause beyond the deadline ends the wait at once."""
    script = Script(then=repeat(says({"error": "slow down"}, 429)))
    error = RateLimitError(429, "slow down", b'{"error": "slow down"}', request_id="r")
    pause = Pause(8.0, START + 7.5)
    expected = Outcome([0.5, 1.0, 2.0, 4.0], None, anatomy(WaitTimeout("r", 7.5, None, error, pause=pause)))
    assert run_wait(driver, script, 10.0) == expected


@pytest.mark.parametrize(
    ("pause", "headers"),
    [
        pytest.param(5.0, {"Retry-After": "5"}, id="seconds"),
        pytest.param(5.0, {"Retry-After": " 5 "}, id="seconds with spaces"),
        pytest.param(0.5, {"Retry-After": "0"}, id="no seconds"),
        pytest.param(6.0, {"Retry-After": "Sat, 15 Jun 2024 10:30:06 GMT"}, id="a date, by our clock"),
        pytest.param(
            7.0,
            {"Retry-After": "Sat, 15 Jun 2024 08:00:07 GMT", "Date": "Sat, 15 Jun 2024 08:00:00 GMT"},
            id="a date, by the gateway's clock",
        ),
        pytest.param(8.0, {"Retry-After": "Saturday, 15-Jun-24 10:30:08 GMT"}, id="a date in an old form"),
        pytest.param(0.5, {"Retry-After": "Sat, 15 Jun 2024 10:29:00 GMT"}, id="a date in the past"),
        pytest.param(
            3.0, {"Retry-After": "Sat, 15 Jun 2024 10:30:03 GMT", "Date": "noon"}, id="the other date garbage"
        ),
        pytest.param(0.5, {"Retry-After": "soon"}, id="a word"),
        pytest.param(0.5, {"Retry-After": ""}, id="nothing"),
        pytest.param(0.5, {"Retry-After": "-5"}, id="negative"),
        pytest.param(0.5, {"Retry-After": "nan"}, id="not a number"),
        pytest.param(0.5, {"Retry-After": "Mon, 99 Foo 2024 99:99:99 GMT"}, id="no date"),
        pytest.param(0.5, {}, id="silence"),
    ],
)
@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_is_heeded(code: int, pause: float, headers: dict[str, str]) -> None:
    """`Retry-After` on a 429 or a 503, in seconds or as a date, holds the next question back; garbage does not."""
    script = Script(says({"error": "later"}, code, headers), FINISHED)
    assert run_wait(SYNC, script) == Outcome([pause], None, IMAGE)


@pytest.mark.in_turn
@pytest.mark.parametrize(
    ("value", "asked", "kept"),
    [
        ("12", "12", 12.0),
        ("86400", "86400", 3600.0),
        ("999999999", "999999999", 3600.0),
        ("1" * 400, "1000000000", 3600.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", "1000000000", 3600.0),
    ],
)
@pytest.mark.parametrize(
    ("body", "code"), [({"error": "later"}, 429), ({"error": "later"}, 503), (processing(0.5), 200)]
)
def test_a_pause_beyond_the_deadline_ends_the_wait_at_once(  # noqa: PLR0913, PLR0917 - a table.
    driver: Driver, body: object, code: int, value: str, asked: str, kept: float
) -> None:
    """However long the gateway wants to be left alone, the wait ends, and the error tells how long and since when."""
    clock = VirtualClock()

    async def scenario(cat: Cat) -> WaitTimeout:
        with pytest.raises(WaitTimeout) as caught:
            await cat.wait("r", 10.0)
        return caught.value

    error = driver.run(scenario, Script(says(body, code, {"Retry-After": value}), clock=clock))
    assert (clock.sleeps, error.elapsed, error.pause) == ([], 0.0, Pause(kept, START, float(asked)))
    assert f"the gateway asked at 2024-06-15T10:30:00Z to be left alone for {asked} s" in str(error)
    assert ("of which longcat keeps to 3600 s" in str(error)) == (kept == 3600.0)


def test_a_pause_that_ends_before_the_deadline_is_kept(driver: Driver) -> None:
    """Of a day that the gateway asks for, an hour is kept, and then the wait goes on."""
    script = Script(says({"error": "later"}, 429, {"Retry-After": "86400"}), FINISHED)
    assert run_wait(driver, script, 4000.0) == Outcome([3600.0], None, IMAGE)


@pytest.mark.parametrize("value", ["60", "86400"])
@pytest.mark.parametrize("timeout", [30.0, None])
def test_the_next_wait_is_told_why_nobody_asks(
    driver: Driver, caplog: pytest.LogCaptureFixture, value: str, timeout: float | None
) -> None:
    """After a 429 with a long pause, the log and every other wait that ends for it say how long and since when."""
    script = Script(says({"error": "later"}, 429, {"Retry-After": value}), says(completed(request_id="other")))

    async def scenario(cat: Cat) -> list[Image | LongCatError]:
        with pytest.raises(WaitTimeout):
            await cat.wait("r", 20.0)
        return await cat.wait_all(["other"], timeout)

    [result] = driver.run(scenario, script)
    words = f"the gateway asked at 2024-06-15T10:30:00Z to be left alone for {value} s"
    assert [words in one.message for one in caplog.records if (one.name, one.levelname) == ("longcat", "WARNING")] == [
        True
    ]
    if timeout is None:
        assert isinstance(result, Image)
        assert script.clock.now == min(float(value), 3600.0)
    else:
        assert isinstance(result, WaitTimeout)
        assert (result.elapsed, result.asked, script.clock.now) == (0.0, False, 0.0)
        assert words in str(result)


@pytest.mark.parametrize(("retry_after", "pause"), [("9", 9.0), ("1", 4.0)])
def test_retry_after_on_a_good_answer_wins_when_it_is_later(driver: Driver, retry_after: str, pause: float) -> None:
    """The next question comes when both the policy and the gateway are ready for it."""
    script = Script(says(processing(0.5), headers={"Retry-After": retry_after}), FINISHED)
    assert run_wait(driver, script) == Outcome([pause], None, IMAGE)


@pytest.mark.parametrize(("code", "expected"), [(429, [20.0]), (503, [])])
def test_a_rate_limit_slows_the_other_waits_of_the_client(driver: Driver, code: int, expected: list[float]) -> None:
    """After a 429, no wait of the client asks before the time is up; a 503 concerns only the wait that met it."""
    script = Script(says({"error": "later"}, code, {"Retry-After": "20"}), says(completed(request_id="other")))

    async def scenario(cat: Cat) -> None:
        with pytest.raises(WaitTimeout):
            await cat.wait("r", 1.0)
        await cat.wait("other")

    driver.run(scenario, script)
    assert script.clock.sleeps == expected


def test_a_rate_limit_slows_waits_that_are_under_way(driver: Driver) -> None:
    """Two watches of one client in turn: the 429 that the first one meets holds back the second one's next question."""
    other = processing(0.5, request_id="other")
    script = Script(
        says(processing(0.5)),
        says(other),
        says({"error": "later"}, 429, {"Retry-After": "20"}),
        says({**other, "progress": 0.75}),
    )

    async def scenario(cat: Cat) -> None:
        async with leaving(cat.watch("r", 5.0)) as first, leaving(cat.watch("other")) as second:
            await anext(first)
            await anext(second)
            with pytest.raises(WaitTimeout):
                await anext(first)
            await anext(second)

    driver.run(scenario, script)
    assert (script.clock.sleeps, script.asked) == ([4.0, 20.0], [0.0, 0.0, 4.0, 24.0])


def test_a_rate_limit_does_not_slow_a_single_question(driver: Driver) -> None:
    """`status` asks at once, whatever the waits of the client were told."""
    script = Script(says({"error": "later"}, 429, {"Retry-After": "20"}), FINISHED)

    async def scenario(cat: Cat) -> Status:
        with pytest.raises(WaitTimeout):
            await cat.wait("r", 1.0)
        return await cat.status("r")

    assert (driver.run(scenario, script), script.clock.sleeps) == (DONE, [])


def test_a_shorter_rate_limit_does_not_cut_a_longer_one_short() -> None:
    """Of two wishes to be left alone, which two requests in flight may bring, the later end counts."""
    rate_limiter = RateLimiter()
    long, short = (Pause(seconds, START, seconds) for seconds in (20.0, 2.0))
    rate_limiter.on_rate_limited(0.0, 0.0, long)
    rate_limiter.on_rate_limited(0.0, 0.0, short)
    assert (rate_limiter.quiet_until, rate_limiter.pause) == (20.0, long)


# --- Deadlines. ---


def limits(script: Script) -> list[set[float]]:
    """Return the limits of the steps of each question, but for that of the wait for a connection, which is shorter."""
    timeouts = [request.extensions["timeout"] for request in script.requests]
    return [{seconds for phase, seconds in one.items() if phase != "pool"} for one in timeouts]


def test_no_question_gets_more_time_than_is_left(driver: Driver) -> None:
    """A question may take half a minute, and less when the deadline is nearer, in every phase of it."""
    script = Script(then=repeat(says(processing(0.5), after=7.0)))
    run_wait(driver, script, 40.0)
    assert (script.asked, limits(script)) == ([0.0, 11.0, 22.0, 33.0], [{30.0}, {29.0}, {18.0}, {7.0}])


def test_a_question_without_a_deadline_gets_half_a_minute(driver: Driver) -> None:
    """`status`, and `wait` without a deadline, give a question 30 s."""
    script = Script(FINISHED, FINISHED)
    driver.status(script)
    driver.wait(script)
    assert limits(script) == [{30.0}, {30.0}]


def test_a_shorter_timeout_of_the_callers_http_client_holds(driver: Driver) -> None:
    """The limits of an HTTP client that the caller brings are kept where they are shorter than ours."""
    script = Script(FINISHED)

    async def scenario(cat: Cat) -> Status:
        return await cat.status("r")

    driver.run(scenario, script, http_timeout=2.0)
    assert set(script.requests[0].extensions["timeout"].values()) == {2.0}


def test_the_deadline_bounds_the_request_in_flight(driver: Driver) -> None:
    """A gateway that does not answer costs no more time than was given."""
    error = WaitTimeout("r", 10.0, None, APITimeoutError("no whole answer within 10 s", HOST))
    assert run_wait(driver, Script(says({}, after=1000.0)), 10.0) == Outcome([], None, anatomy(error))


def test_the_deadline_bounds_an_answer_that_trickles_in(driver: Driver) -> None:
    """A body whose bytes come one at a time, each in time, costs no more than one byte's time too much."""
    error = WaitTimeout("r", 10.5, None, APITimeoutError("no whole answer within 10 s", HOST))
    script = Script(Reply(body=cycle([b" ", 0.5])))
    assert run_wait(driver, script, 10.0) == Outcome([], None, anatomy(error))


def test_a_slow_answer_that_comes_in_time_counts(driver: Driver) -> None:
    """The time that an answer takes is not held against it."""
    script = Script(says(processing(0.5), after=9.0), says(completed(), after=9.0))
    assert run_wait(driver, script, 30.0) == Outcome([4.0], None, IMAGE)


def test_a_last_question_is_asked_shortly_before_the_deadline(driver: Driver) -> None:
    """A policy that would sleep past the deadline is not followed: one more question comes one second before."""
    script = Script(then=repeat(says(processing(0.5))))
    outcome = run_wait(driver, script, 7.0)
    assert (outcome.sleeps, script.asked) == ([4.0, 2.0, 1.0], [0.0, 4.0, 6.0])


def test_a_request_done_before_the_deadline_is_not_missed(driver: Driver) -> None:
    """The last question finds what was finished during the last pause."""
    assert run_wait(driver, Script(says(processing(0.5)), says(processing(0.75)), FINISHED), 7.0) == Outcome(
        [4.0, 2.0], None, IMAGE
    )


def test_the_first_question_is_asked_at_once(driver: Driver) -> None:
    """No policy and no caution delays the first question."""
    script = Script(FINISHED)
    driver.wait(script)
    assert script.asked == [0.0]


@pytest.mark.parametrize("run", [run_wait, run_watch])
def test_no_time_is_no_question(driver: Driver, run: Any) -> None:
    """With a timeout of 0, the deadline has passed before the first question."""
    outcome = run(driver, Script(), 0)
    assert (outcome.sleeps, outcome.end) == ([], anatomy(WaitTimeout("r", 0.0, asked=False)))


@pytest.mark.parametrize("timeout", [None, inf])
def test_no_deadline_is_for_ever(driver: Driver, timeout: float | None) -> None:
    """With a timeout of None or infinity, only the answer ends the wait."""
    script = Script(then=chain(repeat(says(processing(0.5)), 150), [FINISHED]))
    assert run_wait(driver, script, timeout) == Outcome([4.0] * 150, None, IMAGE)  # Twice the default


OUTLANDISH = 10**5000
"""An integer that Python makes neither a float nor a text of."""


def repr_of(value: Any) -> str:
    """Return a name for a test's argument."""
    return type(value).__name__ if isinstance(value, int) and abs(value) >= OUTLANDISH else repr(value)


@pytest.mark.parametrize("method", ["wait", "watch"])
@pytest.mark.parametrize("timeout", [-1, -0.001, nan, -inf, True, "10", "", [], OUTLANDISH, -OUTLANDISH], ids=repr_of)
def test_a_timeout_that_is_no_time_is_refused(method: str, timeout: Any) -> None:
    """A timeout that can't be meant so is a `ConfigurationError`, and nothing is asked."""

    async def scenario(cat: Cat) -> Any:
        return await cat.wait("r", timeout) if method == "wait" else cat.watch("r", timeout)

    script = Script()
    with pytest.raises(ConfigurationError, match=r"^A timeout is .*\.$"):
        SYNC.run(scenario, script)
    assert script.requests == []


@pytest.mark.parametrize("unknown", ["ignore", None, True, []])
def test_an_unknown_way_to_meet_unknown_words_is_refused(unknown: Any) -> None:
    """`unknown` is one of two words; all else is a `ConfigurationError`, and nothing is asked."""
    script = Script()
    with pytest.raises(ConfigurationError, match=r"^unknown is 'wait' or 'raise', not .*\.$"):
        SYNC.wait(script, unknown=unknown)
    assert script.requests == []


# --- The policy. ---


@define
class Notes:
    """A policy, and the plan of its every wait: pauses from a list, and a note of all that it was told."""

    pauses: list[float]
    plans: int = 0
    asked: list[tuple[float, float | None]] = field(factory=list)
    ended: list[float] = field(factory=list)

    def plan(self) -> "Notes":
        """Return the plan, and count it."""
        self.plans += 1
        return self

    def next(self, elapsed: float, progress: float | None) -> float:
        """Return the next pause of the list."""
        self.asked.append((elapsed, progress))
        return self.pauses.pop(0)

    def finished(self, elapsed: float) -> None:
        """Note how long the request took."""
        self.ended.append(elapsed)


def test_the_policy_is_asked_after_each_answer_and_told_of_the_end(driver: Driver) -> None:
    """The plan hears of every answer's time and progress, and of how long the request took; faults are not its own."""
    notes = Notes([2.0, 3.0])
    script = Script(
        says({"status": "queued"}), fails(httpx.ConnectError("refused")), says(processing(0.5)), says(completed())
    )
    driver.wait(script, polling=notes)
    assert script.clock.sleeps == [2.0, 0.5, 3.0]
    assert notes == Notes([], 1, [(0.0, None), (2.5, 0.5)], [5.5])


@pytest.mark.parametrize("word", ["failed", "cancelled"])
def test_the_policy_is_told_of_a_failure_too(driver: Driver, word: str) -> None:
    """A request that failed is finished as well."""
    notes = Notes([2.0])
    with pytest.raises(GenerationFailed):
        driver.wait(Script(says(processing(0.5)), says({"status": word})), polling=notes)
    assert notes == Notes([], 1, [(0.0, 0.5)], [2.0])


def test_the_policy_is_not_told_of_an_end_that_was_none(driver: Driver) -> None:
    """A wait that ran out of time has not seen its request end, and every wait has a plan of its own."""
    notes = Notes([2.0, 3.0])

    async def scenario(cat: Cat) -> None:
        for _ in range(2):
            with pytest.raises(WaitTimeout):
                await cat.wait("r", 1.5)

    driver.run(scenario, Script(then=repeat(says(processing(0.5)))), polling=notes)
    assert notes == Notes([], 2, [(0.0, 0.5), (0.0, 0.5)], [])


def test_geometric_pauses_grow_with_the_wait(driver: Driver) -> None:
    """The default schedule, here without jitter, pauses a quarter of the time waited so far, and at least 0.5 s."""
    script = Script(*[says(processing(0.5))] * 8, FINISHED)
    driver.wait(script, polling=GeometricPolling(jitter=0.0))
    assert script.clock.sleeps == [0.5, 0.5, 0.5, 0.5, 0.5, 0.625, 0.78125, 0.9765625]


# --- What is logged. ---


def test_each_unknown_word_is_warned_of_once(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    """The log says once per word that nobody knows it, and what to do."""
    words = ("dreaming", "dreaming", "snoring", "dreaming")
    driver.wait(Script(*(says({"status": word}) for word in words), FINISHED))
    expected = [
        (
            "longcat",
            logging.WARNING,
            (
                f'request r has the unknown status "{word}"; waiting on. If it is final, cancel the wait, and add the'
                " word to the contract."
            ),
        )
        for word in ("dreaming", "snoring")
    ]
    assert caplog.record_tuples == expected


def test_faults_are_logged(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    """Each transient fault is one line at level INFO."""
    caplog.set_level(logging.INFO, "longcat")
    driver.wait(Script(fails(httpx.ConnectError("refused")), says(b"", 522), FINISHED))
    assert [message for name, _, message in caplog.record_tuples if name == "longcat"] == [
        (
            "request r: No answer from gateway.test: refused. Check the network and the base URL, then try again."
            " Waiting on."
        ),
        (
            "request r: The gateway answered 522 about request 'r': no reason given. Ask again later; wait() does so by"
            " itself. Waiting on."
        ),
    ]


# --- The end, whatever brings it. ---


def interrupt() -> None:
    """Be the user who presses Ctrl-C."""
    raise KeyboardInterrupt


def interrupted_wait(driver: Driver, script: Script) -> tuple[int, list[bool]]:
    """Wait, be interrupted, and return how many questions were asked and which connections were let go."""
    with pytest.raises(KeyboardInterrupt):
        driver.wait(script)
    return len(script.requests), [body.closed for body in script.bodies]


def test_ctrl_c_ends_a_pause(driver: Driver) -> None:
    """Ctrl-C during a pause comes out of `wait`, and nothing is asked afterwards."""
    script = Script(says(processing(0.5)), FINISHED)
    script.clock.on_sleep = interrupt
    assert interrupted_wait(driver, script) == (1, [True])


def test_ctrl_c_ends_a_question(driver: Driver) -> None:
    """Ctrl-C before the answer comes out of `wait`, and nothing is asked afterwards."""
    assert interrupted_wait(driver, Script(fails(KeyboardInterrupt()), FINISHED)) == (1, [])


def test_ctrl_c_ends_an_answer(driver: Driver) -> None:
    """Ctrl-C within the answer comes out of `wait`, the connection is let go, and nothing is asked afterwards."""
    assert interrupted_wait(driver, Script(Reply(body=(b"{", KeyboardInterrupt())), FINISHED)) == (1, [True])


def cancelled_wait(driver: Driver, script: Script, prepare: Any) -> None:
    """Wait, be cancelled, and fail unless the wait is over and has left no task behind."""

    async def scenario(cat: Cat) -> None:
        before = anyio.get_running_tasks()
        with anyio.CancelScope() as scope:
            prepare(scope)
            await cat.wait("r")
        assert (scope.cancelled_caught, anyio.get_running_tasks()) == (True, before)

    driver.run(scenario, script)
    assert (len(script.requests), [body.closed for body in script.bodies]) == (1, [True])


def test_cancelling_ends_a_pause(event_loop_driver: Driver) -> None:
    """A task that is cancelled during a pause ends at once, and nothing is asked afterwards."""
    script = Script(says(processing(0.5)), FINISHED)

    def prepare(scope: anyio.CancelScope) -> None:
        script.clock.on_sleep = scope.cancel

    cancelled_wait(event_loop_driver, script, prepare)


def test_cancelling_ends_an_answer(event_loop_driver: Driver) -> None:
    """A task that is cancelled within an answer ends at once, and the connection is let go."""
    scopes: list[anyio.CancelScope] = []

    def body() -> Iterator[bytes]:
        scopes[0].cancel()
        yield b"{"
        raise AssertionError("the answer was read on")

    cancelled_wait(event_loop_driver, Script(Reply(body=body()), FINISHED), scopes.append)


def test_an_asynchronous_pause_lets_other_tasks_run(event_loop_driver: Driver) -> None:
    """`AsyncLongCat` never sleeps in a way that would stop the event loop."""

    class Patient(VirtualClock):
        def sleep(self, seconds: float) -> None:
            raise AssertionError(f"the event loop stood still for {seconds} s")

    script = Script(says(processing(0.5)), FINISHED, clock=Patient())
    assert event_loop_driver.wait(script) == IMAGE
    assert script.clock.sleeps == [4.0]


def test_the_callers_own_deadline_is_not_taken_for_ours(event_loop_driver: Driver) -> None:
    """A scope around the wait that runs out cancels it; no exception of ours hides that."""

    async def scenario(cat: Cat) -> bool:
        with anyio.move_on_after(0) as scope:
            await cat.wait("r")
        return scope.cancelled_caught

    assert event_loop_driver.run(scenario, Script(FINISHED))


def test_leaving_a_watch_asks_no_more(driver: Driver) -> None:
    """A loop over `watch` that is left early has asked for what it got, and holds no connection."""
    script = Script(says(processing(0.25)), says(processing(0.5)), FINISHED)

    async def scenario(cat: Cat) -> Status:
        async with leaving(cat.watch("r")) as statuses:
            await anext(statuses)
            return await anext(statuses)

    assert driver.run(scenario, script) == ongoing(0.5)
    assert (len(script.requests), [body.closed for body in script.bodies]) == (2, [True, True])


def test_a_timeout_leaves_no_thread(driver: Driver) -> None:
    """The deadline is kept without a thread."""
    before = {*threading.enumerate()}
    run_wait(driver, Script(says({}, after=1000.0)), 10.0)
    assert {*threading.enumerate()} - before == set()


# --- One question. ---


def single_answers() -> Iterator[tuple[str, tuple[Reply, Any]]]:
    """Yield every reply of the tables by its name, with what `status` makes of it."""
    for name, row in ROWS.items():
        raised = not isinstance(row.end, Image | GenerationFailed | WaitTimeout)
        if row.unknown == "wait":
            yield name, (row.replies[-1], row.end if raised else row.seen[-1])
    yield from FAULTS.items()


@by_driver(dict(single_answers()), "answer", "completed", "404", *OF_EACH_KIND)
def test_status_asks_exactly_once_whatever_comes(driver: Driver, answer: tuple[Reply, Any]) -> None:
    """`status` is one question without a pause, and its answer or its error."""
    reply, expected = answer
    if isinstance(expected, APITimeoutError):
        expected = APITimeoutError("no whole answer within 30 s", HOST, expected.sent)
    script = Script(reply)
    try:
        actual: Any = driver.status(script)
    except LongCatError as error:
        actual = error
    assert (anatomy(actual), len(script.requests), script.clock.sleeps) == (anatomy(expected), 1, [])
    settle(script, None)


def test_the_question_is_the_documented_one(driver: Driver) -> None:
    """It is a POST of the id as JSON, with the key in its header, and says who asks."""
    script = Script(FINISHED)
    driver.status(script)
    (request,) = script.requests
    headers = dict(request.headers)
    agent = headers.pop("user-agent")
    assert (
        request.method,
        str(request.url),
        request.content,
    ) == ("POST", f"{URL}/longcat-image-request-result", b'{"request_id": "r"}')
    assert headers == {
        "host": HOST,
        "accept": "application/json",
        "accept-encoding": headers["accept-encoding"],
        "connection": "keep-alive",
        "content-length": "19",
        "content-type": "application/json",
        "ocp-apim-subscription-key": KEY,
    }
    assert agent.startswith(f"longcat-image/{longcat.__version__} python/")


def test_a_request_id_is_sent_as_it_is(driver: Driver) -> None:
    """Quotes, backslashes and letters of any script arrive unharmed."""
    request_id = 'a"b\\c é 猫'
    script = Script(says(completed(request_id=request_id)))

    async def scenario(cat: Cat) -> Image:
        return await cat.wait(request_id)

    assert driver.run(scenario, script) == Image(request_id, PICTURE, (PICTURE,))
    assert json.loads(script.requests[0].content) == {"request_id": request_id}


# --- The phases. ---


def test_every_phase_can_be_reached_and_left() -> None:
    """The table has a row for each phase, each phase comes after another one, and a wait can be left at any time."""
    assert set(MOVES) == set(Phase)
    assert {phase for row in MOVES.values() for phase in row.values()} == set(Phase) - {Phase.NEW}
    after = {phase: row["closed"] for phase, row in MOVES.items()}
    assert after == dict.fromkeys(Phase, Phase.CLOSED) | {Phase.DONE: Phase.DONE}


def test_a_wait_that_has_not_begun_has_taken_no_time() -> None:
    """Its seconds are counted from its beginning."""
    wait = Wait(ResultGateway(URL, KEY), "r", FixedPolling(1.0), RateLimiter(), None, "wait", lambda: 7.0, lambda: 0.5)
    assert wait.elapsed == 0.0


def test_a_wait_that_was_left_asks_no_more() -> None:
    """A closed wait that is asked to go on fails, and does not go back to a phase in which it holds the request."""
    wait = Wait(ResultGateway(URL, KEY), "r", FixedPolling(1.0), RateLimiter(), None, "wait", lambda: 0.0, lambda: 0.5)
    wait.close()
    wait.close()
    flow = wait.change()
    next(flow)
    with pytest.raises(KeyError):
        flow.send(None)


class TakenOver:
    """A store in which another program has taken a request over, once it was asked about, until the moment 10."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.began = self.clock.monotonic()

    def claim(self, request_id: str) -> bool:  # noqa: ARG002 - there is one request.
        """Claim it at the beginning, and again at the end."""
        return not 0.0 < self.clock.monotonic() - self.began < 10.0

    def is_ours(self, request_id: str) -> bool:  # noqa: ARG002 - as above.
        """Whether it is ours."""
        return self.claim("r")

    confirm = is_ours

    def last(self, request_id: str) -> None:
        """Know no answer."""

    def release(self, request_id: str) -> None:
        """Do nothing."""

    def note(self, status: Status) -> None:
        """Keep nothing."""

    def note_refusal(self, request_id: str, reason: str) -> None:
        """Keep nothing."""

    def later(self, write: Any) -> None:
        """Write at once."""
        write()


def test_a_wait_whose_request_was_taken_over_says_that_it_has_asked() -> None:
    """Once it has asked, its time-out says so, also if another program had the request meanwhile."""
    store = TakenOver()
    clock, limiter = store.clock, RateLimiter()
    wait = Wait(
        ResultGateway(URL, KEY), "r", FixedPolling(1.0), limiter, 10.0, "wait", clock.monotonic, lambda: 0.5, store
    )
    calls: list[Call] = []

    def perform(command: Command) -> Answer | None:
        match command:
            case Call():
                calls.append(command)
                return Answer(500, {}, b"")
            case Sleep(seconds):
                clock.sleep(seconds)
            case Acquire():
                command.spend(limiter.reserve(clock.monotonic()))
            case RunInThread(function):
                function()
        return None

    with pytest.raises(WaitTimeout) as caught:
        drive(wait.image(), perform)
    assert (len(calls), caught.value.asked, "no answer came" in str(caught.value)) == (1, True, True)


@pytest.mark.parametrize(("code", "refusals"), [(429, 1), (503, 0)])
def test_only_a_429_is_a_refusal_by_the_rate(code: int, refusals: int) -> None:
    """A 503 may ask for a pause, too, but does not say that the client asks too often."""
    limiter = Refused()
    wait = Wait(ResultGateway(URL, KEY), "r", FixedPolling(1.0), limiter, None, "wait", lambda: 0.0, lambda: 0.5)
    flow = wait.outcome()
    command = next(flow)
    while not isinstance(command, Call):
        command = flow.send(None)
    flow.send(Answer(code, {"retry-after": "20"}, b"later"))
    flow.close()
    assert limiter.refusals == refusals


class Refused(RateLimiter):
    """A rate limiter that counts the refusals it is told of."""

    refusals = 0

    def on_rate_limited(self, now: float, asked: float, pause: Pause) -> None:
        """Count it."""
        self.refusals += 1
        super().on_rate_limited(now, asked, pause)


def test_a_pause_in_a_batch_holds_no_body() -> None:
    """While a request of a batch waits after a fault with a large body, nothing holds more of it than 16 KiB."""
    wait = Wait(ResultGateway(URL, KEY), "r", FixedPolling(1.0), RateLimiter(), None, "wait", lambda: 0.0, lambda: 0.5)
    flow = wait.outcome()
    body = b"<html>" * 10_000
    before = sys.getrefcount(body)
    command = next(flow)
    while not isinstance(command, Call):
        command = flow.send(None)
    flow.send(Answer(500, {}, body))
    error = wait._faults.last_error
    assert isinstance(error, InternalServerError)
    assert (len(error.body), sys.getrefcount(body)) == (16 * 1024, before)
    flow.close()


def test_a_pause_in_a_batch_holds_no_raw_answer() -> None:
    """Nor does it after a large answer that says the request is not done."""
    wait = Wait(ResultGateway(URL, KEY), "r", FixedPolling(1.0), RateLimiter(), None, "wait", lambda: 0.0, lambda: 0.5)
    seen: list[Status] = []
    flow = wait.outcome(seen.append)
    command = next(flow)
    while not isinstance(command, Call):
        command = flow.send(None)
    flow.send(Answer(200, {}, json.dumps({"status": "painting", "more": "x" * 100_000}).encode()))
    assert wait.last_status is not None
    assert (wait.last_status.raw, [status.raw_state for status in seen]) == (None, ["painting"])
    flow.close()
