"""The commands that a flow gives to its driver. No I/O.

A flow is a generator: it yields commands, and returns its result. A driver obeys: it does what a command says, and
sends the result back into the flow, or throws the error into it. The result of a `Call` is an `Answer`, that of every
other command is None. One flow serves `LongCat` and `AsyncLongCat`, which differ only in how they obey.
"""

from collections.abc import Callable, Generator
from typing import TypeAlias, TypeVar

from attrs import define, evolve, field, frozen

from longcat.clock import RESOLUTION
from longcat.errors import LongCatError
from longcat.gateway.messages import Answer, Call
from longcat.waiting.rates.rate_limit import RateLimiter, Slot
from longcat.waiting.wake import WakeEvent

T = TypeVar("T")


class VoidSlotError(LongCatError):
    """The slot of a call was void when its first byte was to go out. `ask_in_time` catches it, so no caller sees it."""


@frozen
class Sleep:
    """Sleep for so many seconds.

    Attributes:
        wake: ends the sleep early when it is set. None: nothing does.
    """

    seconds: float
    wake: WakeEvent | None = None


@define(eq=False)
class Acquire:
    """Wait until the rate limiter allows one more question, or until no time is left.

    Attributes:
        since: when the last question was answered, or the wait began, in seconds on the client's clock.
        due: when the next question was to be asked, likewise.
        left: seconds after which the driver goes on without permission.
        slot: the permission, which the driver puts here. None: it went on without any.
    """

    since: float
    due: float
    left: float
    slot: Slot | None = field(default=None, init=False)

    def spend(self, slot: Slot) -> None:
        """Take in the permission."""
        self.slot = slot

    @property
    def is_first(self) -> bool:
        """Whether it is for an order, or for the first question of a wait: neither had to be paused for."""
        return self.due <= self.since

    def overdue(self, now: float) -> float:
        """Return how late the question is, in units of its own pause: 1.0 when it is due.

        The best times to ask under a rate limit are those without one, stretched alike for all (see `polling`); so the
        wait that is stretched most comes first. A wait that is passed over is stretched further, so none starves.
        """
        return (now - self.since) / max(self.due - self.since, RESOLUTION)


@frozen
class RunInThread:
    """Call a function that blocks, such as one that writes a file, without holding up other tasks.

    `run_in_thread` wraps it for flows that want the function's result.
    """

    function: Callable[[], None]


Command: TypeAlias = Call | Sleep | Acquire | RunInThread
Flow: TypeAlias = Generator[Command, Answer | None, T]


def ask(call: Call) -> Flow[Answer]:
    """Have a call sent, and return the answer to it. Raises APIConnectionError when no answer came."""
    answer = yield call
    if answer is None:
        raise TypeError("a driver answers a Call with an Answer")
    return answer


def with_slot(call: Call, slot: Slot | None, limiter: RateLimiter, monotonic: Callable[[], float]) -> Call:
    """Return a call that is sent only as long as its slot is good. None: it needs none.

    A journal, or a busy machine, may hold calls up between their slots and their first bytes. They must not all go out
    at once then.
    """
    others = call.check

    def check() -> None:
        if slot is not None and not limiter.may_be_spent(slot, monotonic()):
            raise VoidSlotError
        if others is not None:
            others()

    return evolve(call, check=check)


def ask_in_time(call: Call) -> Flow[Answer | None]:
    """Have a call with a slot sent, and return the answer. None: the slot was void in the end, so it was not sent."""
    try:
        return (yield from ask(call))
    except VoidSlotError:
        return None


def run_in_thread(function: Callable[[], T]) -> Flow[T]:
    """Have a function called where it may block, and return its result or raise its error."""
    results: list[T] = []
    yield RunInThread(lambda: results.append(function()))
    return results[0]
