"""Where: boxes, polygons and distances in longitude and latitude."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from satdaemon.db.regions import checked, read_region
from satdaemon.errors import RequestError

EARTH_M = 6_371_000.0
Box = tuple[float, float, float, float]
"""West, south, east, north, degrees."""


def boxes_of(west: float, south: float, east: float, north: float) -> list[Box]:
    """A box as one or two that do not cross the 180th meridian. One whose west is east of its east crosses it."""
    numbers = (west, south, east, north)
    crossing = west > east and east + 360 - west <= 180
    fits = all(math.isfinite(v) for v in numbers) and max(abs(west), abs(east)) <= 540 and max(abs(south), abs(north)) <= 90
    if not fits or south > north or (west > east and not crossing):
        got = ", ".join(map(str, numbers))
        raise RequestError(f"box: expected degrees with west <= east (but across 180) and south <= north, got {got}")
    if east - west >= 360:
        return [(-180.0, south, 180.0, north)]
    if west > east:
        east += 360
    turns = math.floor((west + 180) / 360) * 360
    west, east = west - turns, east - turns
    if east <= 180:
        return [(west, south, east, north)]
    return [(west, south, 180.0, north), (-180.0, south, east - 360, north)]


def region_of(place: Any) -> Any:
    """A polygon as shapely has it, from a shape, WKT, GeoJSON (text or mapping) or a vector file; RequestError else."""
    if isinstance(place, shapely.Geometry):
        return checked(place, "polygon")
    if isinstance(place, Mapping):
        place = _json_of(place)
    if isinstance(place, str) and place.lstrip().startswith("{"):
        try:
            return checked(shapely.from_geojson(place), "polygon")
        except shapely.errors.GEOSException as error:
            raise RequestError(f"polygon: expected GeoJSON, got {place[:80]!r}: {error}") from error
    if not isinstance(place, str | Path):
        raise RequestError(f"polygon: expected a shape, WKT, GeoJSON or a file, got {type(place).__name__}")
    return read_region(place)


def within(region: Any, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points lie in a region or on its border. `region` is prepared (shapely.prepare) by the caller."""
    inside: NDArray[np.bool_] = shapely.intersects_xy(region, lon, lat)
    return inside


def distance_m(lon: float, lat: float, lons: NDArray[np.float64], lats: NDArray[np.float64]) -> NDArray[np.float64]:
    """Great-circle distance of points from a place, m (haversine: R. W. Sinnott, Sky and Telescope 68, 1984)."""
    up, across = np.radians(lats - lat) / 2, np.radians(lons - lon) / 2
    square = np.sin(up) ** 2 + math.cos(math.radians(lat)) * np.cos(np.radians(lats)) * np.sin(across) ** 2
    metres: NDArray[np.float64] = 2 * EARTH_M * np.arcsin(np.sqrt(np.clip(square, 0, 1)))
    return metres


def box_around(lon: float, lat: float, half_deg: float) -> list[Box]:
    """Boxes that hold every place within `half_deg` of a great circle around one."""
    south, north = lat - half_deg, lat + half_deg
    if south <= -90 or north >= 90:
        return [(-180.0, max(south, -90.0), 180.0, min(north, 90.0))]
    # The meridians that a circle touches: sin(wide) = sin(half) / cos(lat).
    wide = math.degrees(math.asin(min(1.0, math.sin(math.radians(half_deg)) / math.cos(math.radians(lat)))))
    return boxes_of(lon - wide, south, lon + wide, north)


def _json_of(mapping: Mapping[str, Any]) -> str:
    import json

    return json.dumps(mapping)
