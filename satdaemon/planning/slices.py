"""Which bursts a slice shows, and when, by its footprint and times: as much as an archive tells before a product is there.

A slice is made of whole bursts, and its corners follow the stagger of the swaths: the middle of a burst that it has lies half
a burst (9 km) within, that of the next burst as far outside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from satdaemon.domain import Burst, Scene

LEAD_S = 0.45
"""The first line of a burst is so long before its middle passes; measured on real products, to half a second."""
_INCLINATION = math.radians(98.18)
Floats = NDArray[np.float64]
Corners = Sequence[tuple[float, float]]


class Middles:
    """The middles of bursts, for many slices."""

    def __init__(self, bursts: Sequence[Burst]) -> None:
        known = [burst for burst in bursts if len(burst.footprint) >= 3]
        self.ids = [burst.id for burst in known]
        self._lon_lat = np.array([_middle(burst.footprint) for burst in known]).reshape(-1, 2)

    def shown(self, scene: Scene, footprint: Corners) -> Mapping[str, datetime]:
        """Bursts of the slice with their starts, which are good to a second."""
        if len(footprint) < 3 or not self.ids:
            return {}
        lon0 = footprint[0][0]
        shape = shapely.MultiPoint(_near(np.array(footprint, dtype=float), lon0)).convex_hull
        points = _near(self._lon_lat, lon0)
        within = np.flatnonzero(shapely.contains_xy(shape, points[:, 0], points[:, 1]))
        if not len(within):
            return {}
        share = _along(shape, points[within], scene.orbit_direction)
        length_s = (scene.stop_utc - scene.start_utc).total_seconds()
        starts = np.clip(share * length_s - LEAD_S, 0.0, length_s)
        return {
            self.ids[k]: scene.start_utc + timedelta(seconds=float(start)) for k, start in zip(within, starts, strict=True)
        }


def _middle(footprint: Corners) -> tuple[float, float]:
    lon0 = footprint[0][0]
    point = shapely.Polygon(_near(np.array(footprint, dtype=float), lon0)).centroid
    return float(point.x), float(point.y)


def _near(lon_lat: Floats, lon0: float) -> Floats:
    """The same points with longitudes within 180 degrees of `lon0`."""
    return np.column_stack([lon0 + (lon_lat[:, 0] - lon0 + 180.0) % 360.0 - 180.0, lon_lat[:, 1]])


def _along(shape: Any, points: Floats, direction: str) -> Floats:
    """Where the points lie between the slice's first (0) and last (1) line."""
    lat = math.radians(shape.centroid.y)
    scale = np.array([math.cos(lat), 1.0])
    sine = max(-1.0, min(1.0, math.cos(_INCLINATION) / max(math.cos(lat), 1e-6)))
    north = math.sqrt(1.0 - sine * sine)
    heading = np.array([sine, north if direction == "A" else -north])
    flat = shapely.transform(shape, lambda xy: xy * scale)
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(flat))
    sides = np.diff(corners[:3], axis=0)
    sides = sides / np.linalg.norm(sides, axis=1)[:, None]
    # The side of the rectangle that the satellite flies along.
    side = sides[int(np.argmax(np.abs(sides @ heading)))]
    axis = side if side @ heading > 0 else -side
    ends = shapely.get_coordinates(flat) @ axis
    share: Floats = (points * scale @ axis - ends.min()) / (ends.max() - ends.min())
    return share
