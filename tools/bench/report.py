"""What the rows came to, of the figures of all experiments."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from statistics import median
from typing import Any, Final

from attrs import field, frozen

from bench.experiment import Series, Spread, ratios
from bench.rows import ROWS, Row

MAX_SPREAD: Final = 0.5
"""Where the quartiles of a row are further apart than this, as a share of its median, it says nothing."""


@frozen
class Result:
    """What a row came to: the spread of its figure, and of ours and the other's. None: the other is not there."""

    row: Row
    value: Spread
    ours: Spread
    other: Spread | None
    other_name: str | None

    @property
    def missed_by(self) -> float:
        """How many times the goal the median is, or the goal the median where it should be at least that."""
        return self.beside_goal(self.value.median)

    @property
    def holds(self) -> bool:
        """Whether the goal is met by the median."""
        return self.missed_by <= 1

    def beside_goal(self, value: float) -> float:
        """Return how far a value is from the goal, as a factor: one is the goal, and less is better."""
        return value / self.row.goal if self.row.bound == "at most" else self.row.goal / value


@frozen
class Report:
    """All figures, and what they were measured with."""

    series: Mapping[str, Series]
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    date: str = field(factory=lambda: datetime.now(UTC).date().isoformat())

    def results(self) -> Iterator[Result]:
        """Yield the result of every row that was measured."""
        for row in ROWS:
            found = self.series.get(row.experiment, {})
            if row in self.missing() or not found:
                continue
            ours, name = found[row.ours], max(others(row, found), key=lambda name: median(found[name]), default=None)
            if name is None:
                yield Result(row, Spread.of(ours), Spread.of(ours), None, None)
            else:
                other = found[name]
                yield Result(row, Spread.of(ratios(ours, other)), Spread.of(ours), Spread.of(other), name)

    def missing(self) -> list[Row]:
        """Return the rows that lack the other: what it needs, such as Node, is not on this machine."""
        return [
            row for row in ROWS if row.other and (found := self.series.get(row.experiment)) and not others(row, found)
        ]

    def doubtful(self) -> list[Result]:
        """Return the results whose figures are spread too far."""
        return [result for result in self.results() if result.value.share > MAX_SPREAD]

    def as_json(self) -> dict[str, Any]:
        """Return everything for a program."""
        rows = [
            {
                "what": result.row.what,
                "experiment": result.row.experiment,
                "bound": result.row.bound,
                "goal": result.row.goal,
                "value": spread(result.value),
                "holds": result.holds,
                "unit": result.row.unit,
                "ours": spread(result.ours),
                "other": result.other and spread(result.other),
                "other_name": result.other_name,
            }
            for result in self.results()
        ]
        figures = {
            name: {subject: spread(Spread.of(values)) for subject, values in series.items()}
            for name, series in self.series.items()
        }
        return {
            "measured": self.date,
            "machine": dict(self.machine),
            "versions": dict(self.versions),
            "rows": rows,
            "figures": figures,
        }


def others(row: Row, found: Series) -> list[str]:
    """Return what a row compares ours with, as far as it was measured."""
    names = (row.other,) if isinstance(row.other, str) else row.other or ()
    return [name for name in names if name in found]


def spread(one: Spread) -> dict[str, float]:
    """Return a spread for a program, to four digits."""
    return {
        name: float(f"{value:.4g}") for name, value in (("median", one.median), ("low", one.low), ("high", one.high))
    }
