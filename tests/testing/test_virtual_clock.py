"""That `longcat.testing.VirtualClock` tells the time as a real clock would, and takes none."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from math import inf, nan
from types import SimpleNamespace
from typing import TypeAlias

import anyio
import anyio.abc
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from longcat import Clock
from longcat.testing import VirtualClock

Wakes: TypeAlias = list[tuple[str, float]]
each_loop = pytest.mark.parametrize("backend", ["asyncio", "trio"])


async def doze(clock: VirtualClock, wakes: Wakes, name: str, *naps: float) -> None:
    """Sleep some times, and note each time when that was over."""
    for nap in naps:
        await clock.asleep(nap)
        wakes.append((name, clock.monotonic()))


def run(backend: str, main: Callable[[anyio.abc.TaskGroup], Awaitable[None]]) -> None:
    """Run a function with a task group in a fresh event loop."""

    async def grouped() -> None:
        async with anyio.create_task_group() as group:
            await main(group)

    anyio.run(grouped, backend=backend)


def test_it_moves_when_it_sleeps() -> None:
    """Its sleeps take no time, are noted, and move both of its times."""
    clock: VirtualClock = VirtualClock()
    began = time.monotonic()
    clock.sleep(3000.0)
    clock.sleep(600.0)
    assert (clock.sleeps, clock.monotonic(), clock.time()) == ([3000.0, 600.0], 3600.0, 1_718_447_400.0 + 3600.0)
    assert time.monotonic() - began < 60.0


def test_its_start_can_be_chosen() -> None:
    """The time since the epoch begins where a test wants it to; the other one begins at 0."""
    clock: Clock = VirtualClock(start=86_400.0)
    clock.sleep(1.5)
    assert (clock.time(), clock.monotonic()) == (86_401.5, 1.5)


@each_loop
def test_a_sleep_lets_other_tasks_run(backend: str) -> None:
    """While one task sleeps and sleeps, another gets its turn before any time has passed."""
    clock = VirtualClock()
    seen: list[float] = []

    async def look() -> None:
        seen.append(clock.now)

    async def main(group: anyio.abc.TaskGroup) -> None:
        group.start_soon(look)
        for _ in range(3):
            await clock.asleep(4.0)

    run(backend, main)
    assert (clock.sleeps, seen) == ([4.0, 4.0, 4.0], [0.0])


@each_loop
def test_sleepers_wake_when_they_are_due(backend: str) -> None:
    """Tasks that sleep at once wake in the order in which they are due, those of one moment as they fell asleep."""
    clock = VirtualClock()
    wakes: Wakes = []

    async def main(group: anyio.abc.TaskGroup) -> None:
        for name, naps in {"a": (5.0, 1.0), "b": (1.0, 1.0, 7.0), "c": (3.0, 0.0), "d": (3.0,), "e": (0.0,)}.items():
            group.start_soon(doze, clock, wakes, name, *naps)
            await checkpoint()

    run(backend, main)
    expected = [("e", 0), ("b", 1), ("b", 2), ("c", 3), ("d", 3), ("c", 3), ("a", 5), ("a", 6), ("b", 9)]
    assert wakes == expected


@each_loop
@given(everyone=st.lists(st.lists(st.integers(0, 5), max_size=5), max_size=8))
def test_any_sleepers_wake_when_they_are_due(backend: str, everyone: list[list[int]]) -> None:
    """Whoever sleeps however often: each wakes at its own times, and no one sees the clock go backwards."""
    clock = VirtualClock()
    wakes: Wakes = []

    async def main(group: anyio.abc.TaskGroup) -> None:
        for name, naps in enumerate(everyone):
            group.start_soon(doze, clock, wakes, str(name), *naps)

    run(backend, main)
    times = [moment for _, moment in wakes]
    assert times == sorted(times)
    for name, naps in enumerate(everyone):
        assert [moment for one, moment in wakes if one == str(name)] == list(accumulate(naps))


@each_loop
def test_time_waits_for_work(backend: str) -> None:
    """A task that has much to do before it falls asleep does not come too late."""
    clock = VirtualClock()
    wakes: Wakes = []

    async def busy() -> None:
        for _ in range(50):
            await checkpoint()
        await doze(clock, wakes, "busy", 1.0)

    async def main(group: anyio.abc.TaskGroup) -> None:
        group.start_soon(doze, clock, wakes, "idle", 2.0)
        group.start_soon(busy)

    run(backend, main)
    assert wakes == [("busy", 1.0), ("idle", 2.0)]


@each_loop
def test_a_new_sleeper_may_be_the_first(backend: str) -> None:
    """Who falls asleep later and is due sooner wakes up first."""
    clock = VirtualClock()
    wakes: Wakes = []

    async def main(group: anyio.abc.TaskGroup) -> None:
        group.start_soon(doze, clock, wakes, "long", 10.0)
        await clock.asleep(1.0)
        group.start_soon(doze, clock, wakes, "short", 2.0)
        group.start_soon(doze, clock, wakes, "shorter", 1.0)

    run(backend, main)
    assert wakes == [("shorter", 2.0), ("short", 3.0), ("long", 10.0)]


@each_loop
@pytest.mark.parametrize("victim", ["first", "second", "third"])
def test_who_is_cancelled_lets_the_others_sleep(backend: str, victim: str) -> None:
    """A sleep that is cancelled lets no time pass; the others wake as if it had never been."""
    clock = VirtualClock()
    wakes: Wakes = []
    naps = {"first": 3.0, "second": 4.0, "third": 5.0}

    async def main(group: anyio.abc.TaskGroup) -> None:
        scopes = {name: anyio.CancelScope() for name in naps}

        async def cancellable(name: str) -> None:
            with scopes[name]:
                await doze(clock, wakes, name, naps[name])

        for name in naps:
            group.start_soon(cancellable, name)
        await clock.asleep(2.0)
        scopes[victim].cancel()

    run(backend, main)
    assert wakes == [(name, nap) for name, nap in naps.items() if name != victim]


@each_loop
def test_a_cancelled_sleeper_lets_no_time_pass(backend: str) -> None:
    """A sleep in a scope that is over ends at once, and the clock stays where it is."""
    clock = VirtualClock()

    async def main(_: anyio.abc.TaskGroup) -> None:
        with anyio.move_on_after(0):
            await clock.asleep(9.0)
        assert clock.now == 0.0
        await clock.asleep(1.0)

    run(backend, main)
    assert clock.now == 1.0


@each_loop
def test_one_clock_serves_many_event_loops(backend: str) -> None:
    """A clock goes on in the next event loop, even where the last one left a sleep unfinished."""
    clock = VirtualClock()

    async def ends_early(group: anyio.abc.TaskGroup) -> None:
        group.start_soon(clock.asleep, 1000.0)
        await clock.asleep(1.0)
        group.cancel_scope.cancel()

    for _ in range(3):
        run(backend, ends_early)
    assert (clock.now, clock._queues) == (3.0, {})


@each_loop
def test_time_that_a_test_lets_pass_is_not_taken_back(backend: str) -> None:
    """Who is overslept, because a test moved the clock, wakes up late, and the clock stays where it is."""
    clock = VirtualClock()
    wakes: Wakes = []

    async def main(group: anyio.abc.TaskGroup) -> None:
        group.start_soon(doze, clock, wakes, "late", 5.0)
        group.start_soon(doze, clock, wakes, "in time", 200.0)
        await clock.asleep(1.0)
        clock.now += 99.0

    run(backend, main)
    assert wakes == [("late", 100.0), ("in time", 200.0)]


@each_loop
def test_a_clock_that_is_held_stands_still(backend: str) -> None:
    """Sleeps begin while a thread is at work, and end only afterwards, each at its moment."""
    clock = VirtualClock()
    wakes: Wakes = []

    def work() -> None:
        for _ in range(20):
            assert (clock.now, wakes) == (0.0, [])
            time.sleep(0.005)

    async def main(group: anyio.abc.TaskGroup) -> None:
        for nap in (2.0, 1.0):
            group.start_soon(doze, clock, wakes, "", nap)
        with clock.hold():
            await anyio.to_thread.run_sync(work)

    run(backend, main)
    assert [moment for _, moment in wakes] == [1.0, 2.0]


def test_two_event_loops_at_once_share_a_clock() -> None:
    """Tasks of event loops in two threads sleep on one clock, each for as long as it should at least."""
    clock = VirtualClock()

    def sleeps(backend: str) -> list[float]:
        wakes: Wakes = []

        async def main(group: anyio.abc.TaskGroup) -> None:
            for nap in (1.0, 2.0, 3.0):
                group.start_soon(doze, clock, wakes, "", nap)

        run(backend, main)
        return [moment for _, moment in wakes]

    with ThreadPoolExecutor(2) as pool:
        for times in pool.map(sleeps, ["asyncio", "trio"]):
            assert times == sorted(times)
            assert all(moment >= nap for moment, nap in zip(times, (1.0, 2.0, 3.0), strict=True))


def test_a_sleep_that_ends_in_another_event_loop_keeps_nobody_asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even when it ends while trio looks whether all tasks wait."""
    clock, wakes, look = VirtualClock(), Wakes(), anyio.wait_all_tasks_blocked

    async def looking() -> None:
        if not wakes:
            with ThreadPoolExecutor() as pool:
                pool.submit(anyio.run, doze, clock, wakes, "elsewhere", 1.0).result()
        await look()

    async def main(_: anyio.abc.TaskGroup) -> None:
        with anyio.fail_after(60.0):
            await doze(clock, wakes, "here", 2.0)

    monkeypatch.setattr("anyio.wait_all_tasks_blocked", looking)
    run("trio", main)
    assert wakes == [("elsewhere", 1.0), ("here", 2.0)]


@each_loop
def test_a_thousand_sleepers_are_cheap(backend: str) -> None:
    """A thousand tasks that sleep five times each take seconds at most."""
    clock = VirtualClock()
    wakes: Wakes = []

    async def main(group: anyio.abc.TaskGroup) -> None:
        for number in range(1000):
            group.start_soon(doze, clock, wakes, "", *[1.0 + number / 1000] * 5)

    began = time.monotonic()
    run(backend, main)
    assert (len(wakes), wakes == sorted(wakes)) == (5000, True)
    assert clock.now == pytest.approx(5 * 1.999)
    assert time.monotonic() - began < 60.0


def test_threads_may_share_a_clock() -> None:
    """Sleeps of several threads overlap or add up, and none is lost."""
    clock = VirtualClock()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(clock.sleep, [1.0] * 800))
    assert clock.sleeps == [1.0] * 800
    assert 100.0 <= clock.now <= 800.0


def test_threads_that_hold_the_clock_wake_in_order() -> None:
    """Of threads that sleep in `hold` blocks, the earliest wakes first, and works before the next one wakes."""
    clock = VirtualClock()
    all_held = threading.Barrier(4)
    wakes: Wakes = []

    def work(nap: float) -> None:
        with clock.hold():
            all_held.wait()
            for _ in range(2):
                clock.sleep(nap)
                wakes.append(("", clock.now))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, [5.0, 2.0, 3.0, 9.0]))
    assert [moment for _, moment in wakes] == [2.0, 3.0, 4.0, 5.0, 6.0, 9.0, 10.0, 18.0]


def test_on_asyncio_a_task_that_never_rests_does_not_stop_the_clock() -> None:
    """A loop that gives others their turns until something happens does see it happen."""
    clock = VirtualClock()

    async def main() -> None:
        sleeper = asyncio.create_task(clock.asleep(600.0))
        while not sleeper.done():  # noqa: ASYNC110 - the very thing that is tested.
            await asyncio.sleep(0)

    asyncio.run(main())
    assert clock.now == 600.0


def test_an_event_loop_that_hides_its_queue_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where asyncio's event loop is another one, every task is given many turns before time moves."""
    monkeypatch.setattr("longcat.testing.clock.asyncio", SimpleNamespace(get_running_loop=object))
    test_sleepers_wake_when_they_are_due("asyncio")
    test_time_waits_for_work("asyncio")


@pytest.mark.parametrize("seconds", [-1.0, inf, nan])
def test_a_sleep_that_is_none_is_refused(seconds: float) -> None:
    """Nobody sleeps for less than no time, nor for ever, and nothing is noted of it."""
    clock = VirtualClock()
    message = r"^A sleep lasts zero or more seconds .* Pass such a number\.$"
    with pytest.raises(ValueError, match=message):
        clock.sleep(seconds)
    with pytest.raises(ValueError, match=message):
        anyio.run(clock.asleep, seconds)
    assert (clock.sleeps, clock.now) == ([], 0.0)


def test_what_is_called_at_a_sleep_can_end_it() -> None:
    """An exception from `on_sleep` comes out of the sleep, which is noted and takes no time."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    clock = VirtualClock(on_sleep=interrupt)
    with pytest.raises(KeyboardInterrupt):
        clock.sleep(5.0)
    with pytest.raises(KeyboardInterrupt):
        anyio.run(clock.asleep, 5.0)
    assert (clock.sleeps, clock.now) == ([5.0, 5.0], 0.0)


@each_loop
def test_work_between_two_sleeps_is_done_before_a_later_sleeper_wakes(backend: str) -> None:
    """A task that wakes up, works on in another task, and sleeps again, finds that no time has passed meanwhile."""
    clock, seen = VirtualClock(), []

    async def work(done: anyio.Event) -> None:
        await checkpoint()
        seen.append(clock.now)
        done.set()

    async def main(group: anyio.abc.TaskGroup) -> None:
        group.start_soon(clock.asleep, 30)
        for _ in range(3):
            await clock.asleep(1)
            done = anyio.Event()
            group.start_soon(work, done)
            await done.wait()

    run(backend, main)
    assert seen == [1.0, 2.0, 3.0]
