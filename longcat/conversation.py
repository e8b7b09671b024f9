"""What to ask, and what an answer means. No I/O: generators that yield calls and pauses, and return their result.

A driver performs each command that a conversation yields and sends back what came of it: the `Answer` to a `Call`, and
None for a `Pause`. Where no answer came, it throws the `APIConnectionError` into the conversation.
"""

import logging
from collections.abc import Callable, Generator, Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, TypeVar

from attrs import define, field, frozen

from longcat.errors import (
    APIStatusError,
    GenerationCancelled,
    GenerationFailed,
    LongCatError,
    RateLimitError,
    WaitTimeout,
)
from longcat.models import WORDS, Image, State, Status
from longcat.polling import Plan, Random, backoff
from longcat.schema import Finding
from longcat.text import shorten, show
from longcat.wire import Answer, Call, Gateway

T = TypeVar("T")

logger: Final = logging.getLogger("longcat")

REQUEST_TIMEOUT: Final = 30.0
"""Seconds that one question may take."""
LAST_QUESTION: Final = 1.0
"""Seconds before the deadline at which the last question is asked, so that the time left is not slept away."""
RESOLUTION: Final = 0.001
"""Seconds. A shorter pause is not worth a sleep, and less time than this is no time left."""
FAILURES: Final[Mapping[State, type[GenerationFailed]]] = MappingProxyType(
    {State.FAILED: GenerationFailed, State.CANCELLED: GenerationCancelled}
)


@frozen
class Pause:
    """Do nothing for so many seconds."""

    seconds: float


Command: TypeAlias = Call | Pause
Conversation: TypeAlias = Generator[Command, Answer | None, T]


def ask(call: Call) -> Conversation[Answer]:
    """Have a call sent, and return the answer to it."""
    answer = yield call
    if answer is None:
        raise TypeError("a driver answers a Call with an Answer")
    return answer


def status(gateway: Gateway, request_id: str) -> Conversation[Status]:
    """Ask once, and return the answer or raise the error."""
    answer = yield from ask(gateway.ask(request_id, REQUEST_TIMEOUT))
    return gateway.read(request_id, answer)


def image_of(status: Status | None) -> Image:
    """Return the image of a final status, or raise GenerationFailed or GenerationCancelled."""
    if status is None or not status.state.is_final:
        raise ValueError("a request has an image when it is done, not before")
    if status.image is None:
        raise FAILURES[status.state](status)
    return status.image


@define
class Traffic:
    """What the waits of one client tell each other: when the gateway wants to be asked again, after it said 429.

    Attributes:
        quiet_until: a moment on the client's clock. Before it, no wait asks.
    """

    quiet_until: float = 0.0

    def hush(self, until: float) -> None:
        """Let no wait ask before this moment."""
        self.quiet_until = max(self.quiet_until, until)


@define
class Wait:
    """The conversation about one request until it is done.

    Attributes:
        timeout: seconds from the first question to the deadline. None: no deadline.
        unknown: what to do about a status word that nobody documented: `wait` on, or `raise` at once.
        monotonic: the clock, in seconds. The wait reads it, and leaves sleeping to the driver.
        random: from 0.0 up to 1.0, for the jitter of pauses after faults.
        last_status: the last answer. None: there was none yet.
        last_error: the transient error since then. None: the last question was answered.
    """

    gateway: Gateway
    request_id: str
    plan: Plan
    traffic: Traffic
    timeout: float | None
    unknown: Literal["wait", "raise"]
    monotonic: Callable[[], float]
    random: Random
    last_status: Status | None = field(default=None, init=False)
    last_error: LongCatError | None = field(default=None, init=False)
    _started: float | None = field(default=None, init=False)
    _failures: int = field(default=0, init=False)
    _due: float = field(default=0.0, init=False)
    _earliest: float = field(default=0.0, init=False)
    _warned: set[str] = field(factory=set, init=False)

    @property
    def done(self) -> bool:
        """Whether the last answer was final."""
        return self.last_status is not None and self.last_status.state.is_final

    def image(self) -> Conversation[Image]:
        """Ask until the request is done, and return its image or raise why there is none."""
        while not self.done:
            yield from self.change()
        return image_of(self.last_status)

    def change(self) -> Conversation[Status]:
        """Ask until the answer differs from the last one, and return it.

        Raises WaitTimeout at the deadline, and at once every error that is not transient.
        """
        if self._started is None:
            self._started = self._due = self.monotonic()
        while True:
            yield from self._rest()
            try:
                answer = yield from ask(self.gateway.ask(self.request_id, min(REQUEST_TIMEOUT, self._left)))
                status = self.gateway.read(self.request_id, answer)
            except LongCatError as error:
                self._stumble(error)
                continue
            changed = status != self.last_status
            self._take(status, answer)
            if changed:
                return status

    @property
    def _elapsed(self) -> float:
        return self.monotonic() - (self._started or 0.0)

    @property
    def _left(self) -> float:
        return float("inf") if self.timeout is None else self.timeout - self._elapsed

    def _rest(self) -> Conversation[None]:
        """Pause until the next question is due and the gateway wants to hear it."""
        while (left := self._left) > RESOLUTION:
            pause = max(self._due, self._earliest, self.traffic.quiet_until) - self.monotonic()
            if pause < RESOLUTION:
                return
            yield Pause(min(pause, left))
        raise WaitTimeout(self.request_id, self._elapsed, self.last_status, self.last_error)

    def _take(self, status: Status, answer: Answer) -> None:
        """Note an answer, and when to ask for the next one."""
        self.last_status, self.last_error, self._failures = status, None, 0
        if status.state is State.UNKNOWN:
            self._puzzle(status, answer)
        if status.state.is_final:
            self.plan.finished(self._elapsed)
            return
        pause = self.plan.next(self._elapsed, status.progress)
        self._schedule(pause, answer.retry_after)
        logger.debug("request %s is %s; next question in %.1f s", shorten(self.request_id), status.raw_state, pause)

    def _schedule(self, pause: float, retry_after: float | None) -> None:
        """Set when to ask next, and before when not to, in seconds from now."""
        now, left = self.monotonic(), self._left
        if pause >= left > 2 * LAST_QUESTION:
            pause = left - LAST_QUESTION
        self._due, self._earliest = now + pause, now + (retry_after or 0.0)

    def _puzzle(self, status: Status, answer: Answer) -> None:
        """Warn, once, of a word that nobody documented, or raise, as the caller wished."""
        word = show(status.raw_state)
        if self.unknown == "raise":
            raise self.gateway.breach(self.request_id, answer, [Finding("/status", " or ".join(WORDS), word)])
        if status.raw_state not in self._warned:
            self._warned.add(status.raw_state)
            logger.warning(
                "request %s has the unknown status %s; waiting on. If it is final, cancel the wait, and add the word to"
                " the contract.",
                shorten(self.request_id),
                word,
            )

    def _stumble(self, error: LongCatError) -> None:
        """Note a transient fault, and when to ask again; raise any other."""
        if not error.transient:
            raise error
        self.last_error = error
        self._failures += 1
        retry_after = error.retry_after if isinstance(error, APIStatusError) else None
        pause = backoff(self._failures, self.random)
        if isinstance(error, RateLimitError):
            retry_after = max(pause, retry_after or 0.0)
            self.traffic.hush(self.monotonic() + retry_after)
        self._schedule(pause, retry_after)
        logger.info("request %s: %s Waiting on.", shorten(self.request_id), error)
