"""Outlines of bursts and frames in longitude and latitude, also across the 180th meridian."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import shapely
from shapely.affinity import translate

_EAST, _BEYOND = shapely.box(-180, -90, 180, 90), shapely.box(180, -90, 540, 90)
CLOSING_DEG = 0.005
"""Slits between bursts of a swath are narrower than this: footprints are rounded, neighbours overlap by 0.01 degrees and more."""


def unrolled(shape: Any) -> Any:
    """A polygon whose corners jump across the 180th meridian, with its western corners beyond 180 instead."""
    west, _, east, _ = shape.bounds
    if east - west <= 180:
        return shape
    return shapely.transform(shape, lambda points: [(x + 360 if x < 0 else x, y) for x, y in points])


def rolled(shape: Any) -> Any:
    """A shape that reaches beyond 180 degrees, cut there and its parts put where they belong."""
    if shape.bounds[2] <= 180:
        return shape
    return shapely.union_all([shape.intersection(_EAST), translate(shape.intersection(_BEYOND), -360)])


def union(shapes: Iterable[Any]) -> Any:
    """The union of burst footprints, unrolled: beyond 180 degrees where they cross the meridian."""
    parts = [unrolled(shape) for shape in shapes]
    if any(part.bounds[2] > 180 for part in parts):
        parts = [translate(part, 360) if part.bounds[2] < 0 else part for part in parts]
    whole = shapely.union_all([part if part.is_valid else shapely.make_valid(part) for part in parts])
    return whole.buffer(CLOSING_DEG, join_style="mitre").buffer(-CLOSING_DEG, join_style="mitre")


def outline(shapes: Iterable[Any]) -> shapely.MultiPolygon | None:
    """What `frames.geometry` holds: the union as a multipolygon within -180..180; None where no footprint is known."""
    known = [shape for shape in shapes if shape is not None and not shape.is_empty]
    if not known:
        return None
    whole = rolled(union(known))
    parts = [part for part in shapely.get_parts(whole) if isinstance(part, shapely.Polygon)]
    return shapely.MultiPolygon(parts)
