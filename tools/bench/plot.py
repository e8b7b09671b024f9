"""The plots, as SVG on a light ground, so that they can be read on a dark page as well."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

from bench.report import Result

WIDTH, LEFT, RIGHT, STEP, TOP = 800, 430, 770, 24, 64
OURS, OTHERS, MISSED, GRID = "#0f766e", "#475569", "#c2410c", "#e2e8f0"


def label(x: float, y: float, text: str, more: str = "") -> str:
    """Return a text at a place."""
    return f'<text x="{x:.0f}" y="{y:.0f}" {more}>{escape(text)}</text>'


def picture(title: str, subtitle: str, rows: int, parts: Sequence[str]) -> str:
    """Return a picture with a title and room for so many rows."""
    height = TOP + STEP * rows + 40
    frame = f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {frame}>',
            f'<path d="M0 0H{WIDTH}V{height}H0z" fill="white"/>',
            label(20, 26, title, 'font-size="17" font-weight="bold"'),
            label(20, 46, subtitle),
            *parts,
            "</svg>\n",
        ]
    )


def logarithmic(low: float, high: float) -> Callable[[float], float]:
    """Return where a value from low to high stands, in even steps of its logarithm."""
    return lambda value: LEFT + (RIGHT - LEFT) * math.log(min(max(value, low), high) / low) / math.log(high / low)


def grid(at: Callable[[float], float], ticks: Mapping[float, str], rows: int) -> list[str]:
    """Return a line for each tick, with what it says below it."""
    bottom = TOP + STEP * rows
    return [
        part
        for value, text in ticks.items()
        for part in (
            f'<path d="M{at(value):.0f} {TOP - 8}V{bottom}" stroke="{GRID}"/>',
            label(at(value), bottom + 18, text, 'text-anchor="middle"'),
        )
    ]


TICKS: Final = {0.1: "a tenth", 0.25: "a quarter", 0.5: "half", 1.0: "the goal", 2.0: "twice", 4.0: "4", 8.0: "8"}


def beside_goals(results: Sequence[Result]) -> str:
    """Return a picture of each row's median and quartiles, as multiples of its goal."""
    at = logarithmic(0.05, 10.0)
    parts = [*grid(at, TICKS, len(results))]
    parts += [f'<path d="M{at(1):.0f} {TOP - 8}V{TOP + STEP * len(results)}" stroke="{OTHERS}"/>']
    for i, result in enumerate(results):
        y, colour = TOP + STEP * i + 8, OURS if result.holds else MISSED
        low, high = (at(result.beside_goal(value)) for value in (result.value.low, result.value.high))
        parts += [label(LEFT - 16, y + 4, result.row.what.replace("`", ""), 'text-anchor="end" font-size="11"')]
        parts += [f'<path d="M{low:.0f} {y}H{high:.0f}" stroke="{colour}" stroke-width="3"/>']
        parts += [f'<circle cx="{at(result.missed_by):.0f}" cy="{y}" r="5" fill="{colour}"/>']
    return picture(
        "Each row beside its goal", "Medians and quartiles. Left of the goal is better.", len(results), parts
    )


def bars(title: str, values: Mapping[str, float]) -> str:
    """Return a picture of a bar for each value, the longest first."""
    most = max(values.values(), default=1.0)
    parts = []
    for i, (name, value) in enumerate(sorted(values.items(), key=lambda item: -item[1])):
        y, ours = TOP + STEP * i, "longcat" in name
        width = (RIGHT - 60 - LEFT) * value / most
        parts += [label(LEFT - 10, y + 12, name, 'text-anchor="end"' + (' font-weight="bold"' if ours else ""))]
        parts += [f'<path d="M{LEFT} {y}h{width:.1f}v16H{LEFT}z" fill="{OURS if ours else OTHERS}"/>']
        parts += [label(LEFT + width + 6, y + 12, f"{value:,.0f}")]
    return picture(title, "Of 500 waits, or with so many questions in flight.", len(values), parts)
