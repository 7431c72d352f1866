"""Heights of a geoid above the WGS84 ellipsoid, from a grid in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window
from scipy.ndimage import map_coordinates

from satdaemon.errors import ArchiveError, ConfigError, DataError

GRIDS = {"EGM96": ("us_nga_egm96_15.tif", "egm96_15.gtx"), "EGM2008": ("us_nga_egm08_25.tif", "egm08_25.gtx")}
"""PROJ's names of the grids."""
HIGHEST_M = 120.0
"""Geoids lie within -107 and 86 m of the ellipsoid."""
_MARGIN = 4
"""Cells beyond the places asked for, so that splines end outside."""


def installed_grid(heights: str) -> Path | None:
    """PROJ's grid of a geoid, where it is installed."""
    from pyproj import datadir

    told = (*datadir.get_data_dir().split(";"), datadir.get_user_data_dir())  # type: ignore[attr-defined]
    places = [Path(part) for part in told if part]
    return next((path for place in places for name in GRIDS[heights] if (path := place / name).is_file()), None)


def geoid_m(grid: str | Path, lon_deg: NDArray[np.float64], lat_deg: NDArray[np.float64]) -> NDArray[np.float32]:
    """Heights (lat, lon) of the geoid at the places of a regular lattice, by cubic splines, metres above the ellipsoid.

    Raises DataError where the grid does not cover them, or holds no such heights; ConfigError where it is no grid,
    ArchiveError where its address does not answer.
    """
    try:
        with rasterio.open(grid) as source:
            t = source.transform
            if (source.crs is not None and not source.crs.is_geographic) or t.b or t.d:
                raise ConfigError(f"geoid {grid}: expected a grid of longitude and latitude, got another")
            row = (lat_deg - (t.f + t.e / 2)) / t.e
            col = _columns(lon_deg, t.c + t.a / 2, t.a, source.width)
            values, row0, col0 = _window(source, row, col)
    except RasterioError as error:
        kind = ArchiveError if str(grid).startswith("http") else ConfigError
        raise kind(f"geoid {grid}: expected a grid that GDAL reads, got: {error}") from error
    if values is None or not np.isfinite(values).all() or np.abs(values).max() > HIGHEST_M:
        where = f"{lon_deg.min():.2f}..{lon_deg.max():.2f} E, {lat_deg.min():.2f}..{lat_deg.max():.2f} N"
        got = "a grid that does not cover them" if values is None else "other values"
        raise DataError(f"geoid {grid}: expected heights within {HIGHEST_M:g} m of the ellipsoid at {where}, got {got}")
    at = np.meshgrid(row - row0, col - col0, indexing="ij")
    found: NDArray[np.float32] = map_coordinates(values, at, order=3, mode="nearest").astype(np.float32)
    return found


def _columns(lon_deg: NDArray[np.float64], first_deg: float, step_deg: float, width: int) -> NDArray[np.float64]:
    """Column of each longitude, on whichever turn of the globe the grid has it; they stay in order."""
    turn = 360.0 / step_deg
    col = (lon_deg - first_deg) / step_deg
    return np.asarray(col - np.floor((col.mean() - width / 2) / turn + 0.5) * turn)


def _window(source: Any, row: NDArray[np.float64], col: NDArray[np.float64]) -> tuple[NDArray[np.float64] | None, int, int]:
    """Values around the places, and the grid's row and column of the first; None where the grid does not reach them.

    Around the globe the columns go on at the other end.
    """
    height, width = source.height, source.width
    is_round = abs(width * source.transform.a - 360.0) < 1.5 * source.transform.a
    period = round(360.0 / source.transform.a)
    row0, row1 = int(np.floor(row.min())), int(np.ceil(row.max()))
    col0, col1 = int(np.floor(col.min())) - _MARGIN, int(np.ceil(col.max())) + _MARGIN
    if row0 < -1 or row1 > height:
        return None, 0, 0
    row0, row1 = max(row0 - _MARGIN, 0), min(row1 + _MARGIN, height - 1)
    if not is_round:
        if col.min() < -0.5 or col.max() > width - 0.5:
            return None, 0, 0
        col0, col1 = max(col0, 0), min(col1, width - 1)
    wanted = np.arange(col0, col1 + 1) % period if is_round else np.arange(col0, col1 + 1)
    wanted = np.minimum(wanted, width - 1)
    breaks = np.flatnonzero(np.diff(wanted) != 1) + 1
    parts = [_read(source, row0, row1, part) for part in np.split(wanted, breaks)]
    return np.concatenate(parts, axis=1), row0, col0


def _read(source: Any, row0: int, row1: int, columns: NDArray[np.int64]) -> NDArray[np.float64]:
    window = Window(int(columns[0]), row0, len(columns), row1 - row0 + 1)
    return np.asarray(source.read(1, window=window, masked=True).astype(np.float64).filled(np.nan))
