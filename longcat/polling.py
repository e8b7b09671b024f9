"""When to ask next. Pure arithmetic: no I/O, no clock; randomness is an argument."""

import math
import random
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from attrs import define, field, frozen, validators

from longcat.forecast import PRIOR, ProgressReader, logarithm
from longcat.schedule import NO_EVIDENCE, Knowledge, Voice, Wave, due, weigh

Random = Callable[[], float]
"""A source of numbers from 0.0 up to, not including, 1.0."""


class Plan(Protocol):
    """The schedule of one wait."""

    def next(self, elapsed: float, progress: float | None) -> float:
        """Return how many seconds to pause before the next question.

        Args:
            elapsed: seconds since the wait began, zero or more.
            progress: the last one reported, from 0.0 to 1.0. None: unknown.
        """

    def finished(self, elapsed: float) -> None:
        """Take note that the request was done after so many seconds of waiting."""


class Polling(Protocol):
    """A policy, shared by all waits of a client. The first question of a wait is asked at once, whatever the policy."""

    def plan(self) -> Plan:
        """Return the schedule of a wait that begins now."""


_POSITIVE: Final = [validators.gt(0.0), validators.lt(math.inf)]


def _check_bounds(least: float, most: float) -> None:
    if least > most:
        raise ValueError(f"min_interval is {least:g} s, more than max_interval, {most:g} s. Exchange them.")


@frozen
class FixedPolling:
    """The same pause every time. It is its own plan, as it learns nothing."""

    interval: float = field(validator=_POSITIVE)
    """Seconds between an answer and the next question."""

    def plan(self) -> "FixedPolling":
        """Return this policy."""
        return self

    def next(self, elapsed: float, progress: float | None) -> float:  # noqa: ARG002 - it heeds neither.
        """Return the interval."""
        return self.interval

    def finished(self, elapsed: float) -> None:
        """Do nothing."""


@frozen
class GeometricPolling:
    """Pauses that grow with the wait, so that the delay stays a fixed share of it. It is its own plan.

    The pause after `elapsed` seconds is `ratio * elapsed`, no less than `min_interval` and no more than `max_interval`,
    times a factor drawn evenly from `1 - jitter` to `1 + jitter`: waits that started together drift apart.
    """

    ratio: float = field(default=0.25, validator=_POSITIVE)
    """What share of the wait so far may be lost after the request is done."""
    min_interval: float = field(default=0.5, validator=_POSITIVE)
    """Seconds."""
    max_interval: float = field(default=10.0, validator=_POSITIVE)
    """Seconds. The vendor's page on the queue gateway advises five to ten."""
    jitter: float = field(default=0.1, validator=[validators.ge(0.0), validators.lt(1.0)])
    """From 0.0, none, up to 1.0."""
    random: Random = field(default=random.random, repr=False)

    def __attrs_post_init__(self) -> None:
        _check_bounds(self.min_interval, self.max_interval)

    def plan(self) -> "GeometricPolling":
        """Return this policy."""
        return self

    def next(self, elapsed: float, progress: float | None) -> float:  # noqa: ARG002 - it does not heed progress.
        """Return `clamp(ratio * elapsed)` seconds, with jitter."""
        pause = min(max(self.ratio * elapsed, self.min_interval), self.max_interval)
        return pause * (1 + self.jitter * (2 * self.random() - 1))

    def finished(self, elapsed: float) -> None:
        """Do nothing."""


LEAST_CHANCE: Final = 0.01
"""One request says no more against a forecast than this."""
NEGLIGIBLE: Final = 1e-3
"""A forecast trusted less than this share of the most trusted one has no say in the schedule."""
MANY: Final = 5
"""So many finished requests are well-founded experience."""


@define
class AdaptivePlan:
    """The schedule of one wait under an `AdaptivePolling`."""

    _policy: "AdaptivePolling"
    _wave: Wave
    _evidence: Sequence[float] = NO_EVIDENCE
    _reader: ProgressReader | None = None
    _asked: float = 0.0  # When the last question was answered, in seconds since the wait began,
    _due: float = 0.0  # when the next one was to be,
    _hazards: Sequence[float] = ()  # and how much of its H each forecast laid between the two.

    def next(self, elapsed: float, progress: float | None) -> float:
        """Return how many seconds to pause before the next question.

        Args:
            elapsed: seconds since the wait began, zero or more.
            progress: the last one reported, from 0.0 to 1.0. None: unknown.
        """
        knowledge = self._policy.knowledge
        elapsed = self._sane(elapsed)
        if progress is not None and not 0.0 <= progress <= 1.0:
            progress = None  # It means nothing.
        with knowledge.lock:
            self._survived(elapsed)
            if progress is not None:
                self._reader = self._reader or ProgressReader()
                self._reader.read(knowledge.shapes, elapsed, progress)
            voices = self._voices(elapsed)
            pause = self._pause(voices, elapsed)
            self._predict(voices, elapsed, elapsed + pause)
        return pause

    def finished(self, elapsed: float) -> None:
        """Take note that the request was seen done after so many seconds, so it finished since the question before."""
        knowledge = self._policy.knowledge
        after, by = self._asked, self._sane(elapsed)
        with knowledge.lock:
            if self._hazards:
                share = self._share(by)
                chances = [max(-math.expm1(-share * h), LEAST_CHANCE) for h in self._hazards]
                evidence = [e + math.log(c) for e, c in zip(self._evidence, chances, strict=True)]
                knowledge.judge(self._wave, evidence)
            knowledge.finish(self._wave, after, by)
            if self._reader is not None:
                self._reader.teach(knowledge.shapes, math.sqrt(after * by))

    def _sane(self, elapsed: float) -> float:
        """Return a time that is no number, or before the last question, as that of the last question."""
        return min(max(elapsed, self._asked), FARTHEST) if elapsed > self._asked else self._asked

    def remaining(self, elapsed: float, share: float = 0.5) -> float:
        """Return after how many more seconds the chance that the request is done reaches a share.

        It goes by what was known at the last question, and is at most some decades.

        Args:
            elapsed: seconds since the wait began.
            share: above 0.0 and below 1.0. 0.5: it is done by then as likely as not.
        """
        done = self.outlook()
        return first_reached(lambda more: done(elapsed + more) >= share)

    def outlook(self) -> Callable[[float], float]:
        """Return the chance that the request is done so many seconds after its wait began, as of the last question."""
        with self._policy.knowledge.lock:
            voices = [voice for voice in self._voices(self._asked) if voice is not None]
        total = sum(voice.trust for voice in voices)

        def done(elapsed: float) -> float:
            log = logarithm(elapsed)
            return 1 - sum(voice.alive(elapsed, log) for voice in voices) / total if elapsed > self._asked else 0.0

        return done

    def _survived(self, elapsed: float) -> None:
        """Hold it against each forecast how sure it was that the request would be done by now."""
        if self._hazards:
            share = self._share(elapsed)
            self._evidence = [e - share * h for e, h in zip(self._evidence, self._hazards, strict=True)]
        since, until = logarithm(self._asked), logarithm(elapsed)
        for experience, age in zip(self._policy.knowledge.experiences, self._wave.ages, strict=True):
            experience.lived(age, since, until)
            experience.digest()

    def _share(self, elapsed: float) -> float:
        """Return how much of the time between two questions has passed, should this one come early."""
        return min((elapsed - self._asked) / max(self._due - self._asked, 1e-9), 1.0)

    def _voices(self, elapsed: float) -> list[Voice | None]:
        """Return every forecast, in the order of the trust. None: it has nothing to say yet."""
        knowledge = self._policy.knowledge
        experiences = knowledge.experiences if knowledge.finished else [None] * len(knowledge.experiences)
        forecasts = [PRIOR, *experiences, *(self._reader.forecasts if self._reader else (None, None))]
        trust, log = weigh(knowledge.trust, self._evidence), logarithm(elapsed)
        return [
            Voice(t, f, f.hazard(elapsed, log)) if f is not None else None
            for t, f in zip(trust, forecasts, strict=True)
        ]

    def _pause(self, voices: Sequence[Voice | None], elapsed: float) -> float:
        policy = self._policy
        # Jitter counts in questions, not in seconds: it is small where the end is near, however long the pause.
        jitter = 1 + policy.jitter * (2 * policy.random() - 1)
        pause = self._due_of(voices, elapsed, jitter)
        if pause > jitter * elapsed:
            # Neither progress nor a few requests may silence a wait for longer than it has lasted.
            founded = voices[: -len(policy.knowledge.shapes)] if policy.knowledge.finished >= MANY else voices[:1]
            pause = max(jitter * elapsed, min(pause, self._due_of(founded, elapsed, jitter)))
        if policy.min_interval < pause < policy.max_interval:
            return pause
        return min(max(pause, policy.min_interval), policy.max_interval) * jitter

    def _due_of(self, voices: Sequence[Voice | None], elapsed: float, questions: float) -> float:
        speaking = [voice for voice in voices if voice is not None]
        least = NEGLIGIBLE * max(voice.trust for voice in speaking)
        heard = [voice for voice in speaking if voice.trust >= least]
        return due(heard, elapsed, self._policy.question_worth, questions, self._policy.max_interval)

    def _predict(self, voices: Sequence[Voice | None], elapsed: float, then: float) -> None:
        """Write down what each forecast says of the next question. Who is silent is taken to agree with the others."""
        log = logarithm(then)
        hazards = [voice.forecast.hazard(then, log) - voice.hazard if voice else None for voice in voices]
        awake = [
            (voice.trust, math.exp(-h)) for voice, h in zip(voices, hazards, strict=True) if voice and h is not None
        ]
        alive = sum(t * chance for t, chance in awake) / max(sum(t for t, _ in awake), 1e-300)
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

    question_worth: float = field(default=0.001, validator=_POSITIVE)
    """The delay that one question is worth, as a share of how long requests typically take. 0.001: 0.06 s in a minute.

    Four times as much halves the questions and doubles the delay.
    """
    min_interval: float = field(default=0.1, validator=_POSITIVE)
    """Seconds."""
    max_interval: float = field(default=300.0, validator=_POSITIVE)
    """Seconds."""
    jitter: float = field(default=0.1, validator=[validators.ge(0.0), validators.lt(1.0)])
    """From 0.0, none, up to 1.0. It keeps waits that started together from asking together."""
    random: Random = field(default=random.random, repr=False)
    knowledge: Knowledge = field(factory=Knowledge, init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        _check_bounds(self.min_interval, self.max_interval)

    def plan(self) -> AdaptivePlan:
        """Return the schedule of a wait that begins now."""
        with self.knowledge.lock:
            return AdaptivePlan(self, self.knowledge.begin())


SAMPLE: Final = 64


def last_done(plans: Sequence[tuple[AdaptivePlan, float]]) -> float:
    """Return in how many seconds all of these requests will be done as likely as not. Zero if there are none.

    They are taken to be independent of each other, given what is known. Of more than 64, 64 stand for all.

    Args:
        plans: each with the seconds since its wait began.
    """
    sample = [plans[i * len(plans) // SAMPLE] for i in range(SAMPLE)] if len(plans) > SAMPLE else plans
    outlooks = [(plan.outlook(), elapsed) for plan, elapsed in sample]
    half = 0.5 ** (len(sample) / max(len(plans), 1))
    return first_reached(lambda more: math.prod(done(elapsed + more) for done, elapsed in outlooks) >= half)


FARTHEST: Final = 1e9
PRECISION: Final = 1e-3


def first_reached(reached: Callable[[float], bool]) -> float:
    """Return the least number of seconds at which it is reached, which it stays. At most `FARTHEST`."""
    if reached(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while not reached(high) and high < FARTHEST:
        low, high = high, 2 * high
    while high - low > PRECISION * high:
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


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


def look(elapsed: float) -> float:
    """Return how many seconds to pause before the next look at what another program does.

    A tenth of the time waited so far, no less than 0.5 and no more than 5.
    """
    return min(max(elapsed / 10, 0.5), 5.0)
