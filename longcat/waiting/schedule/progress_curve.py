"""Forecasts when a request will be done by the reports of its progress alone: several curves are laid through them.

Progress need not be even. It may slow down, or be slow at first, and early reports fit curves that end at very
different moments. So an end is told only if the curves that fit agree about it, within a factor of two. No I/O, and no
clock.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import mul
from statistics import NormalDist
from typing import Final, NamedTuple, TypeAlias

Curve: TypeAlias = Callable[[float], float]
"""From a share, of the time or of the progress, to the other."""


class ProgressReport(NamedTuple):
    """A progress, above zero, and when it was first told; and when a lesser one, or none, was told before. Seconds."""

    before: float
    elapsed: float
    progress: float


def power(exponent: float) -> tuple[Curve, Curve]:
    """Return progress that is slow at first, if the exponent is above one, and its inverse."""
    return lambda x: x**exponent, lambda p: p ** (1 / exponent)


def slowing(exponent: float) -> tuple[Curve, Curve]:
    """Return progress that slows down, and its inverse."""
    return lambda x: 1 - (1 - x) ** exponent, lambda p: 1 - (1 - p) ** (1 / exponent)


def sine() -> tuple[Curve, Curve]:
    """Return progress that is slow in the beginning and in the end, and its inverse."""
    return lambda x: (1 - math.cos(math.pi * x)) / 2, lambda p: math.acos(1 - 2 * p) / math.pi


def eased(exponent: float) -> tuple[Curve, Curve]:
    """Return progress that is as slow in the beginning and in the end as the exponent is above one, and its inverse."""

    def curve(share: float, exponent: float = exponent) -> float:
        before: float = share**exponent
        ahead: float = (1 - share) ** exponent
        return before / (before + ahead)

    return curve, lambda p: curve(p, 1 / exponent)


CURVES: Final = (
    (4.0, *power(1.0)),
    (1.0, *power(1.4)),
    (1.0, *power(2.0)),
    (1.0, *slowing(1.4)),
    (1.0, *slowing(2.0)),
    (1.0, *slowing(3.0)),
    (1.0, *eased(1.25)),
    (1.0, *sine()),
)
"""How likely each curve is before there are reports, beside the others; then the curve and its inverse.

The figures were chosen so that what is told holds in `tests/waiting/test_time_left.py`.
"""
EXACT: Final = 0.003  # The least deviation of a report from its curve, as it may have been rounded.
MAX_PROGRESS_STEPS: Final = 20  # Progress in more steps than this counts as smooth.
FEWEST: Final = 3  # Two reports fit every curve.
SMALL_SAMPLE: Final = 3.0  # How much more the reports may vary than few of them show: (1 + 3 / n) times as much.
AGREED: Final = 0.9  # The share of the curves, by how well they fit, that must agree within a factor of two.
SLOPE: Final = 1e-3  # What is taken for the change of a share, to find how steep a curve is.
LEAST_LEFT: Final = 0.002  # Of the time that the work took so far, at least so much is left.


def step_of(reports: Sequence[ProgressReport]) -> float:
    """Return how coarse the progress is: 0.1 if only tenths were reported. Zero: it is smooth."""
    for steps in range(2, MAX_PROGRESS_STEPS + 1):
        if all(abs(steps * one.progress - round(steps * one.progress)) < 1e-6 for one in reports):  # noqa: PLR2004
            return 1 / steps
    return 0.0


class Fit(NamedTuple):
    """A curve that was laid through reports.

    Attributes:
        likely: how likely the curve was before.
        origin: when the work began, in seconds.
        duration: how many seconds it takes in all.
        errors: by how much each report deviates from the curve, and the variance that its moment alone explains.
        lever: how many times the variance of a report the end varies, in shares of the duration.
    """

    likely: float
    origin: float
    duration: float
    errors: list[tuple[float, float]]
    lever: float


@lru_cache(maxsize=4096)
def places(progress: float) -> tuple[tuple[float, float, float], ...]:
    """Return the share of the time at which each curve has this progress, how steep it is there, and its weight.

    Each report is laid on the curves at every look, as long as its request runs, so they are worked out once.
    """
    found = []
    for _, curve, inverse in CURVES:
        share = inverse(progress)
        slope = (progress - curve(max(share - SLOPE, 0.0))) / min(SLOPE, share)
        found.append((share, slope, (slope * slope + SLOPE) * progress))
    return tuple(found)


def fit(reports: Sequence[ProgressReport], step: float, zero: float | None) -> list[Fit]:
    """Return each curve, laid through the reports by least squares.

    Args:
        reports: two or more that differ.
        step: how coarse they are.
        zero: when zero was reported last. None: it was not.
    """
    # In steps, a progress was reached at some moment since the report before it. Smooth progress is that of its report.
    moments = [(one.before + one.elapsed) / 2 if step else one.elapsed for one in reports]
    doubts = [(one.elapsed - one.before) ** 2 / 12 if step else 0.0 for one in reports]
    fits = []
    on_curves = zip(*(places(one.progress) for one in reports), strict=True)
    for (likely, curve, _), on_curve in zip(CURVES, on_curves, strict=True):
        shares, slopes, weights = zip(*on_curve, strict=True)
        whole = sum(weights)
        x0 = sum(map(mul, weights, shares)) / whole
        t0 = sum(map(mul, weights, moments)) / whole
        distances = [x - x0 for x in shares]
        pulls = [w * distance for w, distance in zip(weights, distances, strict=True)]
        across = sum(map(mul, pulls, distances))
        duration = sum([pull * (t - t0) for pull, t in zip(pulls, moments, strict=True)]) / across
        if duration <= 0.0:
            continue
        origin = t0 - duration * x0
        errors = [
            ((t - origin - duration * x) / duration * slope, doubt * (slope / duration) ** 2 if doubt else 0.0)
            for t, x, slope, doubt in zip(moments, shares, slopes, doubts, strict=True)
        ]
        if zero is not None and zero > origin:  # A zero says only: less than a step.
            errors.append((max(curve(min((zero - origin) / duration, 1.0)) - step - EXACT, 0.0), 0.0))
        fits.append(Fit(likely, origin, duration, errors, 1 / whole + (1 - x0) ** 2 / across))
    return fits


def time_of_end(reports: Sequence[ProgressReport], zero: float | None, asked: float) -> float | None:
    """Return when the request will be done, in seconds on the clock of the reports. None: that can't be told yet.

    Args:
        reports: those of the request.
        zero: when zero was reported last, before them. None: it was not.
        asked: when the last answer came, which said that the request still runs.
    """
    step = step_of(reports)
    fits = fit(reports, step, zero) if len(reports) >= FEWEST else []
    if not fits:
        return None
    free = max(len(reports) - 2, 1)
    noise = min(sum([max(e * e - v, 0.0) for e, v in one.errors]) for one in fits) / free
    noise = max(noise * (1 + SMALL_SAMPLE / free), EXACT**2)
    costs = [sum([e * e / (noise + v) + math.log(noise + v) for e, v in one.errors]) / 2 for one in fits]
    least = min(costs)
    weights = [one.likely * math.exp(least - cost) for one, cost in zip(fits, costs, strict=True)]
    left = [max(one.origin + one.duration - asked, LEAST_LEFT * one.duration) for one in fits]
    middle = math.exp(sum(w * math.log(x) for w, x in zip(weights, left, strict=True)) / sum(weights))
    agreed = 0.0
    for weight, one, ahead in zip(weights, fits, left, strict=True):
        variance = noise + sum(v for _, v in one.errors) / len(one.errors)
        bell = NormalDist(ahead, one.duration * math.sqrt(one.lever * variance))
        agreed += weight * (bell.cdf(2 * middle) - bell.cdf(middle / 2))
    return asked + middle if agreed >= AGREED * sum(weights) else None
