"""Drawings of a frame, worked out to SVG coordinates: bursts, stages over dates, the network of interferograms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from satdaemon.db.frame_network import Edge, Network, Node
from satdaemon.db.ledger import Entry
from satdaemon.domain import Frame
from satdaemon.status import RowKind, Stage

CELL, MOST_CELL = 10.0, 22.0
MARGIN = 46.0


@dataclass(frozen=True, slots=True)
class Shape:
    """A burst, as a polygon."""

    id: str
    points: str
    label_x: float
    label_y: float


@dataclass(frozen=True, slots=True)
class BurstMap:
    """The bursts of a frame, north up."""

    width: float
    height: float
    shapes: tuple[Shape, ...]
    west: float
    south: float
    east: float
    north: float


def burst_map(frame: Frame, width: float = 340.0) -> BurstMap | None:
    """None where no burst has a footprint."""
    rings = {burst.id: _unwrapped(burst.footprint) for burst in frame.bursts if len(burst.footprint) >= 3}
    if not rings:
        return None
    lons = [lon for ring in rings.values() for lon, _ in ring]
    lats = [lat for ring in rings.values() for _, lat in ring]
    west, east, south, north = min(lons), max(lons), min(lats), max(lats)
    shrink = max(math.cos(math.radians((south + north) / 2)), 0.05)
    scale = (width - 20.0) / max((east - west) * shrink, 1e-6)
    height = min((north - south) * scale + 20.0, 0.9 * width)
    scale = min(scale, (height - 20.0) / max(north - south, 1e-6))

    def place(lon: float, lat: float) -> tuple[float, float]:
        return round(10.0 + (lon - west) * shrink * scale, 1), round(10.0 + (north - lat) * scale, 1)

    shapes = []
    for name, ring in rings.items():
        corners = [place(*corner) for corner in ring]
        middle = [sum(values) / len(corners) for values in zip(*corners, strict=True)]
        shapes.append(Shape(name, " ".join(f"{x},{y}" for x, y in corners), round(middle[0], 1), round(middle[1], 1)))
    return BurstMap(width, round(height, 1), tuple(shapes), west, south, east, north)


@dataclass(frozen=True, slots=True)
class Cell:
    """A stage of a date."""

    x: float
    date: date
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Line:
    """A stage, with all dates."""

    stage: Stage
    y: float
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """Dates from left to right, stages from top to bottom."""

    width: float
    height: float
    cell: float
    lines: tuple[Line, ...]
    years: tuple[tuple[float, str], ...]
    """Where a year begins."""


def stage_grid(entries: Iterable[Entry]) -> Grid:
    """Of the dates of a frame, the master's among them: what is of whole frames or of pairs is left out."""
    found = [e for e in entries if e.kind is not RowKind.RSAR_IFG and e.stage in (Stage.DOWNLOAD, Stage.SLC, Stage.SATSAR)]
    days = sorted({entry.date1 for entry in found})
    cell = max(min(MOST_CELL, 900.0 / max(len(days), 1)), CELL / 2)
    place = {day: round(90.0 + k * cell, 1) for k, day in enumerate(days)}
    lines = []
    for number, stage in enumerate((Stage.DOWNLOAD, Stage.SLC, Stage.SATSAR)):
        cells = [Cell(place[e.date1], e.date1, _state(e), e.reason) for e in found if e.stage is stage]
        lines.append(Line(stage, 20.0 + 24.0 * number, tuple(sorted(cells, key=lambda c: c.x))))
    firsts = {day.year: day for day in reversed(days)}
    years = tuple(sorted((place[day], str(year)) for year, day in firsts.items()))
    return Grid(90.0 + max(len(days), 1) * cell + 10.0, 20.0 + 24.0 * len(lines) + 6.0, cell, tuple(lines), years)


@dataclass(frozen=True, slots=True)
class Plot:
    """The network: time to the right, perpendicular baseline upwards."""

    width: float
    height: float
    nodes: tuple[tuple[float, float, Node], ...]
    edges: tuple[tuple[float, float, float, float, Edge], ...]
    times: tuple[tuple[float, str], ...]
    baselines: tuple[tuple[float, str], ...]
    unknown: int
    """Dates whose baseline is not known, drawn at zero."""


def network_plot(network: Network, width: float = 900.0, height: float = 320.0) -> Plot | None:
    """None where there is no date."""
    if not network.nodes:
        return None
    first, last = network.nodes[0].date, network.nodes[-1].date
    days = max((last - first).days, 1)
    values = [node.bperp_m for node in network.nodes if node.bperp_m is not None]
    low, high = min([*values, 0.0]), max([*values, 0.0])
    room = max((high - low) * 0.08, 5.0)
    low, high = low - room, high + room

    def x_of(day: date) -> float:
        return round(MARGIN + (day - first).days / days * (width - MARGIN - 14.0), 1)

    def y_of(metres: float) -> float:
        return round(10.0 + (high - metres) / (high - low) * (height - 40.0), 1)

    place = {node.date: (x_of(node.date), y_of(node.bperp_m or 0.0)) for node in network.nodes}
    edges = tuple((*place[e.date1], *place[e.date2], e) for e in network.edges if e.date1 in place and e.date2 in place)
    return Plot(
        width,
        height,
        tuple((*place[node.date], node) for node in network.nodes),
        edges,
        tuple((x_of(day), f"{day:%Y-%m}") for day in _ticks(first, last)),
        tuple((y_of(value), f"{value:g}") for value in steps(low, high)),
        sum(node.bperp_m is None for node in network.nodes),
    )


def _state(entry: Entry) -> str:
    return "warnings" if entry.with_warnings else entry.state.value


def _unwrapped(ring: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Longitudes beside each other, where the ring crosses the date line."""
    first = ring[0][0]
    return [(lon - 360.0 * round((lon - first) / 360.0), lat) for lon, lat in ring]


def _ticks(first: date, last: date, most: int = 8) -> list[date]:
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    step = next((n for n in (1, 2, 3, 6, 12, 24, 60) if months / n <= most), 120)
    found = []
    for count in range(0, months + 1, step):
        month = first.month - 1 + count
        day = date(first.year + month // 12, month % 12 + 1, 1)
        if first <= day <= last:
            found.append(day)
    return found or [first]


def steps(low: float, high: float, most: int = 6) -> list[float]:
    """Round values between two, at most so many."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough)
    begin = math.ceil(low / step)
    return [k * step for k in range(begin, math.floor(high / step) + 1)]
