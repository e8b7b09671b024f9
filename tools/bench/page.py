"""The page that shows what was measured, the same as JSON, and the table for the terminal."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from attrs import frozen

from bench.experiment import Series, Spread, ratios
from bench.rows import ROWS, Row

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
PAGE, DATA = DOCS / "performance.md", DOCS / "performance.json"
MOST_SPREAD: Final = 0.5
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
    def holds(self) -> bool:
        """Whether the goal is met by the median."""
        return self.value.median <= self.row.goal if self.row.bound == "at most" else self.value.median >= self.row.goal


@frozen
class Report:
    """All figures, and what they were measured with."""

    series: Mapping[str, Series]
    machine: Mapping[str, str]
    versions: Mapping[str, str]

    def results(self) -> Iterator[Result]:
        """Yield the result of every row that was measured."""
        for row in ROWS:
            found = self.series.get(row.experiment, {})
            names = (row.other,) if isinstance(row.other, str) else row.other or ()
            there = [name for name in names if name in found]
            if row.ours not in found or (names and not there):
                continue
            ours, name = found[row.ours], max(there, key=lambda name: median(found[name]), default=None)
            if name is None:
                yield Result(row, Spread.of(ours), Spread.of(ours), None, None)
            else:
                other = found[name]
                yield Result(row, Spread.of(ratios(ours, other)), Spread.of(ours), Spread.of(other), name)

    def doubtful(self) -> list[str]:
        """Return the rows whose figures are spread too far."""
        return [
            f"{result.row.what} ({result.value.low:.2f} to {result.value.high:.2f})"
            for result in self.results()
            if result.value.share > MOST_SPREAD
        ]

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
        when = datetime.now(UTC).date().isoformat()
        return {
            "measured": when,
            "machine": dict(self.machine),
            "versions": dict(self.versions),
            "rows": rows,
            "figures": figures,
        }


def spread(one: Spread) -> dict[str, float]:
    """Return a spread for a program, to four digits."""
    return {
        name: float(f"{value:.4g}") for name, value in (("median", one.median), ("low", one.low), ("high", one.high))
    }


def short(value: float) -> str:
    """Return a number with as many digits as say something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"  # noqa: PLR2004


def cell(one: Spread) -> str:
    """Return a spread as a cell of a table: the median, and the quartiles in brackets."""
    return f"{short(one.median)} ({short(one.low)} to {short(one.high)})"


def table(report: Report) -> Iterator[str]:
    """Yield the lines of the table of all rows."""
    yield "| what | goal | measured | holds | ours | other |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for result in report.results():
        row = result.row
        value = cell(result.value) if result.other else f"{cell(result.value)} {row.unit}"
        other = f"{short(result.other.median)} {row.unit}" if result.other else "-"
        cells = (
            *(row.what, f"{row.bound} {row.goal:g}", value, "yes" if result.holds else "**no**"),
            *(f"{short(result.ours.median)} {row.unit}", other),
        )
        yield f"| {' | '.join(cells)} |"


def write(report: Report) -> None:
    """Write the page and the figures."""
    PAGE.write_text("\n".join(["# Performance, measured", "", *table(report), ""]), "utf-8")
    DATA.write_text(json.dumps(report.as_json(), indent=2) + "\n", "utf-8")
