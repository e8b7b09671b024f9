"""What the waits of one policy learn together, and when the next question of a wait is due. No I/O, and no clock.

The forecasts are in `longcat.waiting.schedule.forecast`, the other policies in `longcat.waiting.schedule.polling`.
"""

import math
import random
from collections.abc import Callable, Sequence
from math import exp, sqrt
from typing import Final, TypeAlias

from attrs import define, field, frozen, validators

from longcat.processes import ForkSafeLock
from longcat.waiting.schedule.budget import UNTRUSTED, Budget, due_in_budget, earliest, saved
from longcat.waiting.schedule.forecast import (
    PRIOR,
    Experience,
    ProgressReader,
    ProgressShape,
    WeightedForecast,
    logarithm,
)
from longcat.waiting.schedule.polling import POSITIVE, Random, check_bounds

EXPERIENCES: Final = (
    (2, 0.01, 0.01),  # A batch of like requests.
    (100, 0.04, 0.15),  # A few kinds of requests.
    (12, 0.15, 0.5),  # A spread that has shifted.
    (100, 0.15, 0.5),  # A spread that stays.
)
"""The memory, blur and prior weight of each `Experience`."""
FIRST_TRUST: Final = (0.4, 0.12, 0.12, 0.12, 0.12, 0.06, 0.06)
"""In the prior, the experiences, progress since the wait began, and progress since the work began. It adds up to 1."""
NOTHING_SEEN: Final = (0.0,) * len(FIRST_TRUST)
FIRST_SHIFT: Final = 0.02  # The chance that a request is unlike those before it, until that is learnt.
SHIFT_WEIGHT: Final = 30.0  # How many requests this first guess counts as.
SHIFT_MEMORY: Final = 150.0  # From how many requests the chance is learnt at most.
LEAST_SHIFT: Final = 0.001
COHORT_SHIFT: Final = 0.02  # The same chance for requests that run at once: their ends are close, so it matters less.
LONGEST_STEP: Final = 0.5
"""A cohort makes older ones count less by no more than this, in logarithms, however many requests are in it."""
LEAST_CHANCE: Final = 0.01  # One request says no more against a forecast than this.
NEGLIGIBLE: Final = 1e-3  # A forecast trusted less than this share of the most trusted one is left out of the plan.
MANY: Final = 5  # This many finished requests are well-founded experience.
COARSE: Final = 0.5  # A step of the integral in `due` that holds more of a question than this is halved.
FARTHEST: Final = 1e9  # Seconds beyond which nothing is foreseen.
PRECISION: Final = 1e-3  # The relative error of `first_reached`.
OLDEST: Final = 3600.0  # Seconds. A hint that a request is older than this is not believed.


ChanceDone: TypeAlias = Callable[[float], float]
"""From seconds of a wait to the chance that it is over by then."""


@define
class Cohort:
    """Requests that began before any of them had finished. A single request is a cohort, too."""

    ages: tuple[float, ...] = (0.0,) * len(EXPERIENCES)
    """How old it is by each experience: one that is older by 1 counts 1/e as much."""
    begun: int = 0
    finished: int = 0  # How many requests finished since the cohort began, once one of its own has.


@define
class Knowledge:
    """What the waits of one policy have learnt together: the forecasts, and how far each is trusted.

    The trust is Bayes' rule over the forecasts: each is multiplied by the chance that it gave to what happened between
    two questions. Then a small share goes back to the first trust (the fixed share of Herbster and Warmuth, 1998), so
    that a forecast that was right once can be right again, and a shift is soon followed. How large the share is, is
    learnt as well: it is that of the requests that the first trust foresaw better.

    Requests that run at once tend to finish alike, so those of a cohort are less evidence than as many in turn: n of
    them count as the root of n. While the cohort runs, each that has finished counts in full for the others.
    """

    shapes: tuple[ProgressShape, ProgressShape] = field(factory=lambda: (ProgressShape(), ProgressShape()))
    experiences: tuple[Experience, ...] = field(factory=lambda: tuple(Experience(*e) for e in EXPERIENCES))
    trust: Sequence[float] = FIRST_TRUST  # For the requests of the cohort that runs.
    finished: int = 0
    saved: float = (
        0.0  # How many questions, as `longcat.waiting.schedule.budget.saved` says. Without a budget it stays zero.
    )
    cohort: Cohort = field(factory=Cohort)
    lock: ForkSafeLock = field(factory=ForkSafeLock)
    _lasting_trust: Sequence[float] = FIRST_TRUST  # The trust that outlasts the cohort.
    _shift: float = FIRST_SHIFT
    _shift_weight: float = SHIFT_WEIGHT

    def begin(self) -> Cohort:
        """Return the cohort of a request that begins now."""
        if self.cohort.finished:
            steps = (min(self.cohort.finished / experience.memory, LONGEST_STEP) for experience in self.experiences)
            self.cohort = Cohort(tuple(age + step for age, step in zip(self.cohort.ages, steps, strict=True)))
            self.trust = fixed_share(self._lasting_trust, self._shift)
        self.cohort.begun += 1
        return self.cohort

    def finish(self, cohort: Cohort, after: float, by: float) -> None:
        """Take note that a request of this cohort finished between two questions, both in seconds of its wait."""
        for experience, age in zip(self.experiences, cohort.ages, strict=True):
            experience.note_finished(age, after, by)
        self.finished += 1
        if cohort is self.cohort or self.cohort.finished:
            self.cohort.finished += 1

    def update_trust(self, cohort: Cohort, log_likelihoods: Sequence[float]) -> None:
        """Learn from one request how far to trust each forecast.

        Args:
            cohort: the request's.
            log_likelihoods: the logarithm of the chance that each forecast gave to what happened, from begin to end.
        """
        self.trust = fixed_share(update(self.trust, log_likelihoods), COHORT_SHIFT)
        size = sqrt(cohort.begun)  # One of n counts as 1 / size, so that all together count as the root of n.
        part = [e / size for e in log_likelihoods]
        most = max(part)
        likely = [exp(e - most) for e in part]
        stays = (1 - self._shift) * sum(map(float.__mul__, self._lasting_trust, likely))
        shifts = self._shift * sum(map(float.__mul__, FIRST_TRUST, likely))
        self._lasting_trust = update(fixed_share(self._lasting_trust, self._shift), part)
        self._shift_weight = min(self._shift_weight + 1 / size, SHIFT_MEMORY)
        learnt = (shifts / (shifts + stays) - self._shift) / size / self._shift_weight
        self._shift = max(self._shift + learnt, LEAST_SHIFT)


def fixed_share(trust: Sequence[float], share: float) -> list[float]:
    """Return the trust with a share of it given back to the first trust."""
    return [(1 - share) * now + share * first for now, first in zip(trust, FIRST_TRUST, strict=True)]


def update(trust: Sequence[float], log_likelihoods: Sequence[float]) -> list[float]:
    """Return the trust by Bayes' rule: `trust * exp(log_likelihood)` of each forecast, made to add up to one."""
    most = max(log_likelihoods)
    products = [t * exp(e - most) for t, e in zip(trust, log_likelihoods, strict=True)]
    total = sum(products) or 1.0
    return [p / total for p in products]


def due(weighted: Sequence[WeightedForecast], elapsed: float, worth: float, questions: float, longest: float) -> float:
    """Return after how many seconds so many questions fall due, at most `longest`.

    Asking n times a second costs c per question and, where a request finishes, a delay of 1 / 2n on average. While it
    runs, with hazard h (the chance per second to finish now), that is `n c + h / 2n` per second: least where
    `n = sqrt(h / 2c)` (Keller 1974, "Optimum checking schedules"; Barlow and Proschan 1965). The next question falls
    due where the integral of n from now reaches one.

    c is `worth` times the typical duration, which each forecast has its own idea of, so `h / c` is summed over the
    forecasts, weighted by the trust in each and its chance that the request still runs. Steps start small and grow with
    the time, and shrink where a single one would hold a good part of a question.
    """
    now, step, asked = elapsed, max(0.05, elapsed / 50), 0.0
    # The prior knows no scale but the wait itself. Its pauses grow as t to the 3/4: half way between the root of t (a
    # fixed c; it costs least while nothing is known) and t (which treats long and short waits alike).
    terms = [
        (w.trust, w.hazard, w.forecast.hazard, max(t, sqrt(t * elapsed)) if w.forecast is PRIOR else t)
        for w in weighted
        if (t := w.forecast.typical)
    ]
    alive = [trust for trust, _, _, _ in terms]
    running = sum(alive)
    while now < elapsed + longest:
        then = now + step
        log = logarithm(then)
        gain, still = 0.0, []  # The gain is the sum of h / c over the step, but for `worth`.
        for before, (trust, since, hazard, scale) in zip(alive, terms, strict=True):
            after = trust * exp(since - hazard(then, log))
            gain += (before - after) / scale
            still.append(after)
        later = sum(still)
        part = sqrt(max(gain, 0.0) * step / (worth * (running + later or 1.0)))
        if part > COARSE and step > max(0.05, then / 100):
            step /= 2
            continue
        if asked + part >= questions:
            return now + step * (questions - asked) / part - elapsed
        asked, now, alive, running = asked + part, then, still, later
        if part < COARSE / 2:
            step = min(step * 1.6, then / 10 + 0.05)
    return longest


@define
class AdaptivePlan:
    """The plan of one wait under an `AdaptivePolling`. All times that it keeps are ages of the request, in seconds."""

    _policy: "AdaptivePolling"
    _cohort: Cohort
    _begun_at: float = 0.0  # How old the request was when the wait began.
    _reserved: int = 0  # How many questions of the budget are left for news.
    _questions: int = 0  # How many were asked, the first one included.
    _log_likelihoods: Sequence[float] = NOTHING_SEEN  # As `Knowledge.update_trust` takes them.
    _reader: ProgressReader | None = None
    _asked: float = 0.0  # When the last question was answered.
    _due: float = 0.0  # When the next question is due.
    _hazards: Sequence[float] = ()  # How much each forecast's H grows between the two. Empty: nothing was asked yet.

    def begin(self) -> None:
        """Note what each forecast says of the time before the wait, so that it is held to it if the request runs."""
        if self._begun_at > 0.0:
            self._note_forecasts(self._weighted(0.0), 0.0, self._begun_at)

    def next(self, elapsed: float, progress: float | None) -> float:
        """Return how many seconds to pause before the next question, as `Plan.next` says."""
        knowledge = self._policy.knowledge
        allowed = self.unanswered(elapsed)
        age = self._age(elapsed)
        if progress is not None and not 0.0 <= progress <= 1.0:
            progress = None
        with knowledge.lock:
            self._note_running(age)
            if progress is not None:
                self._reader = self._reader or ProgressReader()
                self._reader.read(knowledge.shapes, age, progress)
            weighted = self._weighted(age)
            pause = max(self._pause(weighted, age), allowed)
            self._note_forecasts(weighted, age, age + pause)
        return pause

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
            if self._hazards:
                share = self._share(by)
                chances = [max(-math.expm1(-share * h), LEAST_CHANCE) for h in self._hazards]
                log_likelihoods = [e + math.log(c) for e, c in zip(self._log_likelihoods, chances, strict=True)]
                knowledge.update_trust(self._cohort, log_likelihoods)
            knowledge.finish(self._cohort, after, by)
            if (seconds := self._policy.seconds_per_question) is not None:
                duration = (after + by) / 2 - self._begun_at
                knowledge.saved = saved(knowledge.saved, self._questions + 1, duration, seconds)
            if self._reader is not None:
                self._reader.teach(knowledge.shapes, math.sqrt(after * by))

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

        It is foreseen by progress that tells enough, see `ProgressReader.founded`.
        """
        forecast = self._reader.founded() if self._reader is not None else None
        if forecast is None:
            return None
        done = forecast.reached(forecast.hazard(self._asked, logarithm(self._asked)) + math.log(2))
        return max(done, self._due) - self._begun_at

    def chance_done(self) -> ChanceDone:
        """Return the chance that the wait is over by then, by all that was known at the last question."""
        return self._chance_done(self._weighted_now())

    def chance_by_experience(self) -> ChanceDone | None:
        """Return the same by nothing but how long the requests before took. None: too few of them have finished."""
        if self._policy.knowledge.finished < MANY:
            return None
        return self._chance_done(self._weighted_now()[1 : 1 + len(EXPERIENCES)])

    def _weighted_now(self) -> list[WeightedForecast | None]:
        with self._policy.knowledge.lock:
            return self._weighted(self._asked)

    def _chance_done(self, weighted: Sequence[WeightedForecast | None]) -> ChanceDone:
        known = [one for one in weighted if one is not None]
        total = sum(one.trust for one in known)

        def done(elapsed: float) -> float:
            age = self._begun_at + elapsed
            log = logarithm(age)
            return 1 - sum(one.alive(age, log) for one in known) / total if age > self._asked else 0.0

        return done

    def _note_running(self, elapsed: float) -> None:
        """Take note that the request still runs: the surer a forecast was that it would be done, the worse for it."""
        if self._hazards:
            share = self._share(elapsed)
            self._log_likelihoods = [e - share * h for e, h in zip(self._log_likelihoods, self._hazards, strict=True)]
        since, until = logarithm(self._asked), logarithm(elapsed)
        for experience, age in zip(self._policy.knowledge.experiences, self._cohort.ages, strict=True):
            experience.note_running(age, since, until)
            experience.update()

    def _share(self, elapsed: float) -> float:
        """Return what share of the planned pause has passed, at most 1: a question may come early."""
        return min((elapsed - self._asked) / max(self._due - self._asked, 1e-9), 1.0)

    def _weighted(self, elapsed: float) -> list[WeightedForecast | None]:
        """Return every forecast, in the order of `FIRST_TRUST`. None: too little is known to make it."""
        knowledge = self._policy.knowledge
        experiences = knowledge.experiences if knowledge.finished else [None] * len(knowledge.experiences)
        forecasts = [PRIOR, *experiences, *(self._reader.forecasts if self._reader else (None, None))]
        trust, log = update(knowledge.trust, self._log_likelihoods), logarithm(elapsed)
        return [
            WeightedForecast(t, f, f.hazard(elapsed, log)) if f is not None else None
            for t, f in zip(trust, forecasts, strict=True)
        ]

    def _pause(self, weighted: Sequence[WeightedForecast | None], age: float) -> float:
        policy, elapsed = self._policy, age - self._begun_at
        # Jitter counts in questions, not in seconds: it is small where the end is near, however long the pause.
        jitter = 1 + policy.jitter * (2 * policy.random() - 1)
        pause = self._due_of(weighted, age, jitter)
        if pause > jitter * elapsed:
            # Neither progress nor a few requests may make a pause longer than the wait so far.
            founded = weighted[: -len(policy.knowledge.shapes)] if policy.knowledge.finished >= MANY else weighted[:1]
            pause = max(jitter * elapsed, min(pause, self._due_of(founded, age, jitter)))
        if policy.min_interval < pause < policy.max_interval:
            return pause
        return min(max(pause, policy.min_interval), policy.max_interval) * jitter

    def _due_of(self, weighted: Sequence[WeightedForecast | None], age: float, questions: float) -> float:
        known = [one for one in weighted if one is not None]
        policy, seconds = self._policy, self._policy.seconds_per_question
        least = (NEGLIGIBLE if seconds is None else UNTRUSTED) * max(one.trust for one in known)
        trusted = [one for one in known if one.trust >= least]
        if seconds is None:
            return due(trusted, age, policy.question_worth, questions, policy.max_interval)
        # One question is given at once, as to who asks at even intervals, and a second one where it was saved before.
        unspent = 1 + max(policy.knowledge.saved, 0.0) + (age - self._begun_at) / seconds - self._questions
        return due_in_budget(trusted, age, questions, Budget(seconds, unspent, policy.question_worth))

    def _note_forecasts(self, weighted: Sequence[WeightedForecast | None], elapsed: float, then: float) -> None:
        """Keep what each forecast says of the next question. A missing one is taken to agree with the others."""
        log = logarithm(then)
        hazards = [one.forecast.hazard(then, log) - one.hazard if one else None for one in weighted]
        known = [(one.trust, math.exp(-h)) for one, h in zip(weighted, hazards, strict=True) if one and h is not None]
        alive = sum(t * chance for t, chance in known) / max(sum(t for t, _ in known), 1e-300)
        agreed = -math.log(max(alive, 1e-300))
        self._hazards = [agreed if h is None else h for h in hazards]
        self._asked, self._due = elapsed, then


@frozen
class AdaptivePolling:
    """Pauses that fit what is known: how long earlier requests took, and the progress of this one. The default.

    Share one among the waits that resemble each other. It learns from each that finishes, and may be used from many
    threads. Nothing that progress says, and no experience of fewer than five requests, makes a pause longer than the
    wait so far; what many requests have in common may. No pause is longer than `max_interval`, give or take the jitter.
    """

    question_worth: float = field(default=0.001, validator=POSITIVE)
    """The delay that one question is worth, as a share of how long requests typically take. 0.001: 0.06 s in a minute.

    Four times as much halves the questions and doubles the delay.
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

    def __attrs_post_init__(self) -> None:
        check_bounds(self.min_interval, self.max_interval)

    def plan(self, age: float = 0.0, *, reserved: int = 0) -> AdaptivePlan:
        """Return the plan of a wait that begins now.

        Args:
            age: how many seconds before the wait the request began. It is a hint: below zero, above an hour or NaN
                counts as 0. Forecasts, and what is learnt, are about the age of the request.
            reserved: how many of the questions that the budget allows are left for news of the request.
        """
        with self.knowledge.lock:
            plan = AdaptivePlan(self, self.knowledge.begin(), age if 0.0 <= age <= OLDEST else 0.0, reserved)
            plan.begin()
            return plan


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
