"""The DEM, the frame's definition and the rasters of the truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from satdaemon.simulator.geometry import locate, to_geodetic
from satdaemon.simulator.ground import Ground
from satdaemon.simulator.instrument import LINE_INTERVAL_S, RANGE_SAMPLING_HZ, SPEED_OF_LIGHT_M_S, SWATHS
from satdaemon.simulator.options import SimulationOptions
from satdaemon.simulator.orbit import FloatArray
from satdaemon.simulator.render import scene_grid, valid_samples
from satdaemon.simulator.scenario import TRACK, near_range_time_s, nominal_start_s, reference_orbit

FRAME_ID = "132A_DEMO_SIM"
DEM_SPACING_DEG = (1.5 / 3600, 1.0 / 3600)
"""(lon, lat): about 28 x 31 m, the grid of the Copernicus DEM at this latitude."""
_DEM_MARGIN_DEG = 0.08
_TRUTH_SPACING_DEG = (3.0 / 3600, 2.0 / 3600)


def frame_definition(options: SimulationOptions) -> dict[str, Any]:
    """Id, track and bursts of the frame; each burst has the fields of `satdaemon.domain.Burst`."""
    bursts = []
    for swath, place in scene_grid(options):
        start = nominal_start_s(options)[swath][place]
        anx = round(10 * start)
        bursts.append({
            "id": f"{TRACK}_{anx}_{swath}", "track": TRACK, "orbit_direction": "A", "anx": anx, "swath": swath,
            "esa_id": options.first_burst + place,
            "footprint": [[round(x, 6), round(y, 6)] for x, y in burst_footprint(options, swath, place)],
        })  # fmt: skip
    return {"id": FRAME_ID, "track": TRACK, "orbit_direction": "A", "bursts": bursts}


def burst_footprint(options: SimulationOptions, swath: str, place: int) -> list[tuple[float, float]]:
    """Corners (lon, lat) of a burst's valid part: early near, early far, late far, late near."""
    top, bottom, left, right = valid_samples(SWATHS[swath], place, options.samples)
    time = nominal_start_s(options)[swath][place] + np.array([top, top, bottom, bottom]) * LINE_INTERVAL_S
    two_way = near_range_time_s(options, swath) + np.array([left, right, right, left]) / RANGE_SAMPLING_HZ
    point = locate(reference_orbit(), time, two_way * SPEED_OF_LIGHT_M_S / 2, np.full(4, 160.0))
    lon, lat, _ = to_geodetic(point)
    return [(float(x), float(y)) for x, y in zip(np.degrees(lon), np.degrees(lat), strict=True)]


def write_frame(path: Path, options: SimulationOptions) -> None:
    """frame.json."""
    path.write_text(json.dumps(frame_definition(options), indent=1) + "\n")


def write_dem(path: Path, ground: Ground) -> None:
    """Ellipsoidal heights (float32, m, EPSG:4326) sampled at pixel centres from the same relief as the images."""
    lon, lat, transform = _lattice(ground, _DEM_MARGIN_DEG, DEM_SPACING_DEG)
    # 1/128 m steps compress well and are far below any effect on phase.
    height = np.stack([np.round(ground.height_m(lon, np.full(lon.shape, y)) * 128) / 128 for y in lat])
    _write(path, height.astype(np.float32), transform, None, predictor=3, description="ellipsoidal height, m (WGS84)")


def write_rasters(folder: Path, ground: Ground) -> list[str]:
    """GeoTIFFs (EPSG:4326) of motion, atmosphere and classes for people to look at; returns their names."""
    lon, lat, transform = _lattice(ground, 0.005, _TRUTH_SPACING_DEG)
    grid_lon, grid_lat = np.meshgrid(lon, lat)
    x, y = ground.local(grid_lon, grid_lat)
    scale = float(ground.options.motion)
    layers: dict[str, np.ndarray] = {
        "cover": ground.cover(grid_lon, grid_lat),
        "bowl_rate": (scale * ground.motion.bowl(x, y)).astype(np.float32),
        "fault_step": (scale * ground.motion.fault(x, y)).astype(np.float32),
        "seasonal_amplitude": (scale * ground.motion.season(x, y)).astype(np.float32),
    }
    text = {
        "cover": "0 water, 1 field, 2 rock, 3 town", "bowl_rate": "mm/yr in the line of sight, towards the satellite",
        "fault_step": "mm in the line of sight", "seasonal_amplitude": "mm in the line of sight",
    }  # fmt: skip
    for acquisition in ground.acquisitions:
        name = f"atmosphere_{acquisition.date:%Y%m%d}"
        layers[name] = ground.air_mm(grid_lon, grid_lat, acquisition.date).astype(np.float32)
        text[name] = "apparent displacement by the air, mm in the line of sight, towards the satellite"
    for name, layer in layers.items():
        predictor = 3 if layer.dtype == np.float32 else 2
        _write(folder / f"{name}.tif", layer, transform, None, predictor=predictor, description=text[name])
    return [f"{name}.tif" for name in layers]


def _lattice(ground: Ground, margin_deg: float, spacing: tuple[float, float]) -> tuple[FloatArray, FloatArray, rasterio.Affine]:
    """Pixel-centre longitudes, latitudes (north first) and the transform of a raster over the frame."""
    options = ground.options
    corners = [c for swath, place in scene_grid(options) for c in burst_footprint(options, swath, place)]
    lons, lats = zip(*corners, strict=True)
    west, north = min(lons) - margin_deg, max(lats) + margin_deg
    columns = int(np.ceil((max(lons) + margin_deg - west) / spacing[0]))
    rows = int(np.ceil((north - min(lats) + margin_deg) / spacing[1]))
    lon = west + (np.arange(columns) + 0.5) * spacing[0]
    lat = north - (np.arange(rows) + 0.5) * spacing[1]
    return lon, lat, rasterio.Affine(spacing[0], 0.0, west, 0.0, -spacing[1], north)


def _write(
    path: Path, values: np.ndarray, transform: rasterio.Affine, nodata: float | None, *, predictor: int, description: str
) -> None:
    profile = {
        "driver": "GTiff", "height": values.shape[0], "width": values.shape[1], "count": 1, "dtype": values.dtype.name,
        "crs": "EPSG:4326", "transform": transform, "nodata": nodata, "tiled": True, "blockxsize": 256,
        "blockysize": 256, "compress": "deflate", "predictor": predictor, "zlevel": 1,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(values, 1)
        file.set_band_description(1, description)
