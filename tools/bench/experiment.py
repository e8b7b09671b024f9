"""What all measurements have in common: rounds in which each subject has its turn, and how far figures are spread."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import quantiles
from typing import Final, Literal

from attrs import frozen

Series = dict[str, list[float]]
"""By subject: one figure of each round."""

Environment = Literal["plain", "peers"]
"""Where longcat is installed without extras, or with those that are measured, beside its peers."""

SHORTEST: Final = 0.05
"""Seconds of CPU time that a subject's turn takes at least."""


@frozen
class Effort:
    """How much to measure: the number of rounds, and the share of the usual work in each. Tests take little."""

    rounds: int
    share: float = 1.0

    def of(self, usual: int) -> int:
        """Return the share of a number, at least one."""
        return max(1, round(usual * self.share))


@frozen
class Experiment:
    """Subjects that are measured together.

    Attributes:
        environment: where it runs.
        rounds: in how many rounds.
        measure: measures, given the server's URL and the effort.
    """

    environment: Environment
    rounds: int
    measure: Callable[[str, Effort], Series]


@frozen
class Spread:
    """The middle of some figures, and the quartiles below and above it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread":
        """Return the spread of at least one figure."""
        low, middle, high = quantiles(figures, n=4, method="inclusive") if len(figures) > 1 else [figures[0]] * 3
        return cls(middle, low, high)

    @property
    def share(self) -> float:
        """How far the quartiles are apart, as a share of the median."""
        return (self.high - self.low) / self.median if self.median else 0.0


def ratios(ours: Sequence[float], other: Sequence[float]) -> list[float]:
    """Return the ratio of each round. Both had their turn in it, so that what slows the machine down slows both."""
    return [a / b for a, b in zip(ours, other, strict=True)]


def turns(subjects: Iterable[str], rounds: int) -> Iterator[str]:
    """Yield the subjects in the order of their turns: every other round goes through them in reverse."""
    names = list(subjects)
    for turn in range(rounds):
        yield from reversed(names) if turn % 2 else names


def in_turn(subjects: dict[str, Callable[[], float]], rounds: int) -> Series:
    """Return the figures of each subject, one a round."""
    series: Series = {name: [] for name in subjects}
    for name in turns(subjects, rounds):
        series[name].append(subjects[name]())
    return series


def cpu_per_call(calls: Mapping[str, Callable[[], object]], effort: Effort) -> Series:
    """Return the microseconds of CPU time that a call takes in this process."""
    return in_turn({name: _timed(call, SHORTEST * effort.share) for name, call in calls.items()}, effort.rounds)


def _timed(call: Callable[[], object], shortest: float) -> Callable[[], float]:
    """Return what times so many calls that they take the shortest time or longer. It makes as many to find out."""

    def seconds(count: int) -> float:
        began = time.process_time()
        for _ in range(count):
            call()
        return time.process_time() - began

    count = 1
    while seconds(count) < shortest:
        count *= 2
    return lambda: 1e6 * seconds(count) / count
