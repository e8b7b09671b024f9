"""That waits go on, and end in time, where a tool for tests has stopped the time."""

import time
from functools import partial

import anyio
import anyio.lowlevel
import pytest
from fakes import Cat, Driver
from servers import LIMIT, SOON
from trio._core import _run as trio_run  # As freezegun, which replaces the clock wherever a module has it.

from longcat import FixedPolling, WaitTimeout
from longcat.clock import SystemClock, asleep, monotonic, stands_still
from longcat.sending.loops import CallScope
from longcat.testing import FakeGateway


@pytest.fixture
def _stopped_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the time, as freezegun does, and `mock.patch`."""
    for name in ("time", "monotonic", "perf_counter"):
        monkeypatch.setattr(time, name, lambda: 1000.0)
    monkeypatch.setattr(trio_run, "perf_counter", lambda: 1000.0)


def test_a_clock_that_goes_does_not_stand_still() -> None:
    """Event loops are left their own timers."""
    assert not stands_still()


@pytest.mark.usefixtures("_stopped_time")
def test_waits_end_where_time_stands_still(driver: Driver) -> None:
    """A request is done, another one is not when its time is up, and both are told, alone and in a batch."""
    gateway = FakeGateway(SystemClock()).request("r", takes=0.03).request("s", takes=600)

    async def scenario(cat: Cat, seconds: float) -> list[object]:
        return [await cat.wait("r", LIMIT), *await cat.wait_all(["r", "s"], seconds)]

    assert stands_still()
    for seconds in (0.1, 2.0, SOON):  # A busy machine may need longer for the answer.
        before = monotonic()
        first, again, late = driver.run(partial(scenario, seconds=seconds), gateway, polling=FixedPolling(0.01))
        if first == again:
            break
    assert first == again
    assert isinstance(late, WaitTimeout)
    assert seconds <= monotonic() - before < seconds + LIMIT


@pytest.mark.usefixtures("_stopped_time")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_sleep_lasts_its_time_where_time_stands_still(backend: str) -> None:
    """It is slept in a thread, by a clock that goes."""
    before = monotonic()
    anyio.run(asleep, 0.02, backend=backend)
    assert monotonic() - before >= 0.02


@pytest.mark.usefixtures("_stopped_time")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_call_that_nobody_answers_ends_where_time_stands_still(backend: str) -> None:
    """Its deadline comes by a clock that goes."""

    async def main() -> None:
        with pytest.raises(TimeoutError), CallScope(0.02, set()):
            await anyio.sleep_forever()
        with CallScope(60.0, set()):
            await anyio.lowlevel.checkpoint()

    anyio.run(main, backend=backend)
