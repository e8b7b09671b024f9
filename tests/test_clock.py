"""That waits go on, and end in time, where a tool for tests has stopped the time."""

import time

import anyio
import anyio.lowlevel
import pytest
from fakes import Cat, Driver
from trio._core import _run as trio_run  # As freezegun, which replaces the clock wherever a module has it.

from longcat import FixedPolling, WaitTimeout
from longcat.clock import SystemClock, monotonic, stands_still
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
    gateway = FakeGateway(SystemClock()).request("r", takes=0.03).request("s", takes=60)

    async def scenario(cat: Cat) -> list[object]:
        return [await cat.wait("r", 5.0), *await cat.wait_all(["r", "s"], 0.1)]

    assert stands_still()
    before = monotonic()
    first, again, late = driver.run(scenario, gateway, polling=FixedPolling(0.01))
    assert first == again
    assert isinstance(late, WaitTimeout)
    assert 0.1 <= monotonic() - before < 10.0


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
