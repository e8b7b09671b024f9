"""The budget of a wait: how many questions it may ask by when, and where it spends them. No I/O, and no clock.

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
from longcat.waiting.schedule.outlook import Outlook, ProgressOutlook

AT_ONCE: Final = 2  # How many questions a budget allows before any time has passed.
SHARPNESS: Final = 0.8
"""0.5 is best for a density that is known. The forecasts are wider than the truth, so more is better: measured."""
UNTRUSTED: Final = 0.05
"""A forecast trusted less than this share of the most trusted one gets no question."""
CHEAP: Final = 0.06
"""The least price of a question, as a share of the delay that one more saves who asks at even intervals."""
MAX_SAVED: Final = 1.0  # So that what was saved long ago is not spent on requests that are harder to foresee.
MAX_OWED: Final = 5.0  # So that what was spent during an outage is forgotten.
HORIZON: Final = 6.0  # How far a plan looks ahead, in typical durations,
UNLIKELY: Final = 0.01  # or until the chance that the request still runs is so small.


def earliest(asked: int, seconds_per_question: float) -> float:
    """Return after how many seconds of a wait it may ask again that has asked so often."""
    # A wait may be early by the resolution of its sleep.
    return (asked + 1 - AT_ONCE) * seconds_per_question + RESOLUTION


def saved(before: float, asked: int, duration: float, seconds_per_question: float) -> float:
    """Return how many questions were saved in comparison with asking every `seconds_per_question`.

    It is at least `-MAX_OWED` and at most `MAX_SAVED`.

    Args:
        before: how many were saved by the requests before this one.
        asked: how many questions this one took.
        duration: how many seconds it was waited for until it finished.
        seconds_per_question: the budget.
    """
    evenly = 1 + math.ceil(duration / seconds_per_question)
    return min(max(before + evenly - asked, -MAX_OWED), MAX_SAVED)


@frozen
class Budget:
    """The questions that one wait may spend.

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


def due_in_budget(ahead: Outlook | ProgressOutlook, age: float, questions: float, budget: Budget) -> float:
    """Return after how many seconds so many questions fall due, about a request of this age in seconds."""
    each, typical = budget.seconds_per_question, ahead.typical
    price = min(budget.worth * typical, CHEAP * each**2 / (2 * typical))
    start, unspent = age + max(-budget.unspent, 0.0) * each, max(budget.unspent, 0.0)
    horizon = start + HORIZON * max(start, ahead.latest)
    points, parts, ends = [(0.0, 0.0)], [0.0], [start]
    most = [0.0]  # How many questions are worth their least price.
    unlikely = 0.0
    for since, length, before, after in ahead.steps(start):
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
