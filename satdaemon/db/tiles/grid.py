"""The grid of tiles: z, x, y to degrees and to metres of Web Mercator (EPSG:3857)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from satdaemon.errors import RequestError

MOST_ZOOM = 20
EXTENT = 4096
MARGIN = 64 / EXTENT
"""Share of a tile by which shapes reach beyond it, so that their edges do not show."""
HALF_M = math.pi * 6378137.0
"""Half the width of the map, metres."""
MOST_LAT = math.degrees(2 * math.atan(math.exp(math.pi)) - math.pi / 2)


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile. RequestError where there is none of the numbers."""

    z: int
    x: int
    y: int

    def __post_init__(self) -> None:
        if not (0 <= self.z <= MOST_ZOOM and 0 <= self.x < 2**self.z and 0 <= self.y < 2**self.z):
            raise RequestError(f"tile: expected z of 0 to {MOST_ZOOM} and x, y below 2^z, got {self.z}/{self.x}/{self.y}")

    @property
    def metres(self) -> tuple[float, float, float, float]:
        """West, south, east, north in Web Mercator."""
        size = 2 * HALF_M / 2**self.z
        west, north = -HALF_M + self.x * size, HALF_M - self.y * size
        return west, north - size, west + size, north

    @property
    def box(self) -> Any:
        """The tile with its margin, as a polygon in degrees."""
        west, south, east, north = self.metres
        room = (east - west) * MARGIN
        x = np.clip(np.array([west - room, east + room]), -HALF_M, HALF_M)
        y = np.clip(np.array([south - room, north + room]), -HALF_M, HALF_M)
        lon, lat = x / HALF_M * 180.0, np.degrees(2 * np.arctan(np.exp(y / HALF_M * math.pi)) - math.pi / 2)
        return shapely.box(lon[0], lat[0], lon[1], lat[1])


def to_metres(lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 2) degrees to Web Mercator."""
    lat = np.radians(np.clip(lonlat[:, 1], -MOST_LAT, MOST_LAT))
    return np.column_stack([lonlat[:, 0] / 180.0 * HALF_M, np.log(np.tan(math.pi / 4 + lat / 2)) / math.pi * HALF_M])


def encoded(tile: Tile, layer: str, shapes: list[Any], properties: list[dict[str, Any]]) -> bytes:
    """A tile of one layer of shapes in degrees."""
    import mapbox_vector_tile

    west, south, east, north = tile.metres
    room = (east - west) * MARGIN
    clip = shapely.box(west - room, south - room, east + room, north + room)
    drawn = shapely.intersection(shapely.transform(np.array(shapes, dtype=object), to_metres), clip) if shapes else []
    drawn = shapely.transform(drawn, lambda xy: np.round((xy - [west, south]) / (east - west) * EXTENT)) if shapes else []
    features = [
        {"geometry": shape, "properties": values}
        for shape, values in zip(drawn, properties, strict=True)
        if not shape.is_empty and shape.geom_type in ("Polygon", "MultiPolygon", "Point")
    ]
    made = mapbox_vector_tile.encode(
        [{"name": layer, "features": features}],
        default_options={"extents": EXTENT, "y_coord_down": False},
    )
    assert isinstance(made, bytes)
    return made
