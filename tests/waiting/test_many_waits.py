"""What a question costs where very many requests are waited for at once: counted, and never timed."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from test_batch import CALL, bare_batch

from longcat.gateway.messages import Answer
from longcat.testing import VirtualClock
from longcat.waiting.batch import MANY_VOID, MAX_WOKEN, Batch, Finished, Idle, Perform, TakeItem
from longcat.waiting.commands import Acquire, Flow, Sleep
from longcat.waiting.outcome import Outcome
from longcat.waiting.wake import WakeEvent

ANSWER = Answer(200, {}, b"")
QUESTIONS = 3
"""How often each request is asked about."""


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Count the functions of the batch, and those that it calls, that are called in the block."""
    calls = Counter[str]()

    def on_event(frame: FrameType, event: str, _: object) -> None:
        if event in {"call", "c_call"} and "longcat" in frame.f_code.co_filename:
            calls[event] += 1

    sys.setprofile(on_event)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def asking(clock: VirtualClock) -> Flow[None]:
    """Ask a second after the last answer, as often as `QUESTIONS` says."""
    for number in range(QUESTIONS):
        begun = clock.monotonic()
        if number:
            yield Sleep(1.0)
        yield Acquire(begun, begun + bool(number), 1000.0)
        yield CALL


def drive(batch: Batch[str], clock: VirtualClock, ids: Iterator[str]) -> int:
    """Perform a batch to its end, every call taking a millisecond, and return how many outcomes there were."""
    while True:
        match batch.next():
            case Perform(job):
                clock.sleep(0.001)
                batch.receive(job, ANSWER)
            case TakeItem():
                item = next(ids, None)
                batch.end_items() if item is None else batch.feed(item)
            case Idle(seconds):
                clock.sleep(seconds)
            case Finished():
                return len(batch.outcomes)


def calls_per_question(number: int) -> float:
    """Return how many functions a batch calls for one question, if it waits for so many requests."""
    clock = VirtualClock()

    def flow(request_id: str) -> Flow[Outcome]:
        yield from asking(clock)
        return Outcome(request_id)

    batch = bare_batch(clock, flow)
    with counting() as calls:
        assert drive(batch, clock, map(str, range(number))) == number
    return calls.total() / number / QUESTIONS


def test_a_question_costs_the_same_among_many() -> None:
    """A batch does no more for one question of a thousand requests than for one of fifty."""
    assert calls_per_question(1_000) < 1.2 * calls_per_question(50)


def sleeping_until_five(clock: VirtualClock, woken: list[str], wake: WakeEvent | None = None) -> Batch[str]:
    """Return a batch whose jobs sleep until the fifth second, and are done then."""

    def flow(request_id: str) -> Flow[Outcome]:
        yield Sleep(5.0 - clock.monotonic(), wake)
        woken.append(request_id)
        return Outcome(request_id)

    return bare_batch(clock, flow)


def test_jobs_that_wake_up_at_once_go_on_in_parts() -> None:
    """No step lets more than a few jobs go on, so that an event loop has its turn in between; no time passes then."""
    clock, woken, parts = VirtualClock(), list[str](), list[int]()
    batch = sleeping_until_five(clock, woken)
    for i in range(3 * MAX_WOKEN + 1):
        batch.feed(str(i))
    batch.end_items()
    clock.sleep(5.0)
    while (step := batch.next()) != Finished():
        assert step == Idle(0.0)
        parts.append(len(woken))
    assert (parts, len(woken)) == ([MAX_WOKEN, 2 * MAX_WOKEN, 3 * MAX_WOKEN], 3 * MAX_WOKEN + 1)


def test_alarms_of_who_was_woken_are_not_kept() -> None:
    """Of requests without an end, each woken before its sleep is over, a batch keeps few alarms."""
    clock, woken = VirtualClock(), list[str]()
    news = WakeEvent()
    batch = sleeping_until_five(clock, woken, news)
    for i in range(10 * MANY_VOID):
        batch.feed(str(i))
        news.set()
        while not batch.outcomes:
            batch.next()
        batch.pop_outcome()
        news.clear()
    assert len(woken) == 10 * MANY_VOID
    assert len(batch._alarms) <= MANY_VOID + 1  # Nothing else tells how much a batch keeps.
