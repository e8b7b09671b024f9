"""What the stand-ins do that no other test would miss: they let a test fail that goes wrong."""

import asyncio
from collections import Counter
from contextlib import nullcontext
from itertools import repeat
from math import prod

import httpx
import pytest
import trio
from fakes import HOST, Body, Cat, Driver, Script, anatomy, finish, processing, says

from longcat import APIConnectionError, APITimeoutError, ConfigurationError, WaitTimeout
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


def test_each_row_in_turn_is_there_once(request: pytest.FixtureRequest) -> None:
    """Of a table whose rows take the drivers in turn, no row is left out, and none runs twice."""
    if request.config.option.keyword or any("::" in name for name in request.config.args):
        pytest.skip("not all rows were asked for")
    counts, sizes = Counter[object](), dict[object, int]()
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("in_turn") is not None:
            counts[item.function] += 1
            sizes[item.function] = prod(len(mark.args[1]) for mark in item.iter_markers("parametrize"))
    assert dict(counts) == sizes


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


def test_a_body_that_was_let_go_is_not_read_on() -> None:
    """After it was closed, a body has no more bytes but an error, like that of a real connection."""
    body = Body(repeat(b"a"), VirtualClock())
    chunks = iter(body)
    next(chunks)
    body.close()
    with pytest.raises(httpx.ReadError, match="the connection is closed"):
        next(chunks)
    assert (body.taken, body.closed) == (1, True)


def test_drivers_use_the_event_loops_that_they_are_named_after(driver: Driver) -> None:
    """The scenario runs in no event loop, in asyncio's and in trio's."""

    async def scenario(_: Cat) -> str:
        return event_loop()

    assert driver.run(scenario, Script()) == driver.name


def test_a_blocking_scenario_can_not_wait_for_an_event_loop() -> None:
    """A coroutine that would wait is an error, not a scenario that ends early."""
    with pytest.raises(AssertionError, match="waited for an event loop"):
        finish(asyncio.sleep(0))


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
