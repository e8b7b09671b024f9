"""What a flow asks of its driver, and how the two talk. No I/O.

A flow is a generator. It yields commands; the driver performs each and sends back what came of it: the `Answer` to a
`Call`, and None for a pause. Where no answer came, the driver throws the `APIConnectionError` into the flow.
"""

import random
from collections.abc import Generator
from typing import Final, TypeAlias, TypeVar

from attrs import frozen

from longcat.gateway.messages import Answer, Call
from longcat.waiting.polling import Random
from longcat.waiting.rate_limit import RESOLUTION

T = TypeVar("T")


@frozen
class Sleep:
    """Do nothing for so many seconds."""

    seconds: float


@frozen
class Acquire:
    """Wait until the client's budget allows one more question, or until no time is left.

    Attributes:
        since: when the last question was answered, or the wait began, in seconds on the client's clock.
        due: when the next one was to be asked, likewise.
        left: seconds after which to come back without a turn.
    """

    since: float
    due: float
    left: float

    def overdue(self, now: float) -> float:
        """Return how late the question is, in units of its own pause: 1.0 when it is due.

        The best times to ask under a budget are those without one, stretched alike for all (see `polling`); so who is
        stretched most comes first. A wait that is overlooked is stretched more and more, so none is left out.
        """
        return (now - self.since) / max(self.due - self.since, RESOLUTION)


Command: TypeAlias = Call | Sleep | Acquire


Flow: TypeAlias = Generator[Command, Answer | None, T]


def ask(call: Call) -> Flow[Answer]:
    """Have a call sent, and return the answer to it."""
    answer = yield call
    if answer is None:
        raise TypeError("a driver answers a Call with an Answer")
    return answer


BACKOFF_FIRST: Final = 0.5


BACKOFF_LONGEST: Final = 10.0


def backoff(failures: int, random: Random = random.random) -> float:
    """Return how many seconds to pause after the n-th transient fault in a row, n counted from 1.

    `min(0.5 * 2 ** (n - 1), 10)`, times a factor drawn evenly from 0.5 to 1.0.
    """
    longest: float = BACKOFF_FIRST * 2 ** min(
        failures - 1, 16
    )  # The bound keeps the power small in a wait without an end.
    return min(longest, BACKOFF_LONGEST) * (0.5 + 0.5 * random())


def recheck_interval(elapsed: float) -> float:
    """Return how many seconds to pause before the next look at what another program does.

    A tenth of the time waited so far, no less than 0.5 and no more than 5.
    """
    return min(max(elapsed / 10, 0.5), 5.0)
