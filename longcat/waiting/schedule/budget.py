"""When questions fall due: at the rate that costs least, and within a budget of questions. No I/O, and no clock.

A budget gives a wait some questions at once, and one more every so many seconds. What a wait does not spend it saves.

Where the request finishes with density f and n questions a second are asked, the delay is the integral of f / 2n. For a
given number of questions it is least where n grows as the root of f, and flat around that. As nothing may be spent
before it is given, n is `rate * f ** SHARPNESS`, where the rate may only rise, and rises only where all that was given
is spent. Drawn over the integral of `f ** SHARPNESS`, the questions asked are a string that is pulled taut below the
curve of the questions given.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate, count, pairwise
from math import exp, sqrt
from typing import Final, TypeAlias

from attrs import frozen

from longcat.clock import RESOLUTION
from longcat.waiting.schedule.forecast import (
    EDGES,
    PRIOR,
    STRIDE,
    TAIL,
    WIDE_BINS,
    Experience,
    LogLogistic,
    prior_curve,
)

LEAST: Final = 1e-300  # The chance that a request runs is never taken for less.
FIRST_BINS: Final = 16
CHUNK: Final = 8  # How many wide bins of an outlook are worked out at a time.
QUARTERS: Final = tuple((i + 1) / STRIDE for i in range(STRIDE))
AT_ONCE: Final = 2  # How many questions a budget allows before any time has passed.
SHARPNESS: Final = 0.8
"""0.5 is best for a density that is known. The forecasts are wider than the truth, so more is better: measured."""
UNTRUSTED: Final = 0.05
"""A forecast trusted less than this share of the most trusted one gets no question."""
CHEAP: Final = 0.06
"""The least price of a question, as a share of the delay that one more saves who asks at even intervals."""
MOST_SAVED: Final = 1.0  # So that what was saved long ago is not spent on requests that are harder to foresee.
MOST_OWED: Final = 5.0  # So that what was spent during an outage is forgotten.
HORIZON: Final = 6.0  # How far a plan looks ahead, in typical durations,
UNLIKELY: Final = 0.01  # or until the chance that the request still runs is so small.
FINE: Final = 0.2  # An interval in which the request finishes with a greater chance than this is halved.


def earliest(asked: int, seconds_per_question: float) -> float:
    """Return after how many seconds of a wait it may ask again that has asked so often."""
    # A wait may be early by the resolution of its sleep.
    return (asked + 1 - AT_ONCE) * seconds_per_question + RESOLUTION


def saved(before: float, asked: int, duration: float, seconds_per_question: float) -> float:
    """Return how many questions were saved in comparison with asking every `seconds_per_question`.

    It is at least `-MOST_OWED` and at most `MOST_SAVED`.

    Args:
        before: how many were saved by the requests before this one.
        asked: how many questions this one took.
        duration: how many seconds it was waited for until it finished.
        seconds_per_question: the budget.
    """
    evenly = 1 + math.ceil(duration / seconds_per_question)
    return min(max(before + evenly - asked, -MOST_OWED), MOST_SAVED)


Stretch: TypeAlias = tuple[float, float, float, float, float]
"""A stretch of the time ahead: the age of the request when it begins and its length, in seconds; the chance that the
request still runs when it begins and when it ends, in any unit; and its gain.

The gain is the integral of h S / c over it, but for `question_worth`: see `due`.
"""


class Outlook:
    """What all experiences expect of a request that reports no progress, each as far as it is trusted, by its age.

    It is the same for all such requests, so that it is worked out once, as far as one of them needs it; when the next
    question of one is due, is looked up. It is out of date when something was learnt.

    While a request runs, each forecast is trusted the less, the surer it was that it would be done by now: in
    proportion to the chance that it gave to what happened, by Bayes' rule. So the trust in one that the request is of
    some age is the trust at the beginning times S. Of these products there are tables here.

    The rate of questions is the root of h / 2c (see `docs/schedule.md`), where c is `worth` times the typical duration.
    Each forecast has its own idea of that, so h / c is summed over the forecasts. The prior knows no scale but the age
    itself. Its pauses grow as t to the 3/4: half way between the root of t (a fixed c; it costs least while nothing is
    known) and t (which treats long and short waits alike).
    """

    def __init__(self, trust: Sequence[float], experiences: Sequence[Experience], worth: float) -> None:
        """Take the trust in the prior and in each experience, in this order, and what a question is worth."""
        prior, *others = trust
        self._prior = prior
        self._tables = [
            (t, one.curve, 1 / one.typical, one.stride) for t, one in zip(others, experiences, strict=True) if t
        ]
        self._worth = worth
        self.trust = whole = sum(trust)
        self.typical = (prior * PRIOR.typical + sum(t / inverse for t, _, inverse, _ in self._tables)) / whole
        self.ages = [0.0]
        self._alive = [whole]  # The chance that the request still runs at these ages, in any unit.
        self._gain = [0.0]  # The integral of h S / c from 0 on, but for `worth`.
        self._asked = [0.0]  # How many questions fall due from 0 on.
        self._bins = FIRST_BINS  # How many wide bins are worked out. The first ones are short, and taken for one.
        self._append(FIRST_BINS * STRIDE, FIRST_BINS * STRIDE + 1, 1)

    def due(self, age: float, questions: float, longest: float) -> float:
        """Return after how many seconds so many questions fall due, at most `longest`."""
        i = self._find(age)
        ages, asked = self.ages, self._asked
        here = asked[i] + (asked[i + 1] - asked[i]) * (age - ages[i]) / (ages[i + 1] - ages[i])
        target = here + questions
        while asked[-1] < target and ages[-1] < age + longest:
            self._extend()
        j = bisect_left(asked, target, i + 1)
        if j == len(asked):
            return longest
        due = ages[j] - (ages[j] - ages[j - 1]) * (asked[j] - target) / (asked[j] - asked[j - 1])
        return min(due - age, longest)

    def alive(self, age: float, since: float) -> float:
        """Return the chance that a request still runs at an age that ran at another one, in seconds."""
        return max(self.at(age)[0], LEAST) / max(self.at(since)[0], LEAST)

    def at(self, age: float) -> tuple[float, float]:
        """Return the chance that a request still runs at an age, and the gain up to then, see `Stretch`."""
        ages, alive, gain = self.ages, self._alive, self._gain
        while ages[-1] <= age:
            self._extend()
        i = bisect_right(ages, age)
        part = (age - ages[i - 1]) / (ages[i] - ages[i - 1])
        return alive[i - 1] + part * (alive[i] - alive[i - 1]), gain[i - 1] + part * (gain[i] - gain[i - 1])

    def steps(self, age: float) -> Iterator[Stretch]:
        """Yield what is ahead of a request of this age, without an end."""
        now, (before, gained) = age, self.at(age)
        for i in count(self._find(age) + 1):
            if i == len(self.ages):
                self._extend()
            then, after, gain = self.ages[i], self._alive[i], self._gain[i]
            yield now, then - now, before, after, gain - gained
            now, before, gained = then, after, gain

    def _find(self, age: float) -> int:
        """Return the last of `ages` that is no more than this one."""
        while self.ages[-1] <= age:
            self._extend()
        return bisect_right(self.ages, age) - 1

    def _extend(self) -> None:
        """Work out some more bins: fine ones where an experience that has such expects much, otherwise wide ones."""
        first, last = self._bins, self._bins + CHUNK
        if last > WIDE_BINS:  # Go on as the tables do beyond the longest duration that they hold.
            alive = self._alive[-1] / 2**TAIL
            self._join(2 * self.ages[-1], alive, self._gain[-1] + (self._alive[-1] - alive) / self.typical)
            return
        self._bins, least = last, FINE * self._alive[-1]
        expects_much = (
            trust * (exp(-curve[first * stride]) - exp(-curve[last * stride])) > least
            for trust, curve, _, stride in self._tables
            if stride > 1
        )
        step = 1 if any(expects_much) else STRIDE
        self._append(first * STRIDE + step, last * STRIDE + 1, step)

    def _append(self, first: int, end: int, step: int) -> None:
        """Work out what is expected at some of the `EDGES`."""
        known = prior_table()
        alive = [[self._prior * s for s in known.alive[first:end:step]]]
        gain = [[self._prior * g for g in known.gain[first:end:step]]]
        for trust, curve, inverse, stride in self._tables:
            if stride == STRIDE:
                hazards = curve[first:end:step]
            elif step == STRIDE or end - first == 1:
                hazards = curve[first // STRIDE : end // STRIDE + 1]
            else:
                ends = curve[first // STRIDE : end // STRIDE + 1]
                hazards = [a + (b - a) * part for a, b in pairwise(ends) for part in QUARTERS]
            column = [trust * exp(-h) for h in hazards]
            alive.append(column)
            gain.append([(trust - s) * inverse for s in column])
        now, before, gained, asked, worth = self.ages[-1], self._alive[-1], self._gain[-1], self._asked[-1], self._worth
        for then, after, gains in zip(
            known.ages[first:end:step],
            map(sum, zip(*alive, strict=True)),
            map(sum, zip(*gain, strict=True)),
            strict=True,
        ):
            if gains > gained:
                asked += sqrt((gains - gained) * (then - now) / (worth * (before + after)))
            self.ages.append(then)
            self._alive.append(after)
            self._gain.append(gains)
            self._asked.append(asked)
            now, before, gained = then, after, gains

    def _join(self, then: float, after: float, gains: float) -> None:
        gained = (gains - self._gain[-1]) * (then - self.ages[-1]) / (self._worth * (self._alive[-1] + after))
        self.ages.append(then)
        self._alive.append(after)
        self._gain.append(gains)
        self._asked.append(self._asked[-1] + sqrt(gained))


@frozen
class PriorTable:
    """The prior by age, at the `EDGES`: S, and the integral of h S / c, but for `question_worth`."""

    ages: list[float]
    alive: list[float]
    gain: list[float]


@cache
def prior_table() -> PriorTable:
    """Return the table of the prior."""
    ages, alive = [exp(x) for x in EDGES], [exp(-h) for h in prior_curve()]
    typical = PRIOR.typical
    gains = ((a - b) / max(typical, sqrt(typical * t)) for (a, b), t in zip(pairwise(alive), ages[1:], strict=True))
    return PriorTable(ages, alive, list(accumulate(gains, initial=0.0)))


@frozen
class Reports:
    """What is expected of a request that reports progress.

    Attributes:
        outlook: what is expected of one that reports none.
        trust: how far that is trusted, now.
        forecasts: those from the progress, each with the trust in it, in the same unit.
    """

    outlook: Outlook
    trust: float
    forecasts: Sequence[tuple[float, LogLogistic]]

    @property
    def typical(self) -> float:
        """The typical duration, in seconds."""
        whole = self.trust + sum(trust for trust, _ in self.forecasts)
        return (self.trust * self.outlook.typical + sum(trust * one.typical for trust, one in self.forecasts)) / whole

    def alive(self, age: float, since: float) -> float:
        """Return the chance that the request still runs at an age, as it reported at another one, in seconds."""
        parts = [(self.trust, self.trust * self.outlook.alive(age, since))]
        parts += [(trust, trust * one.odds(since) / one.odds(age)) for trust, one in self.forecasts]
        return sum(then for _, then in parts) / sum(now for now, _ in parts)

    def steps(self, age: float) -> Iterator[Stretch]:
        """Yield what is ahead of a request of this age, without an end.

        The steps start small and grow with the time, and shrink where the request is likely to finish.
        """
        at, (shared, gained) = self.outlook.at, self.outlook.at(age)
        scale = self.trust / max(shared, LEAST)
        terms = [(trust * one.odds(age), one.odds, 1 / one.typical) for trust, one in self.forecasts]
        alive = [trust for trust, _ in self.forecasts]
        now, length, before = age, max(0.05, age / 16), self.trust + sum(alive)
        while True:
            then = now + length
            shared, gain = at(then)
            after, gains, still = scale * shared, scale * (gain - gained), []
            for (whole, odds, inverse), was in zip(terms, alive, strict=True):
                one = whole / odds(then)
                gains += (was - one) * inverse
                after += one
                still.append(one)
            if before - after > FINE * before and length > max(0.05, then / 100):
                length /= 2
                continue
            yield now, length, before, after, gains
            if before - after < FINE / 2 * before:
                length = min(length * 2, then / 8 + 0.05)
            now, before, gained, alive = then, after, gain, still


def due(steps: Iterator[Stretch], age: float, questions: float, worth: float, longest: float) -> float:
    """Return after how many seconds so many questions fall due, at most `longest`.

    Asking n times a second costs c per question and, where a request finishes, a delay of 1 / 2n on average. While it
    runs, with hazard h (the chance per second to finish now), that is `n c + h / 2n` per second: least where
    `n = sqrt(h / 2c)` (Keller 1974, "Optimum checking schedules"; Barlow and Proschan 1965). The next question falls
    due where the integral of n from now reaches one.
    """
    for since, length, before, after, gain in steps:
        part = sqrt(max(gain, 0.0) * length / (worth * (before + after)))
        if part >= questions:
            return min(since + length * questions / part - age, longest)
        questions -= part
        if since + length >= age + longest:
            break
    return longest


@frozen
class Budget:
    """What one wait may spend.

    Attributes:
        seconds_per_question: one more question is given every so many seconds.
        unspent: how many questions were given and not spent. Below zero: what was spent too early.
        worth: the delay that one question is worth, as a share of how long requests typically take.
    """

    seconds_per_question: float
    unspent: float
    worth: float


def taut(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return which of these points a string touches that is pulled taut below them: their lower convex hull."""
    hull: list[int] = []
    for i, (x, y) in enumerate(points):
        while len(hull) > 1:
            (x0, y0), (x1, y1) = points[hull[-2]], points[hull[-1]]
            if (x1 - x0) * (y - y0) > (y1 - y0) * (x - x0):
                break
            hull.pop()
        hull.append(i)
    return hull


def due_in_budget(ahead: Outlook | Reports, age: float, questions: float, budget: Budget) -> float:
    """Return after how many seconds so many questions fall due, about a request of this age in seconds."""
    each, typical = budget.seconds_per_question, ahead.typical
    price = min(budget.worth * typical, CHEAP * each**2 / (2 * typical))
    start, unspent = age + max(-budget.unspent, 0.0) * each, max(budget.unspent, 0.0)
    horizon = start + HORIZON * max(start, typical)
    points, parts, ends = [(0.0, 0.0)], [0.0], [start]
    most = [0.0]  # How many questions are worth their least price.
    unlikely = 0.0
    for since, length, before, after, _ in ahead.steps(start):
        unlikely = unlikely or UNLIKELY * before
        if since >= horizon or before <= unlikely:
            break
        done = max(before - after, 0.0)
        parts.append(done**SHARPNESS * length ** (1 - SHARPNESS))
        most.append(sqrt(done * length / (price * (before + after))))
        ends.append(since + length)
        points.append((points[-1][0] + parts[-1], unspent + (ends[-1] - start) / each))
    spent = 0.0
    for i, j in pairwise(taut(points)):
        (x0, y0), (x1, y1) = points[i], points[j]
        rate = (y1 - y0) / (x1 - x0) if x1 > x0 else 0.0
        for k in range(i + 1, j + 1):
            asked = min(rate * parts[k], most[k])
            if spent + asked >= questions:
                return ends[k - 1] + (ends[k] - ends[k - 1]) * (questions - spent) / asked - age
            spent += asked
    # It is unlikely that the request runs so long. The question is asked as soon as it is given.
    return max(ends[-1], start + (questions - unspent) * each) - age
