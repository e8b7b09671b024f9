"""Draw the rooms of a package, as they import each other, as an SVG picture for the documentation.

A box is a module or folder directly below the package, an arrow an import. Each box stands as high as its importers
allow, so every arrow points down. An arrow is left out where a longer way leads to the same box. The picture is made
from the imports alone, so it is the same each time.
"""

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from itertools import pairwise
from statistics import fmean
from typing import Final, TypeAlias

import grimp

GENERATED: Final = "longcat_api"
"""The generated client, which counts as a room beside those that import it."""
LETTER, MARGIN, GAP, LANE, BOX, ROW = 8.4, 28.0, 18.0, 10.0, 34.0, 74.0
"""In pixels: the width of a letter, what a box has beside its name, the least gap between two boxes, the width of a
lane in which an arrow passes a row, the height of a box, and the height of a row."""
SWEEPS: Final = 12
"""How often the rows are arranged anew, down and up."""
TIP: Final = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0L8 4L0 8z"/></marker></defs>'
)

Graph: TypeAlias = Mapping[str, frozenset[str]]
"""For each room, the rooms that it imports."""
Place: TypeAlias = tuple[int, str]
"""A row, counted from the top, and what stands there: a room, or a lane named `above>below` after its arrow's ends."""


def imports(package: str) -> Graph:
    """Return which rooms of a package import which others. Modules such as `__init__` are no rooms."""
    graph = grimp.build_graph("longcat", GENERATED, cache_dir=None)
    found: dict[str, set[str]] = {}
    for module in sorted(graph.modules):
        if room := _room(module, package):
            imported = (_room(one, package) for one in graph.find_modules_directly_imported_by(module))
            found.setdefault(room, set()).update(filter(None, imported))
    return {room: frozenset(below - {room}) for room, below in found.items()}


def _room(module: str, package: str) -> str | None:
    if module.startswith(GENERATED) and package == "longcat":
        return GENERATED
    name = module.removeprefix(f"{package}.").partition(".")[0]
    return name if module.startswith(f"{package}.") and not name.startswith("_") else None


def rows(graph: Graph) -> dict[str, int]:
    """Return the row of each room. Raises graphlib.CycleError when rooms import each other."""
    order = [*TopologicalSorter(graph).static_order()]
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
    return {room: below.difference(*(reach[one] for one in below)) for room, below in graph.items()}


def ways(graph: Graph, row: Mapping[str, int]) -> list[list[Place]]:
    """Return each arrow as the places that it goes through, from the upper room to the lower one."""
    return [
        [(row[room], room), *((at, f"{room}>{below}") for at in range(row[room] + 1, row[below])), (row[below], below)]
        for room in sorted(graph)
        for below in sorted(graph[room])
    ]


def arrange(row: Mapping[str, int], arrows: Sequence[Sequence[Place]]) -> list[list[str]]:
    """Return what stands in each row from left to right, so that few arrows cross: each near the middle of its ends."""
    places = {(at, room) for room, at in row.items()}.union(*arrows)
    order = [sorted(name for at, name in places if at == number) for number in range(max(row.values()) + 1)]
    joined = {pair for arrow in arrows for one, other in pairwise(arrow) for pair in ((one, other), (other, one))}
    down = [(at, at - 1) for at in range(1, len(order))]
    for at, there in (down + [(there, at) for at, there in reversed(down)]) * SWEEPS:
        share = {(n, name): (i + 0.5) / len(order[n]) for n in (at, there) for i, name in enumerate(order[n])}
        middle = {
            name: fmean(
                [share[there, end] for end in order[there] if ((at, name), (there, end)) in joined] or [share[at, name]]
            )
            for name in order[at]
        }
        order[at].sort(key=lambda name: (middle[name], name))
    return order


def draw(package: str) -> str:
    """Return the picture of a package, as an SVG element that takes its colours from the page around it."""
    graph = imports(package)
    row = rows(graph)
    arrows = ways(reduced(graph), row)
    order = arrange(row, arrows)
    width = max(sum(_width(name) + GAP for name in names) for names in order) + GAP
    height = (len(order) - 1) * ROW + BOX + 2 * GAP
    centre: dict[Place, float] = {}
    for at, names in enumerate(order):
        gap = x = (width - sum(map(_width, names))) / (len(names) + 1)
        for name in names:
            centre[at, name] = x + _width(name) / 2
            x += _width(name) + gap
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
    parts = [
        f'<svg class="rooms" xmlns="http://www.w3.org/2000/svg" {size}>',
        f"<title>The rooms of {package}, and which imports which</title>",
        TIP,
        *(_arrow(arrow, centre) for arrow in arrows),
        *(_box(name, centre[at, name], GAP + at * ROW) for name, at in row.items()),
    ]
    return "\n".join([*parts, "</svg>", ""])


def _width(name: str) -> float:
    return LANE if ">" in name else len(name) * LETTER + MARGIN


def _arrow(places: Sequence[Place], centre: Mapping[Place, float]) -> str:
    """Return a path that bends between the rows, and goes straight down where it passes one."""
    path = f"M{centre[places[0]]:.0f} {GAP + places[0][0] * ROW + BOX:.0f}"
    for above, below in pairwise(places):
        top = GAP + below[0] * ROW
        bend = top - (ROW - BOX) / 2
        path += f"C{centre[above]:.0f} {bend:.0f} {centre[below]:.0f} {bend:.0f} {centre[below]:.0f} {top:.0f}"
        path += f"V{top + BOX:.0f}" if below != places[-1] else ""
    return f'<path class="arrow" d="{path}" marker-end="url(#tip)"/>'


def _box(name: str, x: float, top: float) -> str:
    wide = _width(name)
    return (
        f'<rect x="{x - wide / 2:.0f}" y="{top:.0f}" width="{wide:.0f}" height="{BOX:.0f}" rx="6"/>'
        f'<text x="{x:.0f}" y="{top + BOX / 2 + 5:.0f}">{name}</text>'
    )
