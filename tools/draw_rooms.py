"""Draw the rooms of a package, as they import each other, as an SVG picture: `python tools/draw_rooms.py longcat`.

A box is a module or folder directly below the package, an arrow an import. Each box stands as high as its importers
allow, so every arrow points down. An arrow is left out where a longer way leads to the same box. The picture is made
from the imports alone, so it is the same each time.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from graphlib import TopologicalSorter
from html import escape
from itertools import pairwise
from statistics import fmean
from typing import Final

import grimp
from attrs import field, frozen

LETTER, MARGIN, GAP, LANE, BOX, ROW = 8.4, 28.0, 18.0, 10.0, 34.0, 74.0
"""In pixels: the width of a letter, what a box has beside its name, the gap between two boxes, the width of a lane for
a passing arrow, the height of a box, and the height of a row."""
SWEEPS: Final = 12
TIP: Final = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0L8 4L0 8z"/></marker></defs>'
)

Graph = Mapping[str, frozenset[str]]
"""For each room, the rooms that it imports."""


@frozen(order=True)
class Place:
    """What stands in a row: a room, or a lane in which an arrow passes.

    Attributes:
        name: the room, or the arrow's two rooms.
        room: whether it is a room.
    """

    name: str
    room: bool = field(default=True, order=False)

    @property
    def width(self) -> float:
        """Its width in pixels."""
        return len(self.name) * LETTER + MARGIN if self.room else LANE


def imports(package: str) -> Graph:
    """Return which rooms of a package import which others, its own `__init__` left out.

    A generated package that the rooms import counts as a room as well.
    """
    graph = grimp.build_graph("longcat", "longcat_api", cache_dir=None)
    depth = package.count(".") + 2
    found: dict[str, set[str]] = {}
    for module in sorted(graph.modules):
        room = _room(module, package, depth)
        if room is None:
            continue
        below = found.setdefault(room, set())
        below.update(_room(one, package, depth) or room for one in graph.find_modules_directly_imported_by(module))
    return {room: frozenset(below - {room}) for room, below in found.items()}


def _room(module: str, package: str, depth: int) -> str | None:
    if module.startswith("longcat_api") and package == "longcat":
        return "longcat_api"
    parts = module.split(".")
    if not module.startswith(f"{package}.") or parts[depth - 1].startswith("_"):
        return None
    return parts[depth - 1]


def rows(graph: Graph) -> dict[str, int]:
    """Return the row of each room, the topmost being 0. Raises graphlib.CycleError when rooms import each other."""
    order = list(TopologicalSorter(graph).static_order())
    row = dict.fromkeys(order, 0)
    for room in reversed(order):
        for below in graph[room]:
            row[below] = max(row[below], row[room] + 1)
    return row


def reduced(graph: Graph) -> Graph:
    """Return the graph without the arrows that a longer way makes needless."""
    reach: dict[str, frozenset[str]] = {}
    for room in TopologicalSorter(graph).static_order():
        reach[room] = graph[room].union(*(reach[below] for below in graph[room]))
    return {
        room: below - frozenset().union(*(reach[one] for one in below)) if below else below
        for room, below in graph.items()
    }


def ways(graph: Graph, row: Mapping[str, int]) -> list[list[tuple[int, Place]]]:
    """Return each arrow as the places that it passes, with their rows."""
    return [
        [
            (row[room], Place(room)),
            *((between, Place(f"{room}>{below}", room=False)) for between in range(row[room] + 1, row[below])),
            (row[below], Place(below)),
        ]
        for room in sorted(graph)
        for below in sorted(graph[room])
    ]


def arrange(row: Mapping[str, int], arrows: Iterable[list[tuple[int, Place]]]) -> list[list[Place]]:
    """Return the places of each row from left to right, so that few arrows cross: each near the middle of its ends."""
    table: list[set[Place]] = [set() for _ in range(max(row.values()) + 1)]
    for room, at in row.items():
        table[at].add(Place(room))
    ends: dict[tuple[int, Place], list[tuple[int, Place]]] = {}
    for arrow in arrows:
        for above, below in pairwise(arrow):
            table[above[0]].add(above[1])
            table[below[0]].add(below[1])
            ends.setdefault(above, []).append(below)
            ends.setdefault(below, []).append(above)
    order = [sorted(places) for places in table]
    for _ in range(SWEEPS):
        for at in range(1, len(order)):
            order[at] = _pulled(order, at, at - 1, ends)
        for at in reversed(range(len(order) - 1)):
            order[at] = _pulled(order, at, at + 1, ends)
    return order


def _pulled(
    order: list[list[Place]], at: int, there: int, ends: Mapping[tuple[int, Place], list[tuple[int, Place]]]
) -> list[Place]:
    """Return a row with each place moved towards the middle of those in the next row that it is joined with."""
    share = {(row, place): (i + 0.5) / len(order[row]) for row in (at, there) for i, place in enumerate(order[row])}
    middle = {
        place: fmean([share[end] for end in ends.get((at, place), []) if end[0] == there] or [share[at, place]])
        for place in order[at]
    }
    return sorted(order[at], key=lambda place: (middle[place], place))


def draw(package: str) -> str:
    """Return the picture of a package, as an SVG element that takes its colours from the page around it."""
    graph = imports(package)
    row = rows(graph)
    arrows = ways(reduced(graph), row)
    order = arrange(row, arrows)
    width = max(sum(place.width + GAP for place in places) for places in order) + GAP
    height = len(order) * ROW - ROW + BOX + 2 * GAP
    centre = {(at, place): x for at, places in enumerate(order) for place, x in _centres(places, width)}
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
    parts = [
        f'<svg class="rooms" xmlns="http://www.w3.org/2000/svg" {size}>',
        f"<title>The rooms of {package}, and which imports which</title>",
        TIP,
        *(_arrow([(centre[point], point) for point in arrow]) for arrow in arrows),
        *(_box(place.name, centre[at, place], at) for at, places in enumerate(order) for place in places if place.room),
    ]
    return "\n".join([*parts, "</svg>", ""])


def _centres(places: Iterable[Place], width: float) -> Iterator[tuple[Place, float]]:
    places = list(places)
    gap = (width - sum(place.width for place in places)) / (len(places) + 1)
    x = gap
    for place in places:
        yield place, x + place.width / 2
        x += place.width + gap


def _top(at: int) -> float:
    return GAP + at * ROW


def _arrow(points: list[tuple[float, tuple[int, Place]]]) -> str:
    (x, (at, _)), *rest = points
    path = f"M{x:.0f} {_top(at) + BOX:.0f}"
    for number, (there, (row, place)) in enumerate(rest):
        last = number == len(rest) - 1
        start, end = _top(row - 1) + BOX, _top(row) - (2 if last else 0)
        middle = (start + end) / 2
        path += f"C{x:.0f} {middle:.0f} {there:.0f} {middle:.0f} {there:.0f} {end:.0f}"
        path += "" if place.room else f"V{_top(row) + BOX:.0f}"
        x = there
    return f'<path class="arrow" d="{path}" marker-end="url(#tip)"/>'


def _box(name: str, x: float, at: int) -> str:
    wide, top = Place(name).width, _top(at)
    return (
        f'<rect x="{x - wide / 2:.0f}" y="{top:.0f}" width="{wide:.0f}" height="{BOX:.0f}" rx="6"/>'
        f'<text x="{x:.0f}" y="{top + BOX / 2 + 5:.0f}">{escape(name)}</text>'
    )


def main() -> int:
    """Print the picture of the package that is named, or of `longcat`."""
    print(draw(sys.argv[1] if len(sys.argv) > 1 else "longcat"), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
