"""The heights of a frame, above the ellipsoid: a file as it is, or cut out, converted and kept once a frame."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from satdaemon.archive.dem_tiles import NAME as GLO_30
from satdaemon.archive.dem_tiles import default_geoid, stitched
from satdaemon.archive.transfer import locked_part, publish, writing
from satdaemon.domain import StageInput
from satdaemon.errors import ConfigError, DataError
from satdaemon.insar.dem import Bounds, read_dem
from satdaemon.insar.geoid import GRIDS, geoid_m, installed_grid

BUFFER_M = 25_000.0
"""Around the footprints of the bursts: terrain 9,000 m high is seen so far from where the ellipsoid would be."""
CELL_DEG = 1 / 3600
_DEGREE_M = 111_000.0


@dataclass(frozen=True, slots=True)
class Heights:
    """A DEM with ellipsoidal heights, ready for use."""

    path: Path
    told: dict[str, Any]
    """For the product's metadata."""
    warnings: tuple[str, ...] = ()


def frame_dem(job: StageInput) -> Heights:
    """The DEM that the settings name. Made and kept below `data_path`/dem where it is not a file with ellipsoidal heights.

    Settings used: `dem_source`, `dem_heights`; places: `dem`, `geoid`, `data`.

    Raises
    ------
    ConfigError
        No grid of the geoid, or a package that is not installed.
    DataError
        No DEM; or it, or the geoid, does not cover the frame.
    ArchiveError, TransientError
        The tiles do not come, or the disk is full.
    """
    source = str(job.settings.get("dem_source", "file"))
    above = str(job.settings.get("dem_heights", "ellipsoid"))
    if source == "file" and "dem" not in job.paths:
        raise DataError("expected the path of a DEM (paths: dem), got none; set [PARAMETERS] dem, or dem_source = glo_30")
    if source == "file" and above == "ellipsoid":
        return Heights(job.paths["dem"], {"source": job.paths["dem"].name, "heights": above})
    if "data" not in job.paths:
        raise ConfigError("satsar: expected the place 'data' (data_path in satdaemon.cfg), got none")
    bounds, grid = _extent(job), _grid(job, source, above)
    told = {"source": job.paths["dem"].name if source == "file" else source, "heights": above, "geoid": Path(str(grid)).name}
    target = job.paths["data"] / "dem" / f"{job.frame.id}_{_key(job, source, above, grid, bounds)}.tif"
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with locked_part(target) as part:
        try:
            if target.exists():
                part.unlink()
            else:
                _make(part, job, source, grid, bounds)
                publish(part, target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    void = _void(target)
    warnings: tuple[str, ...] = ()
    if void > 0.001:
        what = f"has no tile of {GLO_30} and counts as sea" if source == GLO_30 else "has no height in the DEM"
        warnings = (f"DEM: {void:.1%} of the frame's extent {what}",)
    return Heights(target, {**told, "file": target.name, "void": round(void, 4)}, warnings)


def _extent(job: StageInput) -> Bounds:
    """Around all bursts; longitudes may pass 180."""
    corners = np.array([corner for burst in job.frame.bursts for corner in burst.footprint], dtype=np.float64)
    if not len(corners):
        raise DataError(f"{job.frame.id}: expected bursts with footprints, got none; load the burst map")
    lon = corners[0, 0] + (corners[:, 0] - corners[0, 0] + 180) % 360 - 180
    south, north = corners[:, 1].min(), corners[:, 1].max()
    up = BUFFER_M / _DEGREE_M
    aside = up / max(math.cos(math.radians(max(abs(south), abs(north)))), 0.05)
    wanted = (lon.min() - aside, max(south - up, -89.9), lon.max() + aside, min(north + up, 89.9))
    return Bounds(*(math.floor(v * 3600) / 3600 if k < 2 else math.ceil(v * 3600) / 3600 for k, v in enumerate(wanted)))


def _grid(job: StageInput, source: str, above: str) -> str | Path | None:
    if above == "ellipsoid":
        return None
    if "geoid" in job.paths:
        return job.paths["geoid"]
    found = installed_grid(above)
    if found is not None:
        return found
    if source == GLO_30:
        return default_geoid()
    names = " or ".join(GRIDS[above])
    raise ConfigError(f"[PARAMETERS] geoid: expected a grid of {above} for dem_heights, got none; set it, or give PROJ {names}")


def _key(job: StageInput, source: str, above: str, grid: str | Path | None, bounds: Bounds) -> str:
    """Of extent and sources."""
    files = [grid] if source == GLO_30 else [grid, job.paths["dem"]]
    seen = [[str(path), *_seen(path)] for path in files if path is not None]
    text = json.dumps([source, above, str(bounds), BUFFER_M, seen])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _seen(path: str | Path) -> list[int]:
    try:
        about = Path(path).stat()
    except OSError:
        return []
    return [about.st_size, about.st_mtime_ns]


def _make(part: Path, job: StageInput, source: str, grid: str | Path | None, bounds: Bounds) -> None:
    heights, known, transform = _from_tiles(bounds) if source == GLO_30 else _from_file(job.paths["dem"], bounds)
    if grid is not None:
        rows, cols = heights.shape
        lon = transform.c + (np.arange(cols) + 0.5) * transform.a
        lat = transform.f + (np.arange(rows) + 0.5) * transform.e
        heights = heights + geoid_m(grid, lon, lat)
    void = float(1 - known.mean())
    if source != GLO_30:
        heights = np.where(known, heights, np.float32(np.nan))
    about: dict[str, Any] = {
        "driver": "GTiff", "width": heights.shape[1], "height": heights.shape[0], "count": 1, "dtype": "float32",
        "crs": "EPSG:4326", "transform": transform, "nodata": float("nan"), "compress": "deflate", "predictor": 3, "tiled": True,
    }  # fmt: skip
    with writing(part), rasterio.open(part, "w", **about) as target:
        target.write(heights.astype(np.float32), 1)
        target.update_tags(void=f"{void:.6f}", AREA_OR_POINT="Area")


def _from_file(path: Path, bounds: Bounds) -> tuple[NDArray[np.float32], NDArray[np.bool_], Affine]:
    dem = read_dem(path, bounds)
    transform = Affine(
        dem.lon_step_deg, 0, dem.lon0_deg - dem.lon_step_deg / 2, 0, dem.lat_step_deg, dem.lat0_deg - dem.lat_step_deg / 2
    )
    return dem.height_m, dem.known, transform


def _from_tiles(bounds: Bounds) -> tuple[NDArray[np.float32], NDArray[np.bool_], Affine]:
    """Where there is no tile there is sea, whose height above the geoid is 0."""
    heights, transform = stitched(bounds.west, bounds.south, bounds.east, bounds.north)
    if heights is None:
        corner = Affine(CELL_DEG, 0, bounds.west, 0, -CELL_DEG, bounds.north)
        shape = (round((bounds.north - bounds.south) / CELL_DEG), round((bounds.east - bounds.west) / CELL_DEG))
        return np.zeros(shape, np.float32), np.zeros(shape, bool), corner
    heights, transform = _padded(heights, transform, bounds)
    known = np.isfinite(heights)
    return np.where(known, heights, 0).astype(np.float32), known, transform


def _padded(heights: Any, t: Affine, bounds: Bounds) -> tuple[NDArray[np.float32], Affine]:
    """To the whole extent: what is stitched ends with its tiles."""
    rows, cols = heights.shape
    across = (t.c - bounds.west) / t.a, (bounds.east - t.c) / t.a - cols
    down = (t.f - bounds.north) / t.e, (bounds.south - t.f) / t.e - rows
    # Half a cell at the outermost edge is no sea.
    north, south, west, east = (max(math.ceil(lacking - 0.5), 0) for lacking in (*down, *across))
    padded = np.pad(heights, ((north, south), (west, east)), constant_values=np.nan)
    return padded, Affine(t.a, 0, t.c - west * t.a, 0, t.e, t.f - north * t.e)


def _void(path: Path) -> float:
    with rasterio.open(path) as source:
        return float(source.tags().get("void", 0.0))
