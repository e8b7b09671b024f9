"""How many questions a wait may ask by when, and where it spends them. No I/O, and no clock.

A budget gives a wait some questions at once, and one more every so many seconds. What a wait does not spend it saves.

Where the request finishes with density f and n questions a second are asked, the delay is the integral of f / 2n. For a
given number of questions it is least where n grows as the root of f, and flat around that. As nothing may be spent
before it is given, n is `rate * f ** SHARPNESS`, where the rate may only rise, and rises only where all that was given
is spent. Drawn over the integral of `f ** SHARPNESS`, the questions asked are a string that is pulled taut below the
curve of the questions given.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from typing import Final

from attrs import frozen

from longcat.clock import RESOLUTION
from longcat.waiting.schedule.forecast import WeightedForecast, logarithm

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


@frozen
class Interval:
    """An interval of the time ahead.

    Attributes:
        since: the age of the request when it begins.
        length: in seconds.
        part: the integral of `f ** SHARPNESS` over it.
        most: how many questions are worth their least price in it.
    """

    since: float
    length: float
    part: float
    most: float


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


def intervals_ahead(weighted: Sequence[WeightedForecast], age: float, budget: Budget) -> list[Interval]:
    """Return the intervals from some age of the request to where it is all but certain to be done."""
    log = logarithm(age)
    alive = sum(one.alive(age, log) for one in weighted)
    typical = sum(one.alive(age, log) * one.forecast.typical for one in weighted) / (alive or 1.0)
    price = min(budget.worth * typical, CHEAP * budget.seconds_per_question**2 / (2 * typical or 1.0))
    unlikely, horizon = UNLIKELY * alive, age + HORIZON * max(age, *(one.forecast.typical for one in weighted))
    intervals: list[Interval] = []
    now, length = age, max(0.05, age / 50)
    while now < horizon and alive > unlikely:
        log = logarithm(now + length)
        later = sum(one.alive(now + length, log) for one in weighted)
        done = max(alive - later, 0.0)
        if done > FINE * alive and length > max(0.05, now / 200):
            length /= 2
            continue
        most = sqrt(done * length / (price * (alive + later)))
        intervals.append(Interval(now, length, done**SHARPNESS * length ** (1 - SHARPNESS), most))
        now, alive = now + length, later
        if done < FINE / 2 * alive:
            length = min(length * 2, now / 8 + 0.05)
    return intervals


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


def due_in_budget(weighted: Sequence[WeightedForecast], age: float, questions: float, budget: Budget) -> float:
    """Return after how many seconds so many questions fall due, about a request of this age in seconds."""
    each = budget.seconds_per_question
    start = age + max(-budget.unspent, 0.0) * each
    unspent = max(budget.unspent, 0.0)
    intervals = intervals_ahead(weighted, start, budget)
    points = [(0.0, 0.0)]
    for one in intervals:
        points.append((points[-1][0] + one.part, unspent + (one.since + one.length - start) / each))
    spent = 0.0
    for i, j in pairwise(taut(points)):
        (x0, y0), (x1, y1) = points[i], points[j]
        rate = (y1 - y0) / (x1 - x0) if x1 > x0 else 0.0
        for one in intervals[i:j]:
            asked = min(rate * one.part, one.most)
            if spent + asked >= questions:
                return one.since + one.length * (questions - spent) / asked - age
            spent += asked
    # It is unlikely that the request runs so long. The question is asked as soon as it is given.
    end = intervals[-1].since + intervals[-1].length if intervals else start
    return max(end, start + (questions - unspent) * each) - age
