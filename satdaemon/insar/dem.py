"""Ellipsoidal heights from a local GeoTIFF, for the area of one burst."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioIOError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window
from scipy.ndimage import distance_transform_edt

from satdaemon.errors import DataError

MAX_GAP_PX = 20
"""Gaps are filled from their edges; a cell farther than this from any known height does not count as known."""
MAX_UNKNOWN_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Bounds:
    """Longitudes and latitudes, degrees."""

    west: float
    south: float
    east: float
    north: float

    def __str__(self) -> str:
        return f"{self.west:.4f}..{self.east:.4f} E, {self.south:.4f}..{self.north:.4f} N"

    def contains(self, other: Bounds) -> bool:
        """True where `other` lies inside."""
        return self.west <= other.west and self.east >= other.east and self.south <= other.south and self.north >= other.north

    def clip(self, other: Bounds) -> Bounds:
        """The common part; empty (east < west or north < south) where there is none."""
        return Bounds(
            max(self.west, other.west), max(self.south, other.south), min(self.east, other.east), min(self.north, other.north)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Dem:
    """Heights on a regular grid of longitude and latitude; cell (0, 0) has its centre at (lon0, lat0)."""

    height_m: NDArray[np.float32]
    """(rows, cols) above the WGS84 ellipsoid, no gaps."""
    known: NDArray[np.bool_]
    """False where the height was made up from data farther than MAX_GAP_PX away."""
    lon0_deg: float
    lat0_deg: float
    lon_step_deg: float
    lat_step_deg: float
    """Negative: rows go south."""

    @property
    def bounds(self) -> Bounds:
        """From the centre of the first to the centre of the last cell: where interpolation works."""
        rows, cols = self.height_m.shape
        return Bounds(
            self.lon0_deg,
            self.lat0_deg + (rows - 1) * self.lat_step_deg,
            self.lon0_deg + (cols - 1) * self.lon_step_deg,
            self.lat0_deg,
        )


def read_dem(path: Path, wanted: Bounds) -> Dem:
    """Read the part of a DEM that lies in `wanted`; whether that is enough is the caller's to check (`bounds`).

    Any CRS; what is not geographic WGS84 is warped to it. Heights are taken as ellipsoidal, metres.

    Raises
    ------
    DataError
        Not a raster with a CRS, or nothing of it in `wanted`, or mostly gaps there.
    """
    try:
        with rasterio.open(path) as source:
            if source.crs is None:
                raise DataError(f"{path}: expected a DEM with a coordinate reference system, found none")
            if source.crs.to_epsg() in (4326, 4979) and source.transform.b == 0 and source.transform.d == 0:
                return _read(path, source, wanted)
            with WarpedVRT(source, crs="EPSG:4326", resampling=Resampling.bilinear) as warped:
                return _read(path, warped, wanted)
    except RasterioIOError as error:
        raise DataError(f"{path}: expected a DEM GeoTIFF with ellipsoidal heights: {error}") from error


def _read(path: Path, source: Any, wanted: Bounds) -> Dem:
    t = source.transform
    first_lon, first_lat = t.c + t.a / 2, t.f + t.e / 2
    col0 = max(0, int(np.floor((wanted.west - first_lon) / t.a)))
    col1 = min(source.width, int(np.ceil((wanted.east - first_lon) / t.a)) + 1)
    row0 = max(0, int(np.floor((wanted.north - first_lat) / t.e)))
    row1 = min(source.height, int(np.ceil((wanted.south - first_lat) / t.e)) + 1)
    if col1 - col0 < 2 or row1 - row0 < 2:
        has = Bounds(t.c, t.f + source.height * t.e, t.c + source.width * t.a, t.f)
        raise DataError(f"{path}: DEM must cover {wanted}, it covers {has}; give a larger DEM")
    masked = source.read(1, window=Window(col0, row0, col1 - col0, row1 - row0), masked=True)
    height = masked.filled(0).astype(np.float32)
    gap = np.ma.getmaskarray(masked) | ~np.isfinite(height)
    known = np.ones(height.shape, bool)
    if gap.any():
        height, known = _fill(height, gap)
        if known.mean() < 1 - MAX_UNKNOWN_SHARE:
            raise DataError(f"{path}: DEM has no heights for {1 - known.mean():.0%} of {wanted}; fill it first")
    return Dem(height, known, first_lon + col0 * t.a, first_lat + row0 * t.e, t.a, t.e)


def _fill(height: NDArray[np.float32], gap: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Nearest known height in every gap, and where that is near enough to count."""
    if gap.all():
        return height, ~gap
    distance, (row, col) = distance_transform_edt(gap, return_indices=True)
    return np.ascontiguousarray(height[row, col]), distance <= MAX_GAP_PX
