"""Performs the commands of a flow in the thread that calls, for `LongCat`."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from longcat.clock import Clock, SystemClock
from longcat.gateway.messages import Answer
from longcat.models import Status
from longcat.sending.loop_guard import LoopGuard
from longcat.waiting.commands import Command, Flow
from longcat.waiting.wake import WakeEvent

if TYPE_CHECKING:
    from longcat.waiting.wait import Wait

T = TypeVar("T")

WAKE_PARTS: Final = 1.0
"""Seconds that a clock sleeps at a time which can't be woken, where news may come."""

Stopped: TypeAlias = Callable[[], bool]


def drive(flow: Flow[T], perform: Callable[[Command], Answer | None]) -> T:
    """Obey a flow until it ends, and return its result.

    Raises ConfigurationError in a process that was forked midway, by a function of the caller's that the flow calls.
    """
    guard = LoopGuard()
    try:
        command = next(flow)
        while True:
            try:
                guard.check()
                answer = perform(command)
            except BaseException as error:  # noqa: BLE001 - the flow decides what becomes of it.
                command = flow.throw(error)
            else:
                command = flow.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def changes(wait: "Wait", perform: Callable[[Command], Answer | None]) -> Iterator[Status]:
    """Yield every change of a request, until it is done. Raises ConfigurationError in a process forked midway."""
    guard = LoopGuard()
    with closing(wait):
        while not wait.done:
            guard.check()
            yield drive(wait.change(), perform)


def sleep(clock: Clock, seconds: float, wake: WakeEvent | None = None) -> None:
    """Sleep for so many seconds, or until woken. A clock of the caller's is woken once a second at most."""
    if wake is None:
        clock.sleep(seconds)
    elif isinstance(clock, SystemClock):
        woken = threading.Event()
        with wake.listening(woken.set):
            woken.wait(min(seconds, threading.TIMEOUT_MAX))
    elif (sleep_until := getattr(clock, "sleep_until", None)) is not None:  # As a clock made for tests has.
        sleep_until(wake, seconds)
    else:
        end = clock.monotonic() + seconds
        while (left := end - clock.monotonic()) > 0 and not wake.is_set:
            clock.sleep(min(left, WAKE_PARTS))
