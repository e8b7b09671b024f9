"""The knowledge of one policy, which its waits share: forecasts, and how far each is trusted. No I/O, and no clock.

The forecasts are in `longcat.waiting.schedule.forecast`; `longcat.waiting.schedule.adaptive` plans by them.
"""

from collections.abc import Sequence
from math import exp, sqrt
from typing import Final

from attrs import define, evolve, field

from longcat.processes import ForkSafeLock
from longcat.waiting.schedule.forecast import WORTH_UPDATING, Experience, ProgressShape, logarithm
from longcat.waiting.schedule.outlook import Outlook, Price

EXPERIENCES: Final = (
    (2, 0.01, 0.01),  # A batch of like requests.
    (100, 0.04, 0.15),  # A few kinds of requests.
    (100, 0.012, 0.15),  # A gateway that looks at its supplier at certain moments.
    (12, 0.15, 0.5),  # A spread that has shifted.
    (100, 0.15, 0.5),  # A spread that stays.
)
"""The memory, blur and prior weight of each `Experience`."""
FIRST_TRUST: Final = (0.4, 0.12, 0.12, 0.04, 0.1, 0.1, 0.06, 0.06)
"""In the prior, the experiences, progress since the wait began, and progress since the work began. It adds up to 1."""
SHARED: Final = 1 + len(EXPERIENCES)
"""How many forecasts do not depend on progress: the first ones."""
FIRST_SHIFT: Final = 0.02  # The chance that a request is unlike those before it, until that is learnt.
SHIFT_WEIGHT: Final = 30.0  # How many requests this first guess counts as.
SHIFT_MEMORY: Final = 150.0  # From how many requests the chance is learnt at most.
LEAST_SHIFT: Final = 0.001
COHORT_SHIFT: Final = 0.02  # The same chance for requests that run at once: their ends are close, so it matters less.
TYPICAL_MEMORY: Final = 100  # From how many requests it is learnt how long they typically take.
LONGEST_STEP: Final = 0.5
"""A cohort makes older ones count less by no more than this, in logarithms, however many requests are in it."""


@define
class Cohort:
    """Requests that began before any of them had finished. A single request is a cohort, too."""

    ages: tuple[float, ...] = (0.0,) * len(EXPERIENCES)
    """How old it is by each experience: one that is older by 1 counts 1/e as much."""
    begun: int = 0
    finished: int = 0  # How many requests finished since the cohort began, once one of its own has.


@define
class Knowledge:
    """The knowledge that the waits of one policy share: the forecasts, and how far each is trusted.

    The trust is Bayes' rule over the forecasts: each is multiplied by the chance that it gave to what happened between
    two questions. Then a small share goes back to the first trust (the fixed share of Herbster and Warmuth, 1998), so
    that a forecast that was right once can be right again, and a shift is soon followed. How large the share is, is
    learnt as well: it is that of the requests that the first trust foresaw better.

    Requests that run at once tend to finish alike, so those of a cohort are less evidence than as many in turn: n of
    them count as the root of n. While the cohort runs, each that has finished counts in full for the others.

    Attributes:
        trust: how far each forecast is trusted for the requests of the cohort that runs.
        lasting_trust: the trust that outlasts the cohort.
        finished: how many requests have finished.
        log_typical: the mean logarithm of their durations, in seconds.
        saved: how many questions were saved, see `longcat.waiting.schedule.budget.saved`. Without a budget it stays 0.
        cohort: the one that runs.
    """

    shapes: tuple[ProgressShape, ProgressShape] = field(factory=lambda: (ProgressShape(), ProgressShape()))
    experiences: tuple[Experience, ...] = field(factory=lambda: tuple(Experience(*e) for e in EXPERIENCES))
    trust: Sequence[float] = FIRST_TRUST
    lasting_trust: Sequence[float] = FIRST_TRUST
    finished: int = 0
    log_typical: float = 0.0
    saved: float = 0.0
    cohort: Cohort = field(factory=Cohort)
    lock: ForkSafeLock = field(factory=ForkSafeLock)
    _shift: float = FIRST_SHIFT
    _shift_weight: float = SHIFT_WEIGHT
    _outlook: Outlook | None = None  # None: something was learnt since it was made.
    _first_outlook: Outlook | None = None

    def adopt(self, finished: int, log_typical: float, trust: Sequence[float]) -> None:
        """Take over what several clients have learnt together. The caller replaces the experiences itself.

        Args:
            finished: how many requests have finished.
            log_typical: the mean logarithm of their durations, in seconds.
            trust: how far each forecast is trusted.
        """
        if not self.cohort.finished:
            self.trust = trust
        self.finished, self.log_typical, self.lasting_trust, self._outlook = finished, log_typical, trust, None

    def outlook(self, price: Price, least_trust: float) -> Outlook:
        """Return what is expected of a request that reports no progress.

        Args:
            price: what a question is worth while nothing is known.
            least_trust: a forecast that is trusted less than this share of the most trusted one is left out.
        """
        if self._outlook is None:
            self._update_experiences()
            experiences = self.experiences if self.finished else ()
            trust = self.trust[: 1 + len(experiences)]
            least = least_trust * max(trust)
            self._outlook = Outlook([t if t >= least else 0.0 for t in trust], experiences, self._price(price))
        return self._outlook

    def outlook_by_experience(self, price: Price) -> Outlook:
        """Return what is expected by experience alone, without the prior."""
        self._update_experiences()
        return Outlook([0.0, *self.trust[1:SHARED]], self.experiences, self._price(price))

    def first_outlook(self, price: Price) -> Outlook:
        """Return what is expected while nothing is known."""
        if self._first_outlook is None:
            self._first_outlook = Outlook(FIRST_TRUST[:1], (), price)
        return self._first_outlook

    def _price(self, first: Price) -> Price:
        return evolve(first, typical=exp(self.log_typical), growth=0.0) if self.finished else first

    def _update_experiences(self) -> None:
        for one in self.experiences:
            one.update()

    def note_running(self, cohort: Cohort, since: float, until: float) -> None:
        """Take note that a request of this cohort still ran between two questions, at two ages in seconds."""
        first, last = logarithm(since), logarithm(until)
        for experience, age in zip(self.experiences, cohort.ages, strict=True):
            experience.note_running(age, first, last)
            if experience.pending >= WORTH_UPDATING:
                self._outlook = None

    def begin(self) -> Cohort:
        """Return the cohort of a request that begins now."""
        if self.cohort.finished:
            steps = (min(self.cohort.finished / experience.memory, LONGEST_STEP) for experience in self.experiences)
            self.cohort = Cohort(tuple(age + step for age, step in zip(self.cohort.ages, steps, strict=True)))
            self.trust = fixed_share(self.lasting_trust, self._shift)
            self._outlook = None
        self.cohort.begun += 1
        return self.cohort

    def finish(self, cohort: Cohort, after: float, by: float) -> None:
        """Take note that a request of this cohort finished between two questions, both in seconds of its wait."""
        for experience, age in zip(self.experiences, cohort.ages, strict=True):
            experience.note_finished(age, after, by)
        self._outlook = None
        self.finished += 1
        typical = (logarithm(after) + logarithm(by)) / 2
        self.log_typical += (typical - self.log_typical) / min(self.finished, TYPICAL_MEMORY)
        if cohort is self.cohort or self.cohort.finished:
            self.cohort.finished += 1

    def update_trust(self, cohort: Cohort, log_likelihoods: Sequence[float]) -> None:
        """Learn from one request how far to trust each forecast.

        Args:
            cohort: the request's.
            log_likelihoods: the logarithm of the chance that each forecast gave to what happened, from begin to end.
        """
        self.trust = fixed_share(bayes(self.trust, log_likelihoods), COHORT_SHIFT)
        size = sqrt(cohort.begun)  # One of n counts as 1 / size, so that all together count as the root of n.
        part = [e / size for e in log_likelihoods]
        most = max(part)
        likely = [exp(e - most) for e in part]
        stays = (1 - self._shift) * sum(map(float.__mul__, self.lasting_trust, likely))
        shifts = self._shift * sum(map(float.__mul__, FIRST_TRUST, likely))
        self.lasting_trust = bayes(fixed_share(self.lasting_trust, self._shift), part)
        self._shift_weight = min(self._shift_weight + 1 / size, SHIFT_MEMORY)
        learnt = (shifts / (shifts + stays) - self._shift) / size / self._shift_weight
        self._shift = max(self._shift + learnt, LEAST_SHIFT)


def fixed_share(trust: Sequence[float], share: float) -> list[float]:
    """Return the trust with a share of it given back to the first trust."""
    return [(1 - share) * now + share * first for now, first in zip(trust, FIRST_TRUST, strict=True)]


def bayes(trust: Sequence[float], log_likelihoods: Sequence[float]) -> list[float]:
    """Return the trust by Bayes' rule: `trust * exp(log_likelihood)` of each forecast, made to add up to one."""
    most = max(log_likelihoods)
    products = [t * exp(e - most) for t, e in zip(trust, log_likelihoods, strict=True)]
    total = sum(products) or 1.0
    return [p / total for p in products]
