"""That the stand-ins do as they say, as every other test builds on them."""

import asyncio
from contextlib import nullcontext
from itertools import repeat

import httpx
import pytest
import trio
from fakes import (
    HOST,
    IMAGE,
    Body,
    Cat,
    Driver,
    Reply,
    Script,
    anatomy,
    changes,
    completed,
    fails,
    finish,
    leaving,
    processing,
    says,
)

from longcat import (
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
    LongCatError,
    State,
    Status,
    WaitTimeout,
)
from longcat.testing import VirtualClock

REQUEST = httpx.Request("POST", "https://gateway.test", extensions={"timeout": {"read": 5.0}})


def event_loop() -> str:
    """Return whose event loop is running; `sync` for nobody's."""
    if trio.lowlevel.in_trio_run():
        return "trio"
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return "sync"
    return "asyncio"


def ask(script: Script) -> tuple[int, bytes]:
    """Send a request through a script, and return the code and the body of the answer."""
    response = script.handle_request(REQUEST)
    return response.status_code, response.read()


def test_a_script_gives_its_replies_in_order_and_notes_the_questions() -> None:
    """Each question gets the next reply, at the time of the clock."""
    script = Script(says({"a": 1}), says(b"no", 503, {"Retry-After": "1"}, after=2.0), then=repeat(Reply(204)))
    assert [ask(script) for _ in range(4)] == [(200, b'{"a": 1}'), (503, b"no"), (204, b""), (204, b"")]
    assert (script.requests, script.asked) == ([REQUEST] * 4, [0.0, 0.0, 2.0, 2.0])


def test_a_question_too_many_fails_the_test() -> None:
    """A script that has come to its end does not invent an answer, nor is its complaint taken for a fault."""
    with pytest.raises(AssertionError, match="question 2 was not foreseen"):
        Driver("sync").wait(Script(says(processing())))


@pytest.mark.parametrize(("after", "now"), [(5.0, 5.0), (5.5, 5.0)])
def test_a_reply_takes_the_time_that_the_request_allows(after: float, now: float) -> None:
    """An answer that comes too late costs the whole of the request's timeout, and is none."""
    script = Script(says({}, after=after))
    with nullcontext() if after <= 5.0 else pytest.raises(httpx.ReadTimeout):
        ask(script)
    assert (script.clock.now, len(script.bodies)) == (now, 1 if after <= 5.0 else 0)


def test_a_reply_may_be_an_error() -> None:
    """A failure comes out of the transport after its time."""
    script = Script(fails(httpx.ConnectError("refused"), after=1.0))
    with pytest.raises(httpx.ConnectError, match="refused"):
        ask(script)
    assert script.clock.now == 1.0


def test_a_body_comes_piece_by_piece() -> None:
    """Bytes are yielded and counted, seconds pass, an exception is raised, and closing is noted."""
    clock = VirtualClock()
    body = Body([b"ab", 2.0, b"c", OSError("cut")], clock)
    chunks = iter(body)
    assert ([next(chunks), next(chunks)], clock.now, body.taken, body.closed) == ([b"ab", b"c"], 2.0, 3, False)
    with pytest.raises(OSError, match="cut"):
        next(chunks)


def test_a_body_that_was_let_go_is_not_read_on() -> None:
    """After it was closed, a body has no more bytes but an error, like that of a real connection."""
    body = Body(repeat(b"a"), VirtualClock())
    chunks = iter(body)
    next(chunks)
    body.close()
    with pytest.raises(httpx.ReadError, match="the connection is closed"):
        next(chunks)
    assert (body.taken, body.closed) == (1, True)


def test_every_driver_runs_the_same_scenario(driver: Driver) -> None:
    """One scenario gives one result, whichever client it is run with."""

    async def scenario(cat: Cat) -> tuple[list[Status], Status]:
        async with leaving(cat.watch("r")) as statuses:
            seen = [await anext(statuses)]
        return seen, await cat.status("r")

    half = Status("r", State.PROCESSING, "processing", 0.5)
    done = Status("r", State.COMPLETED, "completed", 1.0, IMAGE)
    assert driver.run(scenario, Script(says(processing()), says(completed()))) == ([half], done)


def test_drivers_use_the_event_loops_that_they_are_named_after(driver: Driver) -> None:
    """The scenario runs in no event loop, in asyncio's and in trio's."""

    async def scenario(_: Cat) -> str:
        return event_loop()

    assert driver.run(scenario, Script()) == driver.name


def test_a_blocking_scenario_can_not_wait_for_an_event_loop() -> None:
    """A coroutine that would wait is an error, not a scenario that ends early."""
    with pytest.raises(AssertionError, match="waited for an event loop"):
        finish(asyncio.sleep(0))


def test_changes_keeps_what_came_before_an_error(driver: Driver) -> None:
    """The statuses of a watch that ends with an error are returned beside it."""

    async def scenario(cat: Cat) -> tuple[list[Status], LongCatError | None]:
        return await changes(cat.watch("r", 1.0))

    seen, error = driver.run(scenario, Script(says(processing())))
    half = Status("r", State.PROCESSING, "processing", 0.5)
    assert (seen, anatomy(error)) == ([half], anatomy(WaitTimeout("r", 1.0, half)))


def test_anatomy_tells_errors_apart() -> None:
    """Errors are alike when their classes, values and inner errors are."""
    inner = APIConnectionError("refused", HOST)
    error = WaitTimeout("r", 1.0, None, inner)
    assert anatomy(error) == anatomy(WaitTimeout("r", 1.0, None, APIConnectionError("refused", HOST)))
    others = [
        WaitTimeout("r", 1.0),
        WaitTimeout("r", 1.0, None, APIConnectionError("reset", HOST)),
        WaitTimeout("r", 1.0, None, APITimeoutError("refused", HOST)),
        ConfigurationError("no key"),
        ConfigurationError("no URL"),
    ]
    assert len({repr(anatomy(one)) for one in [error, *others]}) == 6
