"""What the waits of one policy learn together, and the moment at which the next question of one of them is due.

No I/O and no clock. The forecasts are in `longcat.forecast`, the policies in `longcat.polling`.
"""

from collections.abc import Sequence
from math import exp, sqrt
from threading import Lock
from typing import Final

from attrs import define, field

from longcat.forecast import PRIOR, Experience, Forecast, ProgressShape, logarithm

EXPERIENCES: Final = (
    (2, 0.01, 0.01),  # A batch of like requests.
    (100, 0.04, 0.15),  # A few kinds of requests.
    (12, 0.15, 0.5),  # A spread that has shifted.
    (100, 0.15, 0.5),  # A spread that stays.
)
"""The memory, blur and prior weight of each `Experience`."""
FIRST_TRUST: Final = (0.4, 0.12, 0.12, 0.12, 0.12, 0.06, 0.06)
"""Of the prior, the experiences, progress since the wait began, and progress since the work began. It adds up to 1."""
NO_EVIDENCE: Final = (0.0,) * len(FIRST_TRUST)
FIRST_SHIFT: Final = 0.02
"""The chance that a request is unlike those before it, until that is learnt,"""
SHIFT_WEIGHT: Final = 30.0
"""how many requests this first guess counts as,"""
SHIFT_MEMORY: Final = 150.0
"""and from how many the chance is learnt at most."""
LEAST_SHIFT: Final = 0.001
WAVE_SHARE: Final = 0.02
"""The same chance for those that run at once: their ends are close, so it matters less."""
LONGEST_STEP: Final = 0.5
"""A wave makes what is older count less by no more than this, in logarithms, however many requests are in it."""


@define
class Wave:
    """Requests that began before any of them had finished. One alone is a wave, too."""

    ages: tuple[float, ...] = (0.0,) * len(EXPERIENCES)
    """How old it is by each experience: one that is older by 1 counts 1/e as much."""
    begun: int = 0
    finished: int = 0
    """How many requests finished since the wave began, once one of its own has."""


@define
class Knowledge:
    """What the waits of one policy have learnt together: the forecasts, and how far each is trusted.

    The trust is Bayes' rule over the forecasts: each is multiplied by the chance that it gave to what happened, between
    one question and the next. Then everyone gets a little of its first trust back (the fixed share of Herbster and
    Warmuth, 1998), so that a forecast that was right once can be right again, and a shift is soon followed. How much is
    learnt as well, as the share of requests that the first trust foresaw better.

    Requests that run at once tend to finish alike, so those of a wave are less evidence than as many in turn: n of them
    count as the root of n. While the wave runs, each that has finished counts in full for the others.
    """

    shapes: tuple[ProgressShape, ProgressShape] = field(factory=lambda: (ProgressShape(), ProgressShape()))
    experiences: tuple[Experience, ...] = field(factory=lambda: tuple(Experience(*e) for e in EXPERIENCES))
    trust: Sequence[float] = FIRST_TRUST
    """For the requests of the wave that runs."""
    finished: int = 0
    wave: Wave = field(factory=Wave)
    lock: Lock = field(factory=Lock)
    _lasting: Sequence[float] = FIRST_TRUST
    """The trust that outlasts the wave."""
    _shift: float = FIRST_SHIFT
    _shift_weight: float = SHIFT_WEIGHT

    def begin(self) -> Wave:
        """Return the wave of a request that begins now."""
        if self.wave.finished:
            steps = (min(self.wave.finished / experience.memory, LONGEST_STEP) for experience in self.experiences)
            self.wave = Wave(tuple(age + step for age, step in zip(self.wave.ages, steps, strict=True)))
            self.trust = deal(self._lasting, self._shift)
        self.wave.begun += 1
        return self.wave

    def finish(self, wave: Wave, after: float, by: float) -> None:
        """Take note that a request of this wave finished between two questions, both in seconds of its wait."""
        for experience, age in zip(self.experiences, wave.ages, strict=True):
            experience.died(age, after, by)
        self.finished += 1
        if wave is self.wave or self.wave.finished:
            self.wave.finished += 1

    def judge(self, wave: Wave, evidence: Sequence[float]) -> None:
        """Take note of the logarithm of the chance that each forecast gave to one request, from first to last."""
        self.trust = deal(weigh(self.trust, evidence), WAVE_SHARE)
        size = sqrt(wave.begun)  # One of n counts as 1 / size, so that all together count as the root of n.
        part = [e / size for e in evidence]
        most = max(part)
        likely = [exp(e - most) for e in part]
        stays = (1 - self._shift) * sum(map(float.__mul__, self._lasting, likely))
        shifts = self._shift * sum(map(float.__mul__, FIRST_TRUST, likely))
        self._lasting = weigh(deal(self._lasting, self._shift), part)
        self._shift_weight = min(self._shift_weight + 1 / size, SHIFT_MEMORY)
        learnt = (shifts / (shifts + stays) - self._shift) / size / self._shift_weight
        self._shift = max(self._shift + learnt, LEAST_SHIFT)


def deal(trust: Sequence[float], share: float) -> list[float]:
    """Return the trust with a share of it dealt anew."""
    return [(1 - share) * now + share * first for now, first in zip(trust, FIRST_TRUST, strict=True)]


def weigh(trust: Sequence[float], evidence: Sequence[float]) -> list[float]:
    """Return trust * exp(evidence), made to add up to one."""
    most = max(evidence)
    products = [t * exp(e - most) for t, e in zip(trust, evidence, strict=True)]
    total = sum(products) or 1.0
    return [p / total for p in products]


@define
class Voice:
    """A forecast in the schedule of one wait."""

    trust: float
    forecast: Forecast
    hazard: float
    """Its H(t) at the last question."""

    def alive(self, elapsed: float, log: float) -> float:
        """Return the trust in it times the chance it gives that the request, running at the last question, still is."""
        return self.trust * exp(self.hazard - self.forecast.hazard(elapsed, log))


COARSE: Final = 0.5
"""A step that holds more of a question than this is halved."""


def due(voices: Sequence[Voice], elapsed: float, worth: float, questions: float, longest: float) -> float:
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
    heard = [
        (
            v.trust,
            v.hazard,
            v.forecast.hazard,
            max(typical, sqrt(typical * elapsed)) if v.forecast is PRIOR else typical,
        )
        for v in voices
        if (typical := v.forecast.typical)
    ]
    alive = [trust for trust, _, _, _ in heard]
    running = sum(alive)
    while now < elapsed + longest:
        then = now + step
        log = logarithm(then)
        gain, still = 0.0, []  # The gain is the sum of h / c over the step, but for `worth`.
        for before, (trust, since, hazard, scale) in zip(alive, heard, strict=True):
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
