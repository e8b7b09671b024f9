"""Ask about one request until it is done. No I/O: flows that yield commands, and return their result.

A `Wait` keeps its phase, when the next question is due, and the faults since the last answer. See
`longcat.waiting.question` for a single question, and `longcat.waiting.commands` for flows and commands.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import closing
from enum import Enum
from math import inf
from typing import Final, Literal, TypeAlias

from attrs import define, evolve, field, frozen

from longcat.clock import LONGEST_SLEEP, RESOLUTION
from longcat.errors import (
    RETAINED,
    GenerationFailed,
    JournalError,
    LongCatError,
    NotFoundError,
    RateLimitError,
    WaitTimeout,
    compact,
)
from longcat.gateway.messages import Answer, Gateway
from longcat.models import STATE_OF_WORD, Image, Order, Pause, State, Status, Violation
from longcat.text import shorten, show
from longcat.waiting.backoff import backoff, recheck_interval
from longcat.waiting.commands import Acquire, Flow, Sleep, ask_in_time, with_slot
from longcat.waiting.outcome import Outcome, image_of, is_refusal
from longcat.waiting.question import QUESTION_TIMEOUT
from longcat.waiting.rates.rate_limit import RateLimiter, Slot, pause_of
from longcat.waiting.request_store import RequestStore, StoredRequest
from longcat.waiting.schedule.adaptive import AdaptivePlan
from longcat.waiting.schedule.plan import Plan, Random
from longcat.waiting.wake import Wake, WakeEvent

logger: Final = logging.getLogger("longcat")

LAST_QUESTION: Final = 1.0
"""Seconds before the deadline at which the last question is asked, so that the time left is not slept away."""
WAKE_INTERVAL: Final = 1.0
"""Seconds from one question to the next that news may bring about. Anyone may send news, and often."""
VISIBLE_AFTER: Final = 30.0
"""Seconds after an order in which a 404 about its request is taken for a gateway that is not up to date yet."""


class Phase(Enum):
    """The phases of a wait."""

    NEW = "nothing has happened"
    CLAIMING = "the wait has begun, and does not know yet whether another program waits for the request"
    READY = "the request is ours to ask about, and no question was sent"
    ASKED = "a question was sent, and no answer has said how the request stands"
    OPEN = "an answer has said that the request is not done"
    DONE = "the last answer is final"
    CLOSED = "the wait was left before the request was done"


PhaseEvent: TypeAlias = Literal["began", "claimed", "unsure", "asked", "open", "final", "closed"]

MOVES: Final[Mapping[Phase, Mapping[PhaseEvent, Phase]]] = {
    Phase.NEW: {"began": Phase.CLAIMING, "closed": Phase.CLOSED},
    # A wait claims the request, or finds its final answer in the request store.
    Phase.CLAIMING: {"claimed": Phase.READY, "final": Phase.DONE, "closed": Phase.CLOSED},
    # The store may have been out of reach for so long that another program took the request over: "unsure".
    Phase.READY: {
        "unsure": Phase.CLAIMING,
        "asked": Phase.ASKED,
        "final": Phase.DONE,
        "closed": Phase.CLOSED,
    },
    Phase.ASKED: {
        "unsure": Phase.CLAIMING,
        "asked": Phase.ASKED,
        "open": Phase.OPEN,
        "final": Phase.DONE,
        "closed": Phase.CLOSED,
    },
    Phase.OPEN: {
        "unsure": Phase.CLAIMING,
        "asked": Phase.OPEN,
        "open": Phase.OPEN,
        "final": Phase.DONE,
        "closed": Phase.CLOSED,
    },
    Phase.DONE: {"closed": Phase.DONE},
    Phase.CLOSED: {"closed": Phase.CLOSED},
}
"""Where each event leads from each phase. An event that is missing can't happen in that phase."""


@frozen
class Schedule:
    """The times to ask at, in seconds on the client's clock.

    Attributes:
        answered: when the last question was answered, or the wait began.
        due: when the next question is due.
        not_before: the gateway wants no question before this moment.
        pause: what it said to that. None: nothing.
        overtime: whether the deadline has passed, and the one question that is allowed after it was used up.
    """

    answered: float = 0.0
    due: float = 0.0
    not_before: float = 0.0
    pause: Pause | None = None
    overtime: bool = False


@frozen
class FaultStreak:
    """The transient faults since the last answer.

    Attributes:
        count: how many there were in a row.
        last_error: the last of them. None: the last question was answered.
    """

    count: int = 0
    last_error: LongCatError | None = None


NO_FAULTS: Final = FaultStreak()


@define
class Wait:
    """The state of the wait for one request.

    Attributes:
        timeout: seconds from the first question to the deadline. None: no deadline.
        unknown: what to do about a status word that is not documented: `wait` on, or `raise` at once.
        monotonic: the clock, in seconds. The wait reads it, and leaves sleeping to the driver.
        random: from 0.0 up to 1.0, for the jitter of pauses after faults.
        store: what outlives the wait. None: nothing is kept.
        order: the order that the request came of. None: it was ordered elsewhere, or nobody told.
        fresh: whether that was a moment ago, so that the answer to the order is the first answer about the request.
        wake: what may bring news of the request, upon which the wait asks at once. None: nothing.
        last_status: the last answer. None: there was no answer yet.
    """

    gateway: Gateway
    request_id: str
    plan: Plan
    rate_limiter: RateLimiter
    timeout: float | None
    unknown: Literal["wait", "raise"]
    monotonic: Callable[[], float]
    random: Random
    store: RequestStore | None = None
    order: Order | None = None
    fresh: bool = False
    wake: Wake | None = None
    last_status: Status | None = field(default=None, init=False)
    _phase: Phase = field(default=Phase.NEW, init=False)
    _began: float = field(default=0.0, init=False)
    _schedule: Schedule = field(default=Schedule(), init=False)
    _faults: FaultStreak = field(default=NO_FAULTS, init=False)
    _unknown_words: frozenset[str] = field(default=frozenset(), init=False)
    _asked: float = field(default=-inf, init=False)  # When the last question was sent.
    _stored: StoredRequest | None = field(default=None, init=False)  # None: nothing is kept, or it has not begun.
    _news: WakeEvent | None = field(default=None, init=False)  # Set: there was news after the last question.
    _unsubscribe: Callable[[], None] | None = field(default=None, init=False)
    _in_batch: bool = field(default=False, init=False)  # There may be thousands, so that each must keep little.

    @property
    def done(self) -> bool:
        """Whether the last answer was final."""
        return self._phase is Phase.DONE

    @property
    def elapsed(self) -> float:
        """Seconds since the wait began, 0 before."""
        return self.monotonic() - self._began if self._phase is not Phase.NEW else 0.0

    @property
    def _left(self) -> float:
        """Seconds until the deadline; negative after it."""
        return inf if self.timeout is None else self.timeout - self.elapsed

    def image(self, on_change: Callable[[Status], object] | None = None) -> Flow[Image]:
        """Ask until the request is done, call `on_change` with every change, and return its image or raise."""
        with closing(self):
            while not self.done:
                status = yield from self.change()
                if on_change is not None:
                    on_change(status)
        return image_of(self.last_status)

    def outcome(self, on_change: Callable[[Status], object] | None = None) -> Flow[Outcome]:
        """Ask until the request is done, call `on_change` with every change, and return the image or the error."""
        self._in_batch = True
        with closing(self):
            while not self.done:
                try:
                    yield from self.change()  # Its result is not kept here, where it would outlive later answers.
                except LongCatError as error:
                    return self._outcome(error=error)
                if on_change is not None and self.last_status is not None:
                    on_change(self.last_status)
        try:
            return self._outcome(image_of(self.last_status))
        except GenerationFailed as error:
            return self._outcome(error=error)

    def _outcome(self, image: Image | None = None, error: LongCatError | None = None) -> Outcome:
        status = self.last_status and self.last_status.compact(RETAINED)
        return Outcome(self.request_id, image, error, status, self.elapsed)

    def change(self) -> Flow[Status]:
        """Ask until the answer differs from the last one, and return it.

        Raises WaitTimeout at the deadline, and at once every error that is not transient.
        """
        try:
            return (yield from self._change())
        except LongCatError as error:
            if self._stored is not None:
                yield from self._stored.leave(str(error) if is_refusal(error) else None)
            if isinstance(error, JournalError) and error.locked:
                raise self._timeout(error) from error
            raise

    def _change(self) -> Flow[Status]:
        if self._phase is Phase.NEW:
            yield from self._begin()
            if self.last_status is not None and self._phase in {Phase.OPEN, Phase.DONE}:
                return self.last_status
        answer: Answer | None
        while True:
            answer = None  # A body would be kept for as long as the pause lasts.
            slot = yield from self._until_due_and_ours()
            if self.done and self.last_status is not None:
                return self.last_status
            asked = self.monotonic()
            try:
                answer = yield from self._ask(slot, asked)
                if answer is None:
                    continue
                status = self.gateway.read(self.request_id, answer)
                if self._in_batch and len(answer.body) > RETAINED:
                    status = status.compact(RETAINED)
            except LongCatError as error:
                self._on_error(error, answer, asked)
                continue
            self.rate_limiter.on_answer(self.monotonic(), asked)
            changed = status != self.last_status
            if changed and self._stored is not None:
                yield from self._stored.note(status)
            self._on_status(status, answer)
            if changed:
                return status

    def _ask(self, slot: Slot | None, now: float) -> Flow[Answer | None]:
        """Ask once, and return the answer. None: the slot was void in the end, so that nothing was asked."""
        before, had_news = (self._phase, self._asked), self._news is not None and self._news.is_set
        self._asked = now
        self._move("asked")
        if self._news is not None:
            self._news.clear()  # What comes from now on may be newer than the answer.
        timeout = LAST_QUESTION if self._schedule.overtime else min(QUESTION_TIMEOUT, self._left)
        call = self.gateway.ask(self.request_id, timeout)
        answer = yield from ask_in_time(with_slot(call, slot, self.rate_limiter, self.monotonic))
        if answer is None:
            self._phase, self._asked = before
            if self._news is not None and had_news:
                self._news.set()
        return answer

    def close(self) -> None:
        """Leave the request to others. It may be called again."""
        self._move("closed")
        if self._stored is not None:
            self._stored.close()

    def _move(self, event: PhaseEvent) -> None:
        """Go to the next phase."""
        self._phase = MOVES[self._phase][event]
        if self._unsubscribe is not None and self._phase in {Phase.DONE, Phase.CLOSED}:
            self._unsubscribe()

    def _begin(self) -> Flow[None]:
        """Claim the request, or take over the final answer that another program got. Raises WaitTimeout."""
        self._began = self.monotonic()
        self._move("began")
        if self.wake is not None:
            self._news = WakeEvent()
            self._unsubscribe = self.wake.subscribe(self.request_id, self._news.set)
        if self.store is None:
            self._move("claimed")
        else:
            self._stored = StoredRequest(self.store, self.request_id, lambda: self._left)
            yield from self._claim(self._stored)
        now = self.monotonic()
        self._schedule = Schedule(answered=now, due=now)
        if self.order is not None and self._phase is Phase.READY and (self.fresh or self.order.status.state.is_final):
            if self._stored is not None:
                yield from self._stored.note(self.order.status)
            self._on_order(self.order.status)

    def _on_order(self, status: Status) -> None:
        """Take the answer to the order for the first answer about the request."""
        self.last_status = status
        self._move("asked")
        self._move("final" if status.state.is_final else "open")
        if not self.done:
            plan = self.plan
            self._plan_question(plan.first() if isinstance(plan, AdaptivePlan) else plan.next(0.0, None))

    def _claim(self, stored: StoredRequest) -> Flow[None]:
        """Claim the request, or wait for the final answer that another program gets. Raises WaitTimeout."""
        while True:
            self.last_status = yield from stored.find()
            if stored.is_claimed:
                self._move("claimed")
            if self.last_status is not None and self.last_status.state.is_final:
                self._move("final")
            if self._phase is not Phase.CLAIMING:
                return
            if (left := self._left) <= RESOLUTION:
                raise self._timeout()
            yield Sleep(min(recheck_interval(self.elapsed), left))

    def _timeout(self, error: LongCatError | None = None, pause: Pause | None = None) -> WaitTimeout:
        asked = self._asked > -inf or self._phase is Phase.OPEN  # The answer to an order counts as one.
        return WaitTimeout(self.request_id, self.elapsed, self.last_status, error, asked, pause)

    def _check_pauses(self) -> None:
        """Raise WaitTimeout when the gateway is left alone for longer than the wait may last."""
        last = self.monotonic() + self._left - RESOLUTION
        of_all, schedule = self.rate_limiter, self._schedule
        if max(of_all.quiet_until, schedule.not_before) >= last:
            pause = of_all.pause if of_all.quiet_until >= schedule.not_before else schedule.pause
            raise self._timeout(self._faults.last_error, pause)

    def _until_due_and_ours(self) -> Flow[Slot | None]:
        """Sleep as `_until_due` does, and make sure that the request is still ours, or get the final answer.

        Another program takes it over while the store is out of reach. It is followed as long as it lives.
        """
        slot = yield from self._until_due()
        while self._stored is not None and not self._stored.is_ours:
            before = self.last_status
            self._move("unsure")
            yield from self._claim(self._stored)
            if self.done:
                break
            self.last_status = before
            slot = yield from self._until_due()
        return slot

    def _until_due(self) -> Flow[Slot | None]:
        """Sleep until the next question is due, and may be asked.

        Raises WaitTimeout at the deadline, or at once when there is a pause that lasts longer.
        """
        schedule = self._schedule
        while (left := self._left) > RESOLUTION:
            self._check_pauses()
            now = self.monotonic()
            has_news = self._news is not None and self._news.is_set
            due = self._news_due(now) if has_news else schedule.due
            pause = max(due, schedule.not_before) - now
            if pause >= RESOLUTION:
                yield Sleep(min(pause, left, LONGEST_SLEEP), None if has_news else self._news)
                schedule = self._schedule  # It may have been planned anew.
                continue
            acquire = Acquire(schedule.answered, due, left)
            yield acquire
            if self._left > RESOLUTION:
                self._check_pauses()
                return acquire.slot
        now = self.monotonic()
        may_ask = max(schedule.not_before - now, self.rate_limiter.quiet_until - now, self._least_pause()) < RESOLUTION
        if self._left >= -LAST_QUESTION or schedule.overtime or not may_ask:
            raise self._timeout(self._faults.last_error)
        # The caller was busy, and did not let this wait go on in time. One question makes up for it.
        self._schedule = evolve(schedule, overtime=True)
        acquire = Acquire(schedule.answered, schedule.due, LAST_QUESTION)
        yield acquire
        if acquire.slot is None:
            raise self._timeout(self._faults.last_error)
        return acquire.slot

    def replan(self) -> float | None:
        """Let the next question come earlier, if its plan has learnt from other waits that it should.

        Return in how many seconds the wait has something to do then. None: it stays as it is.
        """
        if self._phase is not Phase.OPEN or self._faults.count or not isinstance(self.plan, AdaptivePlan):
            return None
        now, schedule = self.monotonic(), self._schedule
        due = now + self.plan.replan(now - self._began)
        if due > schedule.due - RESOLUTION:
            return None
        self._schedule = evolve(schedule, due=due)
        return max(due, schedule.not_before) - now

    def _news_due(self, now: float) -> float:
        """Return when the next question is due, as there is news: at once, if the bounds allow it.

        News makes no question come earlier while the gateway fails.
        """
        if self._faults.count:
            return self._schedule.due
        # The plan has left one question for news.
        return min(self._schedule.due, max(now + self._least_pause(extra=1), self._asked + WAKE_INTERVAL))

    def _least_pause(self, extra: int = 0) -> float:
        """Return how many seconds must pass before the next question, as far as the plan's budget goes."""
        return self.plan.least_pause(self.elapsed, extra) if isinstance(self.plan, AdaptivePlan) else 0.0

    def _on_status(self, status: Status, answer: Answer) -> None:
        """Keep a status, and plan the next question."""
        self.last_status, self._faults = status, NO_FAULTS
        if status.state is State.UNKNOWN:
            self._on_unknown_word(status.raw_state, answer)
        if status.state.is_final:
            if self._phase is Phase.OPEN:  # In other phases it may have been done before the first question.
                self.plan.finished(self.elapsed)
            self._move("final")
            return
        self._move("open")
        seconds = self.plan.next(self.elapsed, status.progress)
        self._plan_question(seconds, pause_of(answer))
        if logger.isEnabledFor(logging.DEBUG):  # To shorten the words takes longer than all the rest.
            words = shorten(self.request_id), shorten(status.raw_state)
            logger.debug("request %s is %s; next question in %.1f s", *words, seconds)

    def _on_unknown_word(self, word: str, answer: Answer) -> None:
        """Raise APIResponseValidationError, or log one warning for each word, as the caller chose."""
        if self.unknown == "raise":
            violation = Violation("/status", " or ".join(STATE_OF_WORD), show(word))
            raise self.gateway.breach(self.request_id, answer, [violation])
        if word not in self._unknown_words:
            self._unknown_words |= {word}
            logger.warning(
                "request %s has the unknown status %s; waiting on. If it is final, cancel the wait, and add the word to"
                " the contract.",
                shorten(self.request_id),
                show(word),
            )

    def _on_error(self, error: LongCatError, answer: Answer | None, asked: float) -> None:
        """Count a transient fault, and plan the next question; raise any other error. `answer` is None: none came."""
        if answer is not None and not isinstance(error, RateLimitError):
            self.rate_limiter.on_answer(self.monotonic(), asked)
        if not error.transient and not self._is_not_yet_visible(error):
            raise error
        self._faults = FaultStreak(self._faults.count + 1, error)
        if self._in_batch:
            compact(error)
        seconds = backoff(self._faults.count, self.random)
        if isinstance(self.plan, AdaptivePlan):
            seconds = max(seconds, self.plan.unanswered(self.elapsed))
        pause = pause_of(answer, seconds if isinstance(error, RateLimitError) else 0.0) if answer is not None else None
        if isinstance(error, RateLimitError) and pause is not None:
            self.rate_limiter.on_rate_limited(self.monotonic(), asked, pause)
        self._plan_question(seconds, pause)
        logger.info("request %s: %s Waiting on.", shorten(self.request_id), error)

    def _is_not_yet_visible(self, error: LongCatError) -> bool:
        """Whether the gateway may not know a request yet that it has just given out."""
        return self.order is not None and isinstance(error, NotFoundError) and self.elapsed < VISIBLE_AFTER

    def _plan_question(self, seconds: float, pause: Pause | None = None) -> None:
        """Plan the next question: due after so many seconds, and not before the pause is over. None: there is none."""
        now, left = self.monotonic(), self._left
        if seconds >= left > 2 * LAST_QUESTION:
            seconds = max(left - LAST_QUESTION, self._least_pause())
        not_before = now + (pause.seconds if pause is not None else 0.0)
        self._schedule = Schedule(now, now + seconds, not_before, pause, self._schedule.overtime)
