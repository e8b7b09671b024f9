"""Limits how often all waits of one client may ask, and says when the next one may. No I/O, no clock.

Questions are spaced evenly. When some are refused with a 429, they come less often by the share that was refused: that
is the rate of a gateway that lets so many through in a second and no more. If fewer are refused from then on, the rate
was the cause, and it grows again little by little. If as many are refused as before, it was not: the rate becomes what
it was, and as large a share is put up with from then on.
"""

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from attrs import Factory, define, evolve, field, frozen

from longcat.clock import LONGEST_SLEEP, RESOLUTION
from longcat.gateway.messages import LONGEST_PAUSE, Answer
from longcat.models import Pause
from longcat.processes import ForkSafeLock

logger: Final = logging.getLogger("longcat")

MIN_MEASURED_RATE: Final = 10.0
"""Questions per second. A 429 is never read as a lower rate than this, so a single wait is not slowed more than by its
own `backoff`."""
MIN_RATE_AFTER_CUT: Final = 0.1  # Questions per second that a client may always ask, however often it is refused.
MARGIN: Final = 0.85  # The rate after a cut, as a share of what the gateway let through.
MIN_KEPT_SHARE: Final = 0.25
"""The share of the rate that is left after one cut, but for the margin, even if everything was refused."""
RECOVERY: Final = 60.0  # Seconds in which the rate would climb from nothing to what the gateway let through.
DOUBLING: Final = 30.0  # Seconds in which it doubles from there: slowly at first, then fast.
EAGER_DOUBLING: Final = 1.0  # Seconds in which it doubles after it was cut for no reason.

REFUSALS_BEFORE_FIRST_CUT: Final = 8.0  # So many cut the rate for the first time. Fewer may be an accident.
REFUSALS_BEFORE_NEXT_CUT: Final = 4.0  # So many cut it later.
REMEMBERED_ANSWERS: Final = 50.0  # So many count while no trial is under way.
FULL_TRIAL_REFUSALS: Final = 8.0
"""A trial ends when so many refusals would have come, had the cut made no difference."""
SHORT_TRIAL_REFUSALS: Final = 3.0
"""The same if no refusal came, or if most questions were refused before the cut."""
MIN_ANSWERS_BEFORE_TRIAL: Final = 12.0  # The share before a trial rests on so many if it excuses the rate.
EXCUSE_FOR: Final = 60.0  # Seconds for which refusals are put up with. The gateway may be another one then.
MAX_REFUSED_SHARE: Final = 0.8  # If a greater share is refused, the gateway is asked less, whatever the cause.
RATE_SPAN: Final = 0.1  # Seconds in which the present rate is counted.
SHARE_SPAN: Final = 0.5  # Seconds in which the present share of refusals is counted.
REFUSED_SHARE_TO_PAUSE_ALL: Final = 0.75
"""If a greater share is refused at present, a `Retry-After` holds for all waits."""
LONG_PAUSE: Final = 30.0  # Seconds. The log warns of longer pauses. A wait looks for a slot so often while one lasts.
MAX_COUNTED: Final = 1e9  # Answers. No count gets so far.


@define
class AnswerCount:
    """The numbers of answers, and of refusals among them. What is older may count less."""

    answers: float = 0.0
    refusals: float = 0.0

    @property
    def share(self) -> float:
        """The share that was refused."""
        return self.refusals / self.answers if self.answers else 0.0

    def add(self, refused: bool, kept: float = 1.0) -> None:
        """Count one answer more, and so large a part of those before."""
        self.answers = self.answers * kept + 1
        self.refusals = self.refusals * kept + refused

    @property
    def is_possible(self) -> bool:
        """Whether the figures can be right."""
        return 0 <= self.refusals <= self.answers < MAX_COUNTED


@define
class RecentCount:
    """The answers of the last `span` seconds: each counts less with time, by a factor of e in each span."""

    span: float
    count: AnswerCount = field(factory=AnswerCount)
    _counted: float = -math.inf

    def add(self, now: float, refused: bool) -> None:
        """Count one answer more."""
        self.count.add(refused, self._kept(now))
        self._counted = max(now, self._counted)

    def rate(self, now: float) -> float:
        """Return how many answers came in a second."""
        return self.count.answers * self._kept(now) / self.span

    def is_possible(self, span: float, latest: float) -> bool:
        """Whether the figures can be right if this is the span, and nothing came after the moment `latest`."""
        return self.span == span and self._counted <= latest and self.count.is_possible

    def _kept(self, now: float) -> float:
        return math.exp(min((self._counted - now) / self.span, 0.0))


@frozen
class Growth:
    """A rate that grows, in questions per second.

    Attributes:
        since: the moment from which it grows.
        rate: what it is then. Infinite: there is no bound.
        top: what the gateway let through when it was cut. The rate climbs to it in even steps, then grows faster.
        eager: whether it doubles from the beginning.
    """

    since: float = -math.inf
    rate: float = math.inf
    top: float = math.inf
    eager: bool = False

    def at(self, moment: float) -> float:
        """Return the rate at a moment."""
        since = max(moment - self.since, 0.0)
        if math.isinf(self.rate):
            return self.rate
        if self.eager:
            return self.rate * math.exp2(min(since / EAGER_DOUBLING, 64.0))
        climbs = max(1 - self.rate / self.top, 0.0) * RECOVERY  # So many seconds.
        if since < climbs:
            return self.rate + since / RECOVERY * self.top
        return max(self.rate, self.top) * math.exp2(min(((since - climbs) / DOUBLING) ** 2, 64.0))


@frozen
class Trial:
    """The time after a cut, in which it shows whether the rate is the cause of refusals. The rate stays what it is.

    Attributes:
        kept: what the cut has left of the rate.
        before: the answers to questions that were asked at the rate before. Those that were under way still come in.
        began: since when questions were asked at that rate.
        growth: the growth before the first cut of a series.
    """

    kept: float
    before: AnswerCount
    began: float
    growth: Growth

    @property
    def predicted(self) -> float:
        """The share that is refused if the gateway lets as many through in a second as before."""
        return max(1 - (1 - self.before.share) / self.kept, 0.0)


def clearly_more(share: float) -> float:
    """Return the share of refusals that is too much more than another one for chance."""
    return min(1.5 * share, (1 + share) / 2)


@define
class AdaptiveRate:
    """The rate that a gateway bears, learnt from the share of questions that it refuses.

    Attributes:
        changed: when it was last cut or restored. Questions that were under way then tell nothing of the new rate.
        excused: the share of refusals that comes at any rate, as far as is known.
        lag: seconds from an answer until everyone who asks knows what has changed because of it.
    """

    changed: float = -math.inf
    excused: float = 0.0
    lag: float = 0.0
    _excused_at: float = -math.inf  # When that became known.
    _since: float = -math.inf  # Answers to questions that were asked after this moment are counted.
    _answers: AnswerCount = field(factory=AnswerCount)
    _growth: Growth = field(factory=Growth)
    _trial: Trial | None = None
    _recent: RecentCount = Factory(lambda: RecentCount(RATE_SPAN))

    def at(self, moment: float) -> float:
        """Return the rate at a moment, in questions per second. Infinite: there is no bound."""
        return self._growth.rate if self._trial is not None else self._growth.at(moment)

    def count(self, now: float, asked: float, refused: bool) -> None:
        """Take in the answer to a question that was sent at the moment `asked`."""
        self._recent.add(now, refused)
        if now - self._excused_at > EXCUSE_FOR:
            self.excused = 0.0
        trial = self._trial
        if asked <= self._since:
            if trial is not None and trial.began < asked <= self.changed:
                trial.before.add(refused)
        elif trial is not None:
            self._answers.add(refused)
            self._judge(trial, now)
        else:
            self._answers.add(refused, 1 - 1 / REMEMBERED_ANSWERS)
            # The first of so many count a little less, so that the number is not quite reached.
            enough = (REFUSALS_BEFORE_FIRST_CUT if math.isinf(self._growth.rate) else REFUSALS_BEFORE_NEXT_CUT) - 0.5
            if self._answers.refusals >= enough and self._answers.share > clearly_more(self.excused):
                self._cut(now)

    def forget(self, now: float) -> None:
        """Count anew from this moment: in a pause, the gateway may save up questions."""
        self._since, self._answers = now + self.lag, AnswerCount()

    def is_possible(self, latest: float) -> bool:
        """Whether the figures can be right if nothing has changed after the moment `latest`."""
        trials = [self._trial] if self._trial is not None else []
        growths = [self._growth, *(trial.growth for trial in trials)]
        return (
            max(self.changed, self._excused_at, self._since, *(growth.since for growth in growths)) <= latest
            and 0 <= self.excused <= 1
            and self._recent.is_possible(RATE_SPAN, latest)
            and all(count.is_possible for count in (self._answers, *(trial.before for trial in trials)))
            and all(growth.rate >= MIN_RATE_AFTER_CUT and growth.top > 0 for growth in growths)
            and all(0 < trial.kept <= 1 for trial in trials)
        )

    def _judge(self, trial: Trial, now: float) -> None:
        """End a trial, if it has shown something, or begin another one at a lower rate."""
        share, usual = self._answers.share, trial.before.share
        expected, refusals = self._answers.answers * usual, self._answers.refusals
        enough = SHORT_TRIAL_REFUSALS if refusals == 0 or usual > MAX_REFUSED_SHARE else FULL_TRIAL_REFUSALS
        if refusals >= REFUSALS_BEFORE_NEXT_CUT and (refusals > 1.5 * expected + 2 or usual > MAX_REFUSED_SHARE):
            self._cut(now)
        elif expected >= enough and share < (usual + trial.predicted) / 2:
            # The rate is the cause. Where hardly anything was let through, that may be over, whatever it was.
            self._trial, self._answers = None, AnswerCount()
            self._growth = evolve(self._growth, since=now, eager=usual > MAX_REFUSED_SHARE)
            self.excused = min(self.excused, share)
        elif expected >= FULL_TRIAL_REFUSALS and (
            share > clearly_more(usual) or trial.before.answers < MIN_ANSWERS_BEFORE_TRIAL
        ):
            self._cut(now)
        elif expected >= FULL_TRIAL_REFUSALS:
            rate = trial.growth.at(now)
            self._trial, self.excused, self._excused_at = None, max(share, usual), now
            self._change(now, Growth(now, rate, rate, eager=True))

    def _cut(self, now: float) -> None:
        """Cut the rate to what the gateway lets through, and try that."""
        rate = min(self.at(now), max(self._recent.rate(now), MIN_MEASURED_RATE))
        through = min(max((1 - self._answers.share) / (1 - self.excused), MIN_KEPT_SHARE), 1.0)
        growth = self._growth if self._trial is None else self._trial.growth
        self._trial = Trial(through * MARGIN, self._answers, self._since, growth)
        self._change(now, Growth(now, max(rate * through * MARGIN, MIN_RATE_AFTER_CUT), rate * through))

    def _change(self, now: float, growth: Growth) -> None:
        self._growth, self.changed = growth, now + self.lag
        self.forget(now)


def pause_of(answer: Answer, least: float = 0.0) -> Pause | None:
    """Return the pause after an answer: as its `Retry-After` says, and so many seconds at least. None: no pause."""
    if not least and "retry-after" not in answer.headers:
        return None
    seconds = max(answer.retry_after or 0.0, least)
    return Pause(seconds, answer.received, answer.asked_pause) if seconds else None


@frozen
class Slot:
    """The moment, in seconds on the client's clock, at which one question may be asked.

    It is void once the rate was cut or restored, or a pause began, which begins another generation of slots.
    """

    moment: float
    generation: int


@define
class RateLimiter:
    """Tells the waits of one client when they may ask. May be used from many threads.

    Attributes:
        max_rate: questions per second, infinite for no bound.
        quiet_until: a moment on the client's clock. Before it, no wait asks.
        pause: why. None: no wait was ever held back.
    """

    max_rate: float = math.inf
    quiet_until: float = 0.0
    pause: Pause | None = None
    _last: float = -math.inf  # The moment of the last slot that was reserved.
    _generation: int = 0  # That of the slots that are not void.
    _rate: AdaptiveRate = field(factory=AdaptiveRate)
    _recent: RecentCount = Factory(lambda: RecentCount(SHARE_SPAN))
    _lock: ForkSafeLock = field(factory=ForkSafeLock)

    def free(self, now: float) -> float:
        """Return the moment of the next slot that is free."""
        return max(self._last + self._spacing(self.rate(self._last)), now, self.quiet_until)

    def reserve(self, now: float) -> Slot:
        """Reserve the next slot that is free."""
        with self._lock:
            self._last = self.free(now)
            return Slot(self._last, self._generation)

    def seconds_until(self, slot: Slot, now: float) -> float | None:
        """Return the seconds until a slot comes, at least 0. None: it is void, and another must be reserved."""
        return max(slot.moment - now, 0.0) if slot.generation == self._generation else None

    def may_be_spent(self, slot: Slot, now: float) -> bool:  # noqa: ARG002 - for clients that share a budget.
        """Whether a slot that came may still be spent."""
        return True

    def pauses(
        self, monotonic: Callable[[], float], left: float, spend: Callable[[Slot], object] | None = None
    ) -> Iterator[float]:
        """Yield the seconds to sleep, one after the other, until a slot has come or so many seconds are over.

        It ends at once when no wait may ask for as long as that. A slot that has come is handed to `spend`. Raises what
        `reserve` raises.
        """
        now = monotonic()
        end = now + left
        while self.free(now) < end:  # A slot that comes too late for this wait is left to others.
            slot = self.reserve(now)
            while (pause := self.seconds_until(slot, now)) is not None:
                if pause < RESOLUTION and spend is not None:
                    spend(slot)
                if pause < RESOLUTION or now >= end:
                    return
                yield min(pause, end - now, LONG_PAUSE)
                now = monotonic()
        while now < end and self.quiet_until < end:
            yield min(end - now, LONGEST_SLEEP)
            now = monotonic()

    def on_answer(self, now: float, asked: float) -> None:
        """Take note of an answer that is no 429, to a question that was sent at the moment `asked`.

        A pause of all waits ends if the gateway turns out to let enough through of what was sent when it asked for it.
        """
        with self._lock:
            self._count(now, asked, refused=False)
            self._end_pause(now, asked)

    def on_rate_limited(self, now: float, asked: float, pause: Pause) -> None:
        """Take note of a 429, and let all waits pause if the gateway asks for it and refuses most questions.

        Args:
            now: this moment.
            asked: when the question was sent.
            pause: how long the wait that was refused pauses.
        """
        with self._lock:
            self._count(now, asked, refused=True)
            if self._refuses_most():
                self._obey(now, pause)

    def rate(self, moment: float) -> float:
        """Return how many questions may be asked in a second at this moment. Infinite: there is no bound."""
        return min(self._rate.at(moment), self.max_rate)

    def _spacing(self, rate: float) -> float:
        """Return the seconds from one slot to the next at a rate."""
        return 1 / rate

    def _count(self, now: float, asked: float, *, refused: bool) -> None:
        self._recent.add(now, refused)
        changed = self._rate.changed
        self._rate.count(now, asked, refused)
        if self._rate.changed != changed:
            self._begin_slots(now)

    def _refuses_most(self, later: Iterable[bool] = ()) -> bool:
        """Whether nearly all questions are refused at present. `later` has for each that is not counted yet whether."""
        recent = evolve(self._recent.count)
        for refused in later:
            recent.add(refused)
        return recent.share > max(REFUSED_SHARE_TO_PAUSE_ALL, clearly_more(self._rate.excused))

    def _obey(self, now: float, pause: Pause) -> None:
        """Let all waits pause, for as long as the gateway asked for: the rest is the patience of the one refused."""
        if pause.asked is None:
            return
        pause = evolve(pause, seconds=min(pause.seconds, pause.asked, LONGEST_PAUSE))
        until = now + pause.seconds
        if until <= self.quiet_until:
            return
        is_new = now >= self.quiet_until
        self.quiet_until, self.pause = until, pause
        self._begin_slots(now)
        self._rate.forget(now)
        if is_new and pause.seconds >= LONG_PAUSE:
            logger.warning("%s: no wait of this client asks until then.", pause)

    def _end_pause(self, now: float, asked: float) -> None:
        """End a pause if what was asked just before it, or later, was let through, and so were enough others."""
        began = self.quiet_until - self.pause.seconds if self.pause is not None else math.inf
        if began <= now < self.quiet_until and asked > began - SHARE_SPAN and not self._refuses_most():
            self.quiet_until = now
            self._begin_slots(now)

    def _begin_slots(self, now: float) -> None:  # noqa: ARG002 - for clients that share a budget.
        """Begin another generation of slots. Those that were reserved are void."""
        self._last = -math.inf
        self._generation += 1
