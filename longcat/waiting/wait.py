"""What to ask, and what an answer means. No I/O: generators that yield calls and pauses, and return their result.

A driver performs each command that a conversation yields and sends back what came of it: the `Answer` to a `Call`, and
None for a `Sleep` or a `Acquire`. Where no answer came, it throws the `APIConnectionError` into the conversation.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import closing
from types import MappingProxyType
from typing import Final, Literal, Protocol

from attrs import define, field, frozen

from longcat.errors import (
    APIStatusError,
    GenerationCancelled,
    GenerationFailed,
    LongCatError,
    RateLimitError,
    WaitTimeout,
)
from longcat.gateway.messages import (
    Answer,
    Gateway,
)
from longcat.models import (
    WORDS,
    Image,
    State,
    Status,
    Violation,
)
from longcat.text import shorten, show
from longcat.waiting.commands import (
    Acquire,
    Flow,
    Sleep,
    ask,
    backoff,
    recheck_interval,
)
from longcat.waiting.polling import (
    Plan,
    Random,
)
from longcat.waiting.rate_limit import LONGEST_SLEEP, RESOLUTION, RateLimiter

logger: Final = logging.getLogger("longcat")

REQUEST_TIMEOUT: Final = 30.0
"""Seconds that one question may take."""
LAST_QUESTION: Final = 1.0
"""Seconds before the deadline at which the last question is asked, so that the time left is not slept away."""
FAILURES: Final[Mapping[State, type[GenerationFailed]]] = MappingProxyType(
    {State.FAILED: GenerationFailed, State.CANCELLED: GenerationCancelled}
)


def status(gateway: Gateway, request_id: str) -> Flow[Status]:
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


@frozen
class Outcome:
    """What came of one request of many: an image, or the error that `wait` would have raised.

    Attributes:
        request_id: which request.
        image: what it yielded. None: there is an error.
        error: why there is no image. None: there is one.
        status: the last answer. None: there was none.
        elapsed: how many seconds were waited.
    """

    request_id: str
    image: Image | None = None
    error: LongCatError | None = None
    status: Status | None = None
    elapsed: float = 0.0

    def result(self) -> Image:
        """Return the image, or raise the error."""
        if self.image is None:
            raise self.error or ValueError("an outcome has an image or an error")
        return self.image


class RequestStore(Protocol):
    """What outlives a wait, and may be shared by several programs: `longcat.saving.journal.Journal`."""

    def take(self, request_id: str) -> bool:
        """Take a request on, and return whether it is ours. False: somebody else is waiting for it."""

    def release(self, request_id: str) -> None:
        """Leave a request to others."""

    def last(self, request_id: str) -> Status | None:
        """Return the last answer, whoever got it. None: there was none."""

    def note(self, status: Status) -> None:
        """Remember an answer."""


@define
class Wait:
    """The conversation about one request until it is done.

    Attributes:
        timeout: seconds from the first question to the deadline. None: no deadline.
        unknown: what to do about a status word that nobody documented: `wait` on, or `raise` at once.
        monotonic: the clock, in seconds. The wait reads it, and leaves sleeping to the driver.
        random: from 0.0 up to 1.0, for the jitter of pauses after faults.
        memory: what is remembered of requests. None: nothing.
        last_status: the last answer. None: there was none yet.
        last_error: the transient error since then. None: the last question was answered.
    """

    gateway: Gateway
    request_id: str
    plan: Plan
    rate_limiter: RateLimiter
    timeout: float | None
    unknown: Literal["wait", "raise"]
    monotonic: Callable[[], float]
    random: Random
    memory: RequestStore | None = None
    last_status: Status | None = field(default=None, init=False)
    last_error: LongCatError | None = field(default=None, init=False)
    _started: float | None = field(default=None, init=False)
    _seen_open: bool = field(default=False, init=False)
    _asked: bool = field(default=False, init=False)
    _overslept: bool = field(default=False, init=False)
    _taken: bool = field(default=False, init=False)
    _failures: int = field(default=0, init=False)
    _answered: float = field(default=0.0, init=False)
    _due: float = field(default=0.0, init=False)
    _earliest: float = field(default=0.0, init=False)
    _warned: set[str] = field(factory=set, init=False)

    @property
    def done(self) -> bool:
        """Whether the last answer was final."""
        return self.last_status is not None and self.last_status.state.is_final

    def image(self) -> Flow[Image]:
        """Ask until the request is done, and return its image or raise why there is none."""
        with closing(self):
            while not self.done:
                yield from self.change()
        return image_of(self.last_status)

    def outcome(self, on_change: Callable[[Status], object] | None = None) -> Flow[Outcome]:
        """Ask until the request is done, tell of every change, and return the image or why there is none."""
        image, failure = None, None
        with closing(self):
            while not self.done:
                try:
                    status = yield from self.change()
                except LongCatError as error:
                    return Outcome(self.request_id, None, error, self.last_status, self.elapsed)
                if on_change is not None:
                    on_change(status)
        try:
            image = image_of(self.last_status)
        except GenerationFailed as error:
            failure = error
        return Outcome(self.request_id, image, failure, self.last_status, self.elapsed)

    def change(self) -> Flow[Status]:
        """Ask until the answer differs from the last one, and return it.

        Raises WaitTimeout at the deadline, and at once every error that is not transient.
        """
        if self._started is None:
            self._started = self.monotonic()
            if self.memory is not None:
                self.last_status = yield from self._remembered(self.memory)
            if self.done and self.last_status is not None:
                return self.last_status
            self._answered = self._due = self.monotonic()
        while True:
            yield from self._rest()
            asked = self.monotonic()
            time_left = LAST_QUESTION if self._overslept else min(REQUEST_TIMEOUT, self._left)
            self._asked = True
            try:
                answer = yield from ask(self.gateway.ask(self.request_id, time_left))
                status = self.gateway.read(self.request_id, answer)
            except LongCatError as error:
                self._on_error(error, asked)
                continue
            changed = status != self.last_status
            self._take(status, answer)
            if changed:
                return status

    def close(self) -> None:
        """Leave the request to others, if it is remembered."""
        if self.memory is not None and self._taken:
            self._taken = False
            self.memory.release(self.request_id)

    @property
    def elapsed(self) -> float:
        """Seconds since the wait began, 0 before."""
        return self.monotonic() - self._started if self._started is not None else 0.0

    @property
    def _left(self) -> float:
        return float("inf") if self.timeout is None else self.timeout - self.elapsed

    def _remembered(self, memory: RequestStore) -> Flow[Status | None]:
        """Return the last answer that is remembered: the final one, unless the request is ours to ask about."""
        while (left := self._left) > RESOLUTION:
            self._taken, status = memory.take(self.request_id), memory.last(self.request_id)
            if self._taken or (status is not None and status.state.is_final):
                return status
            yield Sleep(min(recheck_interval(self.elapsed), left))
        raise WaitTimeout(self.request_id, self.elapsed, memory.last(self.request_id), asked=False)

    def _rest(self) -> Flow[None]:
        """Pause until the next question is due, and may be asked."""
        while (left := self._left) > RESOLUTION:
            pause = max(self._due, self._earliest) - self.monotonic()
            if pause >= RESOLUTION:
                yield Sleep(min(pause, left, LONGEST_SLEEP))
                continue
            yield Acquire(self._answered, self._due, left)
            if self._left > RESOLUTION:
                return
        if self._left < -LAST_QUESTION and not self._overslept:
            # Nobody let this wait go on when it should have: the caller was busy. One question makes up for it.
            self._overslept = True
            yield Acquire(self._answered, self._due, LAST_QUESTION)
            return
        raise WaitTimeout(self.request_id, self.elapsed, self.last_status, self.last_error, asked=self._asked)

    def _take(self, status: Status, answer: Answer) -> None:
        """Note an answer, and when to ask for the next one."""
        if self.memory is not None and status != self.last_status:
            self.memory.note(status)
        self.last_status, self.last_error, self._failures = status, None, 0
        if status.state is State.UNKNOWN:
            self._on_unknown_state(status, answer)
        if status.state.is_final:
            if self._seen_open:  # Else nobody knows how long it had been done.
                self.plan.finished(self.elapsed)
            return
        self._seen_open = True
        pause = self.plan.next(self.elapsed, status.progress)
        self._schedule(pause, answer.retry_after)
        logger.debug("request %s is %s; next question in %.1f s", shorten(self.request_id), status.raw_state, pause)

    def _schedule(self, pause: float, retry_after: float | None) -> None:
        """Set when to ask next, and before when not to, in seconds from now."""
        now, left = self.monotonic(), self._left
        if pause >= left > 2 * LAST_QUESTION:
            pause = left - LAST_QUESTION
        self._answered, self._due, self._earliest = now, now + pause, now + (retry_after or 0.0)

    def _on_unknown_state(self, status: Status, answer: Answer) -> None:
        """Warn, once, of a word that nobody documented, or raise, as the caller wished."""
        word = show(status.raw_state)
        if self.unknown == "raise":
            raise self.gateway.breach(self.request_id, answer, [Violation("/status", " or ".join(WORDS), word)])
        if status.raw_state not in self._warned:
            self._warned.add(status.raw_state)
            logger.warning(
                "request %s has the unknown status %s; waiting on. If it is final, cancel the wait, and add the word to"
                " the contract.",
                shorten(self.request_id),
                word,
            )

    def _on_error(self, error: LongCatError, asked: float) -> None:
        """Note a transient fault, and when to ask again; raise any other."""
        if not error.transient:
            raise error
        self.last_error = error
        self._failures += 1
        retry_after = error.retry_after if isinstance(error, APIStatusError) else None
        pause = backoff(self._failures, self.random)
        if isinstance(error, RateLimitError):
            retry_after = max(pause, retry_after or 0.0)
            now = self.monotonic()
            self.rate_limiter.on_rate_limited(now, now + retry_after, asked)
        self._schedule(pause, retry_after)
        logger.info("request %s: %s Waiting on.", shorten(self.request_id), error)
