"""The policy that asks by what its waits have learnt. No I/O, and no clock.

What they learn is in `longcat.waiting.schedule.knowledge`, the other policies in `longcat.waiting.schedule.polling`.
"""

import math
import random
from collections.abc import Callable
from math import exp
from typing import Final, TypeAlias

from attrs import Factory, define, field, frozen, validators

from longcat.waiting.schedule.budget import UNTRUSTED, Budget, due_in_budget, earliest, saved
from longcat.waiting.schedule.forecast import PRIOR, Experience, LogLogistic, ProgressReader
from longcat.waiting.schedule.knowledge import SHARED, Cohort, Knowledge
from longcat.waiting.schedule.outlook import Outlook, Price, ProgressOutlook
from longcat.waiting.schedule.plan import Random
from longcat.waiting.schedule.polling import POSITIVE, check_bounds

LEAST_WORTH: Final = 0.1
"""A question is worth no less than this share of the shortest pause, as that is about what the delay comes to."""
FIRST_GROWTH: Final = 0.8
"""How the worth of a question grows with the age of a request while nothing is known. Later it does not."""
LEAST_CHANCE: Final = 0.01  # One request says no more against a forecast than this.
NOTED_EVERY: Final = 1.25
"""How much older a request must be than when it was last noted to run, so that it is noted again."""
NEGLIGIBLE: Final = 1e-3
"""A forecast that is trusted less than this share of the most trusted one is left out of the plan."""
MAX_EVIDENCE: Final = 500.0  # In logarithms: progress says no more than this against all the others.
ENOUGH_FINISHED: Final = 5  # This many finished requests are well-founded experience.
FARTHEST: Final = 1e9  # Seconds beyond which nothing is foreseen.
PRECISION: Final = 1e-3  # The relative error of `first_reached`.
OLDEST: Final = 3600.0  # Seconds. A hint that a request is older than this is not believed.

ChanceDone: TypeAlias = Callable[[float], float]
"""From seconds of a wait to the chance that it is over by then."""


@define
class AdaptivePlan:
    """The plan of one wait under an `AdaptivePolling`. All times that it keeps are ages of the request, in seconds."""

    _policy: "AdaptivePolling"
    _cohort: Cohort
    _begun_at: float = 0.0  # How old the request was when the wait began.
    _reserved: int = 0  # How many questions of the budget are left for news.
    _questions: int = 0  # How many were asked, the first one included.
    _reader: ProgressReader | None = None  # None: no progress was reported.
    _log_likelihoods: list[float] = field(factory=list)
    """By each forecast from progress: the logarithm of the chance that it gave to what happened up to `_asked`.

    Before there was progress it is that of the outlook.
    """
    _noted: float = 0.0  # Up to when the experiences know that the request ran.
    _asked: float = 0.0  # When the last question was answered.
    _planned: float = 0.0  # When it was found out when the next question is due.
    _due: float = 0.0  # When that is.
    _questions_due: float = 1.0  # How many questions fall due between the two: one, give or take the jitter.

    def next(self, elapsed: float, progress: float | None) -> float:
        """Return how many seconds to pause before the next question, as `Plan.next` says."""
        knowledge = self._policy.knowledge
        allowed = self.unanswered(elapsed)
        age = self._age(elapsed)
        with knowledge.lock:
            if age > NOTED_EVERY * self._noted:
                self._note_running(age)
            outlook = self._outlook()
            if progress is not None and 0.0 <= progress <= 1.0:
                self._read(progress, outlook, age)
            elif self._reader is not None:
                self._judge(self._reader, outlook, age)
            self._asked = age
            pause = max(self._pause(outlook, age), allowed)
        self._planned, self._due = age, age + pause
        return pause

    def replan(self, elapsed: float) -> float:
        """Return in how many seconds the next question is due, by what was learnt since. It is no later than before.

        It comes `min_interval`, less the jitter, after the last one at the earliest.

        Args:
            elapsed: seconds since the wait began.
        """
        policy, age = self._policy, self._begun_at + elapsed
        if self._due - age > policy.min_interval and age > self._planned:
            least = max(self._asked + policy.min_interval * (1 - policy.jitter) - age, self.least_pause(elapsed))
            with policy.knowledge.lock:
                self._questions_due *= (self._due - age) / (self._due - self._planned)
                pause = self._due_of(self._ahead(self._outlook()), age, self._questions_due, self._due - age)
            self._planned = age
            self._due = min(age + max(pause, least), self._due)
        return max(self._due - age, 0.0)

    def first(self) -> float:
        """Return how many seconds to pause before the first question, when the answer to an order began the wait.

        That answer says that the request runs, and was no question: the budget has all of its questions left.
        """
        self._questions -= 1
        return self.next(0.0, None)

    def unanswered(self, elapsed: float) -> float:
        """Count a question that told nothing, and return the least pause before the next one, in seconds.

        Args:
            elapsed: seconds since the wait began, zero or more.
        """
        self._questions += 1
        return self.least_pause(elapsed)

    def least_pause(self, elapsed: float, extra: int = 0) -> float:
        """Return how many seconds must pass before the next question, as far as `seconds_per_question` goes.

        Args:
            elapsed: seconds since the wait began, zero or more.
            extra: how many of the reserved questions may be spent.
        """
        if self._policy.seconds_per_question is None:
            return 0.0
        moment = elapsed if 0.0 <= elapsed <= FARTHEST else 0.0
        return max(earliest(self._questions + self._reserved - extra, self._policy.seconds_per_question) - moment, 0.0)

    def finished(self, elapsed: float) -> None:
        """Take note that the request was seen done after so many seconds: it finished since the question before."""
        knowledge = self._policy.knowledge
        after, by = self._asked, self._age(elapsed)
        with knowledge.lock:
            if after > self._noted:
                self._note_running(after)
            if by > after:
                knowledge.update_trust(self._cohort, self._likelihoods(after, by))
            knowledge.finish(self._cohort, after, by)
            if (seconds := self._policy.seconds_per_question) is not None:
                duration = (after + by) / 2 - self._begun_at
                knowledge.saved = saved(knowledge.saved, self._questions + 1, duration, seconds)
            if self._reader is not None:
                self._reader.teach(knowledge.shapes, math.sqrt(after * by))

    @property
    def _least_trust(self) -> float:
        return NEGLIGIBLE if self._policy.seconds_per_question is None else UNTRUSTED

    def _outlook(self) -> Outlook:
        return self._policy.knowledge.outlook(self._policy.price, self._least_trust)

    def _note_running(self, age: float) -> None:
        self._policy.knowledge.note_running(self._cohort, self._noted, age)
        self._noted = age

    def _likelihoods(self, after: float, by: float) -> list[float]:
        """Return the logarithm of the chance that each forecast gave to a request that finished between two ages.

        A missing forecast is taken to agree with the others.
        """
        knowledge = self._policy.knowledge
        outlook = self._outlook()
        known: list[LogLogistic | Experience] = [PRIOR, *(knowledge.experiences if knowledge.finished else ())]
        found = [(-one.hazard(after), one.hazard(by) - one.hazard(after)) for one in known]
        together = math.log(outlook.alive(after, 0.0)), -math.log(outlook.alive(by, after))
        found += [together] * (SHARED - len(known))
        if self._reader is None:
            found += [together] * len(knowledge.shapes)
        else:
            for ran, one in zip(self._log_likelihoods, self._reader.forecasts, strict=True):
                found.append((ran, math.log(one.odds(by) / one.odds(after)) if one is not None else together[1]))
        return [ran + math.log(max(-math.expm1(-hazard), LEAST_CHANCE)) for ran, hazard in found]

    def _read(self, progress: float, outlook: Outlook, age: float) -> None:
        """Make the forecasts from progress anew."""
        if self._reader is None:
            self._reader = ProgressReader()
            self._log_likelihoods = [math.log(outlook.alive(age, 0.0))] * len(self._reader.forecasts)
        else:
            self._judge(self._reader, outlook, age)
        self._reader.read(self._policy.knowledge.shapes, age, progress)

    def _judge(self, reader: ProgressReader, outlook: Outlook, age: float) -> None:
        """Count for each forecast from progress that the request still runs at this age."""
        asked = self._asked
        self._log_likelihoods = [
            ran + math.log(one.odds(asked) / one.odds(age) if one is not None else outlook.alive(age, asked))
            for ran, one in zip(self._log_likelihoods, reader.forecasts, strict=True)
        ]

    def _age(self, elapsed: float) -> float:
        """Return how old the request is, or was at the last question for a time before it or NaN."""
        age = self._begun_at + elapsed
        return min(age, FARTHEST) if age > self._asked else self._asked

    def remaining(self, elapsed: float, share: float = 0.5) -> float:
        """Return after how many more seconds the chance that the request is done reaches a share.

        It is based on what was known at the last question, and is at most some decades.

        Args:
            elapsed: seconds since the wait began.
            share: above 0.0 and below 1.0. 0.5: it is done by then as likely as not.
        """
        done = self.chance_done()
        return first_reached(lambda more: done(elapsed + more) >= share)

    def foreseen(self) -> float | None:
        """Return after how many seconds of the wait the request will be seen done, as likely as not. None: unforeseen.

        It is foreseen by progress that tells enough, see `ProgressReader.time_of_end`.
        """
        if self._reader is None:
            return None
        done = self._reader.time_of_end(self._policy.knowledge.shapes, self._asked)
        return None if done is None else max(done, self._due) - self._begun_at

    def chance_done(self) -> ChanceDone:
        """Return the chance that the wait is over by then, by all that was known at the last question."""
        with self._policy.knowledge.lock:
            return self._chance_done(self._ahead(self._outlook()))

    def chance_by_experience(self) -> ChanceDone | None:
        """Return the same by how long the requests before took. None: too few of them, or progress says otherwise."""
        knowledge = self._policy.knowledge
        if knowledge.finished < ENOUGH_FINISHED or (self._reader is not None and self._reader.tells_enough):
            return None
        with knowledge.lock:
            return self._chance_done(knowledge.outlook_by_experience(self._policy.price))

    def _chance_done(self, ahead: Outlook | ProgressOutlook) -> ChanceDone:
        lock = self._policy.knowledge.lock

        def done(elapsed: float) -> float:
            age = self._begun_at + elapsed
            with lock:
                return 1 - ahead.alive(age, self._asked) if age > self._asked else 0.0

        return done

    def _ahead(self, outlook: Outlook) -> Outlook | ProgressOutlook:
        """Return what is expected of this request."""
        if self._reader is None:
            return outlook
        trust = self._policy.knowledge.trust[SHARED:]
        ran = math.log(outlook.alive(self._asked, 0.0) * outlook.trust)
        forecasts = [
            (t * exp(min(log_likelihood - ran, MAX_EVIDENCE)), one)
            for t, log_likelihood, one in zip(trust, self._log_likelihoods, self._reader.forecasts, strict=True)
            if one is not None
        ]
        least = self._least_trust * max(1.0, *(t for t, _ in forecasts), 0.0)
        trusted = [(t, one) for t, one in forecasts if t >= least]
        return ProgressOutlook(outlook, 1.0 if least <= 1.0 else 0.0, trusted) if trusted else outlook

    def _pause(self, outlook: Outlook, age: float) -> float:
        policy, elapsed = self._policy, age - self._begun_at
        # Jitter counts in questions, not in seconds: it is small where the end is near, however long the pause.
        self._questions_due = jitter = 1 + policy.jitter * (2 * policy.random() - 1)
        ahead, longest, finished = self._ahead(outlook), policy.max_interval, policy.knowledge.finished
        if ahead is not outlook or finished < ENOUGH_FINISHED:
            # Neither progress nor a few requests may make a pause longer than the wait so far.
            founded = outlook if finished >= ENOUGH_FINISHED else policy.knowledge.first_outlook(policy.price)
            longest = min(max(jitter * elapsed, self._due_of(founded, age, jitter, longest)), longest)
        pause = self._due_of(ahead, age, jitter, longest)
        if policy.min_interval < pause < policy.max_interval:
            return pause
        return min(max(pause, policy.min_interval), policy.max_interval) * jitter

    def _due_of(self, ahead: Outlook | ProgressOutlook, age: float, questions: float, longest: float) -> float:
        policy, seconds = self._policy, self._policy.seconds_per_question
        if seconds is not None:
            # One question is given at once, as to who asks at even intervals, and a second one where it was saved.
            unspent = 1 + max(policy.knowledge.saved, 0.0) + (age - self._begun_at) / seconds - self._questions
            return min(due_in_budget(ahead, age, questions, Budget(seconds, unspent, policy.question_worth)), longest)
        if isinstance(ahead, Outlook):
            return ahead.due(age, questions, longest, policy.min_interval)
        return ahead.due(age, questions, longest)


@frozen
class AdaptivePolling:
    """Pauses that fit what is known: how long earlier requests took, and the progress of this one. The default.

    Share one among the waits that resemble each other. It learns from each that finishes, and may be used from many
    threads. Nothing that progress says, and no experience of fewer than five requests, makes a pause longer than the
    wait so far; what many requests have in common may. No pause is longer than `max_interval`, give or take the jitter.
    """

    question_worth: float = field(default=0.001, validator=POSITIVE)
    """The delay that one question is worth, as a share of how long requests typically take. 0.001: 0.06 s in a minute.

    Four times as much halves the questions and doubles the delay. It counts as a tenth of `min_interval` at least.
    """
    min_interval: float = field(default=0.1, validator=POSITIVE)
    """Seconds."""
    max_interval: float = field(default=300.0, validator=POSITIVE)
    """Seconds."""
    jitter: float = field(default=0.1, validator=[validators.ge(0.0), validators.lt(1.0)])
    """From 0.0, none, up to 1.0. It keeps waits that started together from asking together."""
    seconds_per_question: float | None = field(default=None, validator=validators.optional(POSITIVE), kw_only=True)
    """Bounds the questions of a wait at every moment by `2 + elapsed / seconds_per_question`. None: no bound.

    The bound goes before `max_interval`.
    """
    random: Random = field(default=random.random, repr=False)
    knowledge: Knowledge = field(factory=Knowledge, init=False, repr=False, eq=False)
    price: Price = field(default=Factory(lambda self: self._first_price(), takes_self=True), init=False, repr=False)
    """What a question is worth while nothing is known."""

    def __attrs_post_init__(self) -> None:
        check_bounds(self.min_interval, self.max_interval)

    def _first_price(self) -> Price:
        return Price(self.question_worth, PRIOR.typical, FIRST_GROWTH, LEAST_WORTH * self.min_interval)

    def plan(self, age: float = 0.0, *, reserved: int = 0) -> AdaptivePlan:
        """Return the plan of a wait that begins now.

        Args:
            age: how many seconds before the wait the request began. It is a hint: below zero, above an hour or NaN
                counts as 0. Forecasts, and what is learnt, are about the age of the request.
            reserved: how many of the questions that the budget allows are left for news of the request.
        """
        with self.knowledge.lock:
            return AdaptivePlan(self, self.knowledge.begin(), age if 0.0 <= age <= OLDEST else 0.0, reserved)


def first_reached(reached: Callable[[float], bool]) -> float:
    """Return the least number of seconds from which on `reached` is true. At most `FARTHEST`."""
    if reached(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while not reached(high) and high < FARTHEST:
        low, high = high, 2 * high
    while high - low > PRECISION * high:
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
