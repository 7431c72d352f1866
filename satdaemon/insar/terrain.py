"""Height, longitude, latitude and incidence angle of every pixel of a burst: the DEM met by range and Doppler."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from satdaemon.errors import DataError
from satdaemon.insar.dem import Bounds, Dem, read_dem
from satdaemon.insar.geometry import Track
from satdaemon.insar.grid import GridBurst, Window
from satdaemon.insar.kernel import kernel
from satdaemon.insar.lattice import Lattice, between, ground_lattice, interpolate_row
from satdaemon.insar.threads import in_threads

LOWEST_M, HIGHEST_M = -500.0, 9000.0
HEIGHT_TOLERANCE_M = 0.01
"""Far below what phase can feel: 0.01 m is 0.0004 rad at a perpendicular baseline of 150 m."""


@dataclass(frozen=True, slots=True, eq=False)
class Terrain:
    """What is needed to find the ground in a window of the frame grid."""

    lattice: Lattice
    """Longitude, latitude, incidence angle (degrees)."""
    dem: Dem


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """(rows, cols) arrays over a window."""

    height_m: NDArray[np.float32]
    lon_deg: NDArray[np.float64]
    lat_deg: NDArray[np.float64]
    incidence_deg: NDArray[np.float32]
    known: NDArray[np.uint8]
    """1 where the DEM knows the height."""


def prepare_terrain(burst: GridBurst, track: Track, window: Window, dem_path: Path) -> Terrain:
    """Geometry lattice and DEM for a window of a master burst.

    Raises
    ------
    DataError
        The DEM does not cover the window.
    """
    wide = _bounds(ground_lattice(burst, track, window, (LOWEST_M, HIGHEST_M)))
    dem = read_dem(dem_path, wide)
    lattice = ground_lattice(burst, track, window, (float(dem.height_m.min()), float(dem.height_m.max())))
    needed = _bounds(lattice)
    if not dem.bounds.contains(needed):
        raise DataError(
            f"{dem_path}: DEM must cover {needed} for burst {burst.meta.id}, it covers {dem.bounds} there; give a larger DEM"
        )
    return Terrain(lattice, dem)


def find_ground(terrain: Terrain, window: Window, cores: int = 1) -> Ground:
    """Solve for the ground point of every pixel of `window`.

    On the circle of one pixel's range in its zero-Doppler plane, the point where the DEM's height equals the
    circle's. It always exists between the lowest and highest DEM height; in layover it is one of several.
    """
    shape = (window.rows, window.cols)
    out = Ground(
        np.empty(shape, np.float32), np.empty(shape), np.empty(shape), np.empty(shape, np.float32), np.empty(shape, np.uint8)
    )
    lattice, dem = terrain.lattice, terrain.dem

    def work(first: int, end: int) -> None:
        _find_ground(
            lattice.terms,
            (window.row + first - lattice.row0) / lattice.row_step,
            1.0 / lattice.row_step,
            (window.col - lattice.col0) / lattice.col_step,
            1.0 / lattice.col_step,
            lattice.mid_m,
            lattice.half_m,
            dem.height_m,
            dem.known,
            dem.lon0_deg,
            dem.lat0_deg,
            1.0 / dem.lon_step_deg,
            1.0 / dem.lat_step_deg,
            out.height_m[first:end],
            out.lon_deg[first:end],
            out.lat_deg[first:end],
            out.incidence_deg[first:end],
            out.known[first:end],
        )

    in_threads(work, window.rows, cores)
    return replace(out, lon_deg=(out.lon_deg + 180.0) % 360.0 - 180.0)


def _bounds(lattice: Lattice) -> Bounds:
    """Of the nodes at the lowest and highest height."""
    t = lattice.terms[:2]
    ends = np.concatenate([t[:, 0] - t[:, 1] + t[:, 2], t[:, 0] + t[:, 1] + t[:, 2]], axis=1)
    low, high = ends.min(axis=(1, 2)), ends.max(axis=(1, 2))
    return Bounds(float(low[0]), float(low[1]), float(high[0]), float(high[1]))


@kernel()
def _dem_height(height: NDArray[np.float32], x: float, y: float) -> float:
    """Bilinear; beyond the edge the edge's height."""
    x = min(max(x, 0.0), height.shape[1] - 1.000001)
    y = min(max(y, 0.0), height.shape[0] - 1.000001)
    j, i = int(x), int(y)
    f, g = x - j, y - i
    top = height[i, j] + f * (height[i, j + 1] - height[i, j])
    bottom = height[i + 1, j] + f * (height[i + 1, j + 1] - height[i + 1, j])
    return float(top + g * (bottom - top))


@kernel()
def _misfit(
    nodes: NDArray[np.float64],
    n: int,
    f: float,
    h: float,
    mid: float,
    half: float,
    height: NDArray[np.float32],
    lon0: float,
    lat0: float,
    per_lon: float,
    per_lat: float,
) -> float:
    """DEM height under the pixel's point at height h, minus h."""
    x = (h - mid) / half
    lon = between(nodes, 0, n, f, x)
    lat = between(nodes, 1, n, f, x)
    return _dem_height(height, (lon - lon0) * per_lon, (lat - lat0) * per_lat) - h


@kernel()
def _find_ground(
    terms: NDArray[np.float64],
    node_row: float,
    node_row_step: float,
    node_col: float,
    node_col_step: float,
    mid: float,
    half: float,
    height: NDArray[np.float32],
    known: NDArray[np.bool_],
    lon0: float,
    lat0: float,
    per_lon: float,
    per_lat: float,
    out_height: NDArray[np.float32],
    out_lon: NDArray[np.float64],
    out_lat: NDArray[np.float64],
    out_incidence: NDArray[np.float32],
    out_known: NDArray[np.uint8],
) -> None:
    nodes = np.empty((terms.shape[0], 3, terms.shape[3]))
    last = terms.shape[3] - 2
    for i in range(out_height.shape[0]):
        interpolate_row(terms, node_row + i * node_row_step, nodes)
        h = mid
        for j in range(out_height.shape[1]):
            place = node_col + j * node_col_step
            n = min(max(int(place), 0), last)
            f = place - n
            low, high = mid - half, mid + half
            # secant steps from the neighbour's height; they converge wherever there is no layover
            h0, g0 = h, _misfit(nodes, n, f, h, mid, half, height, lon0, lat0, per_lon, per_lat)
            h1 = min(max(h0 + g0, low), high)
            solved = abs(g0) < HEIGHT_TOLERANCE_M
            for _ in range(8):
                if solved:
                    break
                g1 = _misfit(nodes, n, f, h1, mid, half, height, lon0, lat0, per_lon, per_lat)
                solved = abs(g1) < HEIGHT_TOLERANCE_M
                step = 0.0 if g1 == g0 else -g1 * (h1 - h0) / (g1 - g0)
                h0, g0 = h1, g1
                if not solved:
                    h1 = min(max(h1 + step, low), high)
            if not solved:
                # the misfit is >= 0 at the lowest and <= 0 at the highest DEM height: halve
                for _ in range(60):
                    h0 = 0.5 * (low + high)
                    if high - low < HEIGHT_TOLERANCE_M:
                        break
                    if _misfit(nodes, n, f, h0, mid, half, height, lon0, lat0, per_lon, per_lat) >= 0.0:
                        low = h0
                    else:
                        high = h0
            h = h0
            x = (h - mid) / half
            lon, lat = between(nodes, 0, n, f, x), between(nodes, 1, n, f, x)
            out_height[i, j], out_lon[i, j], out_lat[i, j] = h, lon, lat
            out_incidence[i, j] = between(nodes, 2, n, f, x)
            row = min(max(math.floor((lat - lat0) * per_lat + 0.5), 0), known.shape[0] - 1)
            col = min(max(math.floor((lon - lon0) * per_lon + 0.5), 0), known.shape[1] - 1)
            out_known[i, j] = 1 if known[row, col] else 0
