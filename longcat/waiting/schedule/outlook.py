"""The outlook for a request: when questions about it fall due, by what is expected of it. No I/O, and no clock.

Asking n times a second costs c per question and, where a request finishes, a delay of 1 / 2n on average. While it runs,
with hazard h (the chance per second to finish now), that is `n c + h / 2n` per second: least where `n = sqrt(h / 2c)`
(Keller 1974, "Optimum checking schedules"; Barlow and Proschan 1965). The next question falls due where the integral of
n from now reaches one.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import count, pairwise
from math import exp, sqrt
from typing import Final, TypeAlias

from attrs import frozen

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
FIRST_BINS: Final = 16  # How many wide bins are taken for one, as no question falls into them.
BINS_AT_A_TIME: Final = 8  # How many wide bins of an outlook are worked out at a time.
QUARTERS: Final = tuple((i + 1) / STRIDE for i in range(STRIDE))
MAX_BIN_CHANCE: Final = (
    0.2  # A stretch of time in which a request finishes with a greater chance than this is worth finer ones.
)
PATIENT: Final = 2.0
"""From this many questions in the shortest pause on, it matters where in the likely time they are asked."""


@frozen
class Price:
    """The worth of one question: c, in seconds of delay.

    It is a share of how long requests typically take, and is the same for short and long ones among them, so that
    questions are asked where they save the most delay.

    Attributes:
        worth: the share.
        typical: how long requests typically take, in seconds.
        growth: for a request that is older than that, c grows as its age to this power.
        least: c is no less than this, in seconds.
    """

    worth: float
    typical: float
    growth: float
    least: float

    def at(self, age: float) -> float:
        """Return c, for a request of this age in seconds."""
        typical = self.typical
        if self.growth and age > typical:
            typical *= math.pow(age / typical, self.growth)
        return max(self.worth * typical, self.least)


Stretch: TypeAlias = tuple[float, float, float, float]
"""A stretch of the time ahead: the age of the request when it begins and its length, in seconds; and the chance that
the request still runs when it begins and when it ends, in any unit.
"""


class Outlook:
    """The outlook for a request that reports no progress: all experiences, each as far as it is trusted, by its age.

    It is the same for all such requests, so that it is worked out once, as far as one of them needs it; when the next
    question of one is due, is looked up. It is out of date when something was learnt.

    While a request runs, each forecast is trusted the less, the surer it was that it would be done by now: in
    proportion to the chance that it gave to what happened, by Bayes' rule. So the trust in one that the request is of
    some age is the trust at the beginning times S. Of these products there are tables here.
    """

    def __init__(self, trust: Sequence[float], experiences: Sequence[Experience], price: Price) -> None:
        """Take the trust in the prior and in each experience, in this order, and what a question is worth."""
        known = [(t, one) for t, one in zip(trust[1:], experiences, strict=True) if t]
        self.price = price
        self.trust = sum(trust)
        self.latest = max(PRIOR.typical, *(one.typical for _, one in known), 0.0)
        """The longest of the typical durations, in seconds."""
        self._prior = trust[0]
        self._tables = [(t, one.curve, one.stride) for t, one in known]
        self._ages = [0.0]
        self._alive = [self.trust]  # The chance that the request still runs at these ages, in any unit.
        self._asked = [0.0]  # How many questions fall due from 0 on.
        self._bins = FIRST_BINS  # How many wide bins are worked out.
        self._work_out(FIRST_BINS * STRIDE, FIRST_BINS * STRIDE + 1, 1)

    @property
    def typical(self) -> float:
        """The typical duration of requests, in seconds."""
        return self.price.typical

    def due(self, age: float, questions: float, longest: float, shortest: float = 0.0) -> float:
        """Return after how many seconds so many questions fall due, at most `longest`.

        Args:
            age: of the request, in seconds.
            questions: how many.
            longest: seconds.
            shortest: no pause after that will be shorter than this, in seconds.
        """
        ages, asked = self._ages, self._asked
        i = self._find(age)
        here = asked[i] + (asked[i + 1] - asked[i]) * (age - ages[i]) / (ages[i + 1] - ages[i])
        target = here + questions
        while asked[-1] < target and ages[-1] < age + longest:
            self._extend()
        j = bisect_left(asked, target, i + 1)
        if j == len(asked):
            return longest
        rate = (asked[j] - asked[j - 1]) / (ages[j] - ages[j - 1])
        due = ages[j] - (asked[j] - target) / rate
        if rate * shortest > PATIENT:
            due = self._worth_waiting_for(age, due, j, shortest)
        return min(due - age, longest)

    def _worth_waiting_for(self, age: float, due: float, i: int, shortest: float) -> float:
        """Return when to ask if that can't be done as often as it is worth. `due` is in the stretch before `ages[i]`.

        To ask a second later makes those wait that are done by then, and spares those that finish in this second the
        shortest pause. So it is best where the chance to be done, since the last question, is as great as the chance
        to finish within the shortest pause.
        """
        ages, alive, begin = self._ages, self._alive, self.at(age)
        while True:
            density = (alive[i - 1] - alive[i]) / (ages[i] - ages[i - 1])
            if density > 0.0:
                due = max(due, ages[i] + shortest - (begin - alive[i]) / density)
            if due <= ages[i] or density <= 0.0:
                return due
            due, i = ages[i], i + 1
            if i == len(ages):
                self._extend()

    def at(self, age: float) -> float:
        """Return the chance that a request still runs at an age, in any unit."""
        i = self._find(age)
        ages, alive = self._ages, self._alive
        return alive[i] + (alive[i + 1] - alive[i]) * (age - ages[i]) / (ages[i + 1] - ages[i])

    def alive(self, age: float, since: float) -> float:
        """Return the chance that a request still runs at an age that ran at another one, in seconds."""
        return max(self.at(age), LEAST) / max(self.at(since), LEAST)

    def steps(self, age: float) -> Iterator[Stretch]:
        """Yield what is ahead of a request of this age, without an end."""
        now, before = age, self.at(age)
        for i in count(self._find(age) + 1):
            if i == len(self._ages):
                self._extend()
            then, after = self._ages[i], self._alive[i]
            yield now, then - now, before, after
            now, before = then, after

    def _find(self, age: float) -> int:
        """Return the last of the ages that is no more than this one."""
        while self._ages[-1] <= age:
            self._extend()
        return bisect_right(self._ages, age) - 1

    def _extend(self) -> None:
        """Work out some more bins: fine ones where an experience that has such expects much, otherwise wide ones."""
        first, last = self._bins, self._bins + BINS_AT_A_TIME
        if last > WIDE_BINS:  # Go on as the tables do beyond the longest duration that they hold.
            self._append(2 * self._ages[-1], self._alive[-1] / 2**TAIL)
            return
        self._bins, least = last, MAX_BIN_CHANCE * self._alive[-1]
        expects_much = (
            trust * (exp(-curve[first * stride]) - exp(-curve[last * stride])) > least
            for trust, curve, stride in self._tables
            if stride > 1
        )
        step = 1 if any(expects_much) else STRIDE
        self._work_out(first * STRIDE + step, last * STRIDE + 1, step)

    def _work_out(self, first: int, end: int, step: int) -> None:
        """Work out what is expected at some of the `EDGES`."""
        ages, prior = prior_table()
        columns = [[self._prior * s for s in prior[first:end:step]]]
        for trust, curve, stride in self._tables:
            if stride == STRIDE:
                hazards = curve[first:end:step]
            elif step == STRIDE or end - first == 1:
                hazards = curve[first // STRIDE : end // STRIDE + 1]
            else:
                ends = curve[first // STRIDE : end // STRIDE + 1]
                hazards = [a + (b - a) * part for a, b in pairwise(ends) for part in QUARTERS]
            columns.append([trust * exp(-h) for h in hazards])
        for age, alive in zip(ages[first:end:step], map(sum, zip(*columns, strict=True)), strict=True):
            self._append(age, alive)

    def _append(self, age: float, alive: float) -> None:
        asked, before, length = self._asked[-1], self._alive[-1], age - self._ages[-1]
        if before > alive:
            asked += sqrt((before - alive) * length / (self.price.at(age) * (before + alive)))
        self._ages.append(age)
        self._alive.append(alive)
        self._asked.append(asked)


@cache
def prior_table() -> tuple[list[float], list[float]]:
    """Return the ages at the `EDGES`, in seconds, and the prior's S there."""
    return [exp(x) for x in EDGES], [exp(-h) for h in prior_curve()]


@frozen
class ProgressOutlook:
    """The outlook for a request that reports progress.

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
        """The typical duration of such requests, in seconds."""
        whole = self.trust + sum(trust for trust, _ in self.forecasts)
        return (self.trust * self.outlook.typical + sum(trust * one.typical for trust, one in self.forecasts)) / whole

    @property
    def latest(self) -> float:
        """The longest of the typical durations, in seconds."""
        return max(self.outlook.latest, *(one.typical for _, one in self.forecasts))

    def alive(self, age: float, since: float) -> float:
        """Return the chance that the request still runs at an age, as it reported at another one, in seconds."""
        parts = [(self.trust, self.trust * self.outlook.alive(age, since))]
        parts += [(trust, trust * one.odds(since) / one.odds(age)) for trust, one in self.forecasts]
        return sum(then for _, then in parts) / sum(now for now, _ in parts)

    def steps(self, age: float) -> Iterator[Stretch]:
        """Yield what is ahead of a request of this age, without an end.

        The steps start small and grow with the time, and shrink where the request is likely to finish.
        """
        at = self.outlook.at
        scale = self.trust / max(at(age), LEAST)
        terms = [(trust * one.odds(age), one.odds) for trust, one in self.forecasts]
        now, length, before = age, max(0.05, age / 16), self.trust + sum(trust for trust, _ in self.forecasts)
        while True:
            then = now + length
            after = scale * at(then)
            for whole, odds in terms:
                after += whole / odds(then)
            if before - after > MAX_BIN_CHANCE * before and length > max(0.05, then / 100):
                length /= 2
                continue
            yield now, length, before, after
            if before - after < MAX_BIN_CHANCE / 2 * before:
                length = min(length * 2, then / 8 + 0.05)
            now, before = then, after

    def due(self, age: float, questions: float, longest: float) -> float:
        """Return after how many seconds so many questions fall due, at most `longest`."""
        price = self.outlook.price
        for since, length, before, after in self.steps(age):
            part = sqrt(max(before - after, 0.0) * length / (price.at(since) * (before + after)))
            if part >= questions:
                return min(since + length * questions / part - age, longest)
            questions -= part
            if since + length >= age + longest:
                break
        return longest
