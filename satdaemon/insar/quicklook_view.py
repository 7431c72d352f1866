"""How a frame in radar geometry is shown: pixels square on the ground, about north up."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satdaemon.errors import DataError
from satdaemon.insar.grid import FILE_NAME as GRID_FILE
from satdaemon.insar.rasters import open_radar, read_window
from satdaemon.insar.spacing import ground_spacing_m
from satdaemon.insar.swath import SPEED_OF_LIGHT_M_S

MOST_PX = 800
"""Longest side of a picture."""
MOST_LONG = 4
"""A picture of a narrower frame is stretched across, as nothing would be seen on it."""
STRIP_ROWS = 16
"""Rows in the middle of the frame of which the geometry is read."""
SENTINEL1_HZ = 5.405000454334350e9
"""Radar frequency of Sentinel-1, as annotated."""


@dataclass(frozen=True, slots=True)
class View:
    """How rows and columns of the frame grid become those of a picture."""

    spacing_m: tuple[float, float] | None = None
    """On the ground, between rows and between columns; None where not known: pixels are taken as square."""
    flip_rows: bool = False
    """The first row is the southernmost."""
    flip_cols: bool = False
    """The first column is the easternmost."""
    wavelength_m: float = SPEED_OF_LIGHT_M_S / SENTINEL1_HZ

    def size(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the picture of a raster: square pixels, but for a frame longer than `MOST_LONG` times its width."""
        down, across = self.spacing_m or (1.0, 1.0)
        high, wide = shape[0] * down, shape[1] * across
        side = max(high / MOST_PX, wide / MOST_PX, min(down, across))
        rows, cols = max(1, round(high / side)), max(1, round(wide / side))
        least = max(rows, cols) // MOST_LONG
        return max(rows, min(least, shape[0])), max(cols, min(least, shape[1]))

    def pixel_m(self, shape: tuple[int, int], size: tuple[int, int]) -> tuple[float, float] | None:
        """Height and width of a picture's pixel on the ground, metres."""
        if self.spacing_m is None:
            return None
        return shape[0] * self.spacing_m[0] / size[0], shape[1] * self.spacing_m[1] / size[1]

    def turned(self, values: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
        """Cells as a picture of `size`: repeated where there are fewer, then turned north up."""
        for axis, cells in enumerate(size):
            place = (np.arange(cells) * values.shape[axis]) // cells
            values = np.take(values, place, axis=axis)
        if self.flip_rows:
            values = values[::-1]
        return values[:, ::-1] if self.flip_cols else values


def view_of(geometry: Path | None, shape: tuple[int, int]) -> View:
    """The view of a raster of `shape` by the geometry of its frame (`lon.tif`, `lat.tif`, `grid.json`).

    Where there is no such geometry, or one of another shape, pixels are taken as square and stay as they are. Raises
    DataError where the geometry is there and cannot be used.
    """
    paths = None if geometry is None else [geometry / "lon.tif", geometry / "lat.tif"]
    if geometry is None or paths is None or not all(path.exists() for path in paths):
        return View()
    with open_radar(paths[0]) as lon_file, open_radar(paths[1]) as lat_file:
        if lon_file.shape != shape or lat_file.shape != shape:
            return View()
        first = max(0, shape[0] // 2 - STRIP_ROWS // 2)
        rows = min(STRIP_ROWS, shape[0] - first)
        lon, lat = (read_window(file, first, 0, rows, shape[1]) for file in (lon_file, lat_file))
    spacing = ground_spacing_m(lon, lat)
    east = np.nanmedian((np.diff(lon, axis=1) + 180) % 360 - 180)
    return View(spacing, bool(np.nanmedian(np.diff(lat, axis=0)) > 0), bool(east < 0), _wavelength_m(geometry))


def _wavelength_m(geometry: Path) -> float:
    path = geometry / GRID_FILE
    if not path.exists():
        return View().wavelength_m
    try:
        return float(json.loads(path.read_text())["wavelength_m"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: expected wavelength_m, got {error!r}; run the master's satsar stage again") from error
