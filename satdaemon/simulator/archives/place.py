"""Whether places meet, and well-known text, as the archives' catalogues understand them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from shapely import from_wkt
from shapely.errors import GEOSException
from shapely.geometry import Point, Polygon, box
from shapely.geometry.base import BaseGeometry

Corners = Sequence[tuple[float, float]]


def polygon(corners: Corners) -> BaseGeometry:
    """In degrees, unrolled across the 180th meridian: longitudes may pass 180."""
    lon0 = corners[0][0]
    return Polygon([(lon0 + (lon - lon0 + 180) % 360 - 180, lat) for lon, lat in corners])


def rectangle(west: float, south: float, east: float, north: float) -> BaseGeometry:
    """A box; where west > east it crosses the 180th meridian."""
    return box(west, south, east if east >= west else east + 360, north)


def point(lon: float, lat: float) -> BaseGeometry:
    """A point."""
    return Point(lon, lat)


def of_wkt(text: str) -> BaseGeometry:
    """Of well-known text; ValueError where it is none or not valid."""
    try:
        found = from_wkt(text)
    except GEOSException as error:
        raise ValueError(str(error)) from error
    if found is None or found.is_empty or not found.is_valid:
        raise ValueError(text)
    return found


def meets(area: BaseGeometry, corners: Corners) -> bool:
    """True where the area shows some of the footprint, on whichever turn of the globe."""
    if len(corners) < 3:
        return False
    shape = polygon(corners)
    west, _, east, _ = area.bounds
    shifts = (0.0, 360.0, -360.0)
    return any(area.intersects(_shifted(shape, shift)) for shift in shifts if _overlap(shape, shift, west, east))


def is_counter_clockwise(corners: Corners) -> bool:
    """True for a ring that CMR takes as the polygon, and not as the rest of the globe."""
    ring = polygon(corners).exterior.coords
    return bool(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise(ring)) > 0)


def _overlap(shape: BaseGeometry, shift: float, west: float, east: float) -> bool:
    low, _, high, _ = shape.bounds
    return bool(low + shift <= east and high + shift >= west)


def _shifted(shape: BaseGeometry, shift: float) -> BaseGeometry:
    return Polygon([(lon + shift, lat) for lon, lat in shape.exterior.coords]) if shift else shape
