"""Forecasts how long a request takes, by the requests before it and by the progress that it reports.

A forecast is kept as its cumulative hazard, H(t) = -log S(t), where S(t) is the chance that the request still runs t
seconds after its wait began. The chance that it runs on from t to u is then exp(H(t) - H(u)), however small S is.
No I/O, no clock, and no knowledge of when to ask: that is in `longcat.waiting.schedule.polling`.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate, pairwise
from operator import truediv
from typing import Final

from attrs import define, field

from longcat.waiting.schedule.progress_curve import ProgressReport, time_of_end

SHORTEST_DURATION: Final = 0.05
LONGEST_DURATION: Final = 20_000.0  # Seconds. Durations beyond these bounds are not told apart.
LOG_SHORTEST: Final = math.log(SHORTEST_DURATION)
SHORTEST_MEDIAN: Final = 1e-9  # So that no odds are infinite,
GREATEST_ODDS: Final = 1e300  # nor greater than this.
TAIL: Final = 0.7  # How H grows with log t beyond the longest duration that a table holds.
LOGISTIC: Final = math.sqrt(3) / math.pi  # The scale of a logistic distribution whose standard deviation is one.

TOO_OLD: Final = 6.0  # In units of age: what counts less than exp(-6) is left out.
WORTH_UPDATING: Final = 16
"""How many notes of requests that still run make it worth while to update a table. A death counts as many."""


def logarithm(elapsed: float) -> float:
    """Return log t, and for less than `SHORTEST_DURATION` the logarithm of that."""
    return math.log(elapsed) if elapsed > SHORTEST_DURATION else LOG_SHORTEST


class LogLogistic:
    """A bell curve over the logarithm of the time since `origin`, whose heavy tails forgive a wrong median.

    `H(t) = log(1 + ((t - origin) / median) ** (1 / spread))`. `origin` is in seconds since the wait began, `spread` is
    a share of the time: 0.01 is one per cent. `typical` is the median duration of a wait, in seconds.
    """

    __slots__ = ("_median", "_origin", "_steepness", "typical")

    def __init__(self, median: float, spread: float, origin: float = 0.0) -> None:
        self.typical = max(origin + median, SHORTEST_DURATION)
        self._origin = origin
        self._median = max(median, SHORTEST_MEDIAN)
        self._steepness = 1 / spread

    def odds(self, elapsed: float) -> float:
        """Return 1 / S(t), t being seconds since the wait began. It is no more than `GREATEST_ODDS`."""
        since = elapsed - self._origin
        try:
            return 1.0 + (since / self._median) ** self._steepness if since > 0.0 else 1.0
        except OverflowError:
            return GREATEST_ODDS

    def hazard(self, elapsed: float) -> float:
        """Return H(t), without a unit, from zero up."""
        return math.log(self.odds(elapsed))

    def reached(self, odds: float) -> float:
        """Return when `odds` are this much, above one: its inverse, in seconds since the wait began."""
        return self._origin + self._median * math.pow(odds - 1.0, 1 / self._steepness)


PRIOR: Final = LogLogistic(median=20.0, spread=1.4)
"""What is expected before anything is known: eight requests in ten take from one second to seven minutes."""


WIDE: Final = 0.1  # The width of a bin, in log t,
STRIDE: Final = 4  # but for an experience that is blurred by less than this. Its bins are so many times finer.
FINE_BLUR: Final = 0.04
WIDE_BINS: Final = math.ceil(math.log(LONGEST_DURATION / SHORTEST_DURATION) / WIDE)
EDGES: Final = [LOG_SHORTEST + WIDE / STRIDE * i for i in range(STRIDE * WIDE_BINS + 1)]
"""The edges of the fine bins, in log t. Each `STRIDE`th is one of a wide bin, too."""


@cache
def prior_curve() -> list[float]:
    """Return H of the prior at the `EDGES`."""
    return [PRIOR.hazard(math.exp(x)) for x in EDGES]


class Experience:
    """The durations of earlier requests: a life table, in bins of equal width in log t.

    A bin's hazard is deaths / exposed, with those still running exposed as far as they got. (Leaving them out would
    make a batch that runs at once look as short as those of it that finish first.) Both start with, and fade towards, a
    prior of some weight, so the table equals `PRIOR` where it has seen nothing (the beta process of Hjort, 1990). After
    `memory` more requests one counts 1/e as much. A death is blurred by `blur`, a share of the time.
    """

    def __init__(self, memory: float, blur: float, prior_weight: float) -> None:
        self.memory = memory
        self.stride = STRIDE if blur < FINE_BLUR else 1
        """How many bins there are to one of the width `WIDE`."""
        self._blur = blur
        self._width = WIDE / self.stride
        self._edges = EDGES[:: STRIDE // self.stride]
        self.curve = prior_curve()[:: STRIDE // self.stride]
        """H at the edges of the bins."""
        self._prior = [prior_weight * (b - a) for a, b in pairwise(self.curve)]
        self._prior_weight = prior_weight
        self._deaths = list(self._prior)
        self._exposed = [prior_weight] * len(self._prior)
        self.newest = self._base = 0.0
        """The greatest age of a request that was noted, and the age of one that counts as one in the table."""
        self.pending = 0
        self.typical = PRIOR.typical

    def hazard(self, elapsed: float) -> float:
        """Return H(t), between the edges by interpolation."""
        x = (logarithm(elapsed) - LOG_SHORTEST) / self._width
        i = int(x)
        curve = self.curve
        if i >= len(curve) - 1:
            return curve[-1] + TAIL * self._width * (x - len(curve) + 1)
        here = curve[i]
        return here + (x - i) * (curve[i + 1] - here)

    def note_running(self, age: float, since: float, until: float) -> None:
        """Take note that a request was still running from one moment of its wait to another.

        Args:
            age: of its cohort: the greater, the later. Waits that run at once are equally old, so the order in which
                they finish does not make the long ones count more than the short ones.
            since: the `logarithm` of the moment up to which it was noted before.
            until: that of the question.
        """
        first, last = self._bin(since), self._bin(until)
        if first < last and (weight := self._weight(age)):
            self._exposed[first:last] = [e + weight for e in self._exposed[first:last]]
            self.pending += 1

    def note_finished(self, age: float, after: float, by: float) -> None:
        """Take note that a request that still ran at one question had finished at the next; both in seconds."""
        weight = self._weight(age)
        if not weight:
            return
        low, high = logarithm(after), logarithm(by)
        middle, counted = (low + high) / 2, self._bin(low)
        # An even spread between two questions has this deviation; the logistic bell is given the same.
        scale = math.hypot(self._blur, (high - low) / math.sqrt(12) * LOGISTIC)
        first, end = (self._bin(middle + side * 12 * scale) for side in (-1, 1))
        alive = [1 / (1 + math.exp((x - middle) / scale)) for x in self._edges[first : end + 1]]
        alive[0], alive[-1] = 1.0, (0.0 if end > first else 1.0)
        deaths, exposed = self._deaths, self._exposed
        exposed[counted:first] = [e + weight for e in exposed[counted:first]]
        exposed[end:counted] = [e - weight for e in exposed[end:counted]]
        for i, (here, there) in enumerate(pairwise(alive), first):
            deaths[i] += weight * (here - there)
            # What ends in a bin is exposed for half of it: the actuarial estimate.
            exposed[i] += weight * ((here + there) / 2 - (i < counted))
        self.pending += WORTH_UPDATING

    def evidence(self) -> tuple[list[float], list[float]]:
        """Return the deaths and the exposed beyond the prior, by bins. A request of the `newest` age counts as one."""
        scale = math.exp(self._base - self.newest)
        deaths = [scale * (d - p) for d, p in zip(self._deaths, self._prior, strict=True)]
        return deaths, [scale * (e - self._prior_weight) for e in self._exposed]

    def replace(self, deaths: Sequence[float], exposed: Sequence[float]) -> None:
        """Know this much instead, as `evidence` returns it. Raises ValueError when it is of other bins."""
        self._deaths = [p + d for d, p in zip(deaths, self._prior, strict=True)]
        self._exposed = [self._prior_weight + e for _, e in zip(self._prior, exposed, strict=True)]
        self._base = self.newest
        self.pending = WORTH_UPDATING

    def update(self) -> None:
        """Bring H up to date, in a new `curve`, if one request has finished since, or many were noted to run on."""
        if self.pending < WORTH_UPDATING:
            return
        self.pending = 0
        self.curve = list(accumulate(map(truediv, self._deaths, self._exposed), initial=0.0))
        self.typical = math.exp(self._edges[min(bisect_left(self.curve, math.log(2)), len(self._prior))])

    def _bin(self, log: float) -> int:
        return min(max(int((log - LOG_SHORTEST) / self._width), 0), len(self._prior))

    def _weight(self, age: float) -> float:
        """Return how much a request of this age counts, after fading what is older. Zero: too old to matter."""
        self.newest = max(self.newest, age)
        if self.newest - age > TOO_OLD:
            return 0.0
        if age - self._base > 1:  # Between two such moments the newer ones weigh more instead.
            keep = math.exp(self._base - age)
            self._deaths = [keep * d + (1 - keep) * p for d, p in zip(self._deaths, self._prior, strict=True)]
            self._exposed = [keep * e + (1 - keep) * self._prior_weight for e in self._exposed]
            self._base = age
        return math.exp(age - self._base)


ENOUGH: Final = 0.2  # Progress that tells people how long the request takes.
MAX_REPORTS: Final = 20  # How many reports of a request are kept at most, evenly spread over the progress.
ENOUGH_REQUESTS: Final = 5  # So many requests show what a progress means.
CERTAIN: Final = 0.85  # The least chance, by a forecast itself, that it is right within a factor of two.
HIGHEST: Final = 0.997  # Progress above it counts as this much: a request that says 1.0 and is not done is almost done.


class ProgressShape:
    """The error of progress: how far log(duration / elapsed) is from -log p, which it is when progress is linear.

    Kept by bins of p, evenly wide in log(p / (1 - p)): count, mean and variance. A shape that is eased or stalls moves
    the mean; noise and lies widen the variance, and the forecast with it.
    """

    WIDTH: Final = 0.6
    MEMORY: Final = 20
    DOUBT: Final = 0.35  # Standard deviation before anything is learnt, in shares of -log p,
    FLOOR: Final = 0.01  # plus this.
    DOUBT_WEIGHT: Final = 0.2  # In requests.

    def __init__(self) -> None:
        self._bins: dict[int, tuple[int, float, float]] = {}

    def bin(self, progress: float) -> int:
        """Return the bin of a progress above zero and below one."""
        return math.floor(math.log(progress / (1 - progress)) / self.WIDTH)

    def learn(self, progress: float, elapsed: float, duration: float) -> None:
        """Take note that so much was reported after so many seconds of a request that took `duration` in all."""
        error = math.log(duration / elapsed) + math.log(progress)
        count, mean, variance = self._bins.get(self.bin(progress), (0, 0.0, 0.0))
        count = min(count + 1, self.MEMORY)
        step = error - mean
        mean += step / count
        variance += (step * (error - mean) - variance) / count
        self._bins[self.bin(progress)] = count, mean, variance

    def bins(self) -> dict[int, tuple[int, float, float]]:
        """Return the count, mean and variance in each bin that has any."""
        return {**self._bins}

    def replace_bins(self, bins: Mapping[int, tuple[int, float, float]]) -> None:
        """Know this much instead, as `bins` returns it."""
        self._bins = {**bins}

    def learnt(self, progress: float) -> bool:
        """Whether enough requests have shown what this progress means."""
        return self._bins.get(self.bin(progress), (0,))[0] >= ENOUGH_REQUESTS

    def forecast(self, progress: float, origin: float, elapsed: float) -> LogLogistic:
        """Return when a request will finish that began at `origin` and reports so much, both in seconds of the wait."""
        count, mean, variance = self._bins.get(self.bin(progress), (0, 0.0, 0.0))
        expected = -math.log(progress)
        doubt = (self.DOUBT * expected + self.FLOOR) ** 2
        total = self.DOUBT_WEIGHT + count
        shift = count * mean / total
        spread = (self.DOUBT_WEIGHT * (doubt + mean * shift) + count * variance) / total * (1 + 0.5 / (count + 1))
        log_median = min(math.log(elapsed - origin) + expected + shift, 50.0)
        return LogLogistic(math.exp(log_median), LOGISTIC * max(math.sqrt(spread), self.FLOOR), origin)


@define
class ProgressReader:
    """The forecasts from one request's progress, by two clocks: one starts with the wait, one with the work.

    The work starts where a straight line through the first and the last progress meets zero, but not before the last
    zero that was reported: so a queue before it, or a wait that began late, does no harm.
    """

    forecasts: list[LogLogistic | None] = field(factory=lambda: [None, None])
    _zero: float | None = None  # When zero was last reported before any progress.
    _first: tuple[float, float] | None = None  # When progress was first reported, and how much.
    _last: float = 0.0
    _work: float | None = None  # When the work started. None: unknown.
    _reports: tuple[dict[int, tuple[float, float]], ...] = field(factory=lambda: ({}, {}))
    _kept: dict[int, ProgressReport] = field(factory=dict)
    _read: float = 0.0  # When there was a report last, be it the same.

    def read(self, shapes: tuple[ProgressShape, ProgressShape], elapsed: float, progress: float) -> None:
        """Make the forecasts anew if the progress is new. Progress that stands still says nothing more."""
        progress = min(progress, HIGHEST)
        before, self._read = self._read, elapsed
        if progress <= 0 and self._first is None:
            self._zero = elapsed
        if progress <= 0 or progress == self._last:
            return
        self._last = progress
        self._kept[int(MAX_REPORTS * progress)] = ProgressReport(before, elapsed, progress)
        self._find_work(elapsed, progress)
        for i, origin in enumerate((0.0, self._work)):
            self.forecasts[i] = None
            if origin is not None and elapsed > origin:
                self.forecasts[i] = shapes[i].forecast(progress, origin, elapsed)
                self._reports[i][shapes[i].bin(progress)] = elapsed, progress

    @property
    def tells_enough(self) -> bool:
        """Whether the progress is so far that it should tell when the request will be done."""
        return self._last >= ENOUGH

    def time_of_end(self, shapes: tuple[ProgressShape, ProgressShape], asked: float) -> float | None:
        """Return when the request will be done, if its progress tells enough for people to be told of it.

        Args:
            shapes: what progress has meant.
            asked: when the last answer came, in seconds of the wait.
        """
        if not self.tells_enough:
            return None
        forecast, reports = self.forecasts[1], [*self._kept.values()]
        if forecast is not None and shapes[1].learnt(self._last):
            odds = forecast.odds(asked)
            done = forecast.reached(2 * odds)
            chance = odds / forecast.odds((asked + done) / 2) - odds / forecast.odds(2 * done - asked)
            if chance >= CERTAIN:
                return done
        return time_of_end(reports, self._zero, asked)

    def _find_work(self, elapsed: float, progress: float) -> None:
        if self._first is None:
            self._first = elapsed, progress
            if elapsed > 0:
                self._work = (self._zero + elapsed) / 2 if self._zero else 0.0
            return
        start, level = self._first
        if progress > level:
            earliest = -2 * elapsed if self._zero is None else self._zero
            self._work = max(earliest, start - level * (elapsed - start) / (progress - level))

    def teach(self, shapes: tuple[ProgressShape, ProgressShape], duration: float) -> None:
        """Let the shapes learn what the reports meant, now that the duration is known, in seconds."""
        for shape, origin, reports in zip(shapes, (0.0, self._work), self._reports, strict=True):
            for elapsed, progress in reports.values():
                if origin is not None and origin < elapsed <= duration:
                    shape.learn(progress, elapsed - origin, duration - origin)
