"""DEM reading, and the ground found by range, Doppler and DEM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import Resampling, calculate_default_transform, reproject

from satdaemon.errors import DataError
from satdaemon.insar.dem import Bounds, Dem, read_dem
from satdaemon.insar.grid import Window
from satdaemon.insar.lattice import Lattice
from satdaemon.insar.terrain import Terrain, find_ground

STEP = 1 / 3600
WEST, NORTH = 10.0, 47.0


def _write(path: Path, heights: np.ndarray, **more: object) -> Path:
    profile = {
        "driver": "GTiff",
        "height": heights.shape[0],
        "width": heights.shape[1],
        "count": 1,
        "dtype": "float32",
        "crs": "EPSG:4326",
        "transform": Affine(STEP, 0.0, WEST, 0.0, -STEP, NORTH),
        **more,
    }
    with rasterio.open(path, "w", **profile) as target:
        target.write(heights.astype(np.float32), 1)
    return path


def _hills(rows: int = 400, cols: int = 500) -> np.ndarray:
    y, x = np.mgrid[:rows, :cols]
    return 800 + 300 * np.sin(x / 60) * np.cos(y / 45)


def _at(dem: Dem, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Nearest cell; enough to see half a cell's misplacement."""
    col = np.rint((lon - dem.lon0_deg) / dem.lon_step_deg).astype(int)
    row = np.rint((lat - dem.lat0_deg) / dem.lat_step_deg).astype(int)
    return dem.height_m[row, col]


def test_cells_stand_where_the_file_has_them(tmp_path: Path) -> None:
    heights = _hills()
    dem = read_dem(_write(tmp_path / "a.tif", heights), Bounds(10.02, 46.93, 10.08, 46.97))
    row, col = 150, 200
    lon, lat = WEST + (col + 0.5) * STEP, NORTH - (row + 0.5) * STEP
    assert _at(dem, np.array([lon]), np.array([lat]))[0] == pytest.approx(heights[row, col])
    assert dem.bounds.contains(Bounds(10.02, 46.93, 10.08, 46.97)) and dem.known.all()


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # inside rasterio
def test_projected_dem_gives_the_same_heights(tmp_path: Path) -> None:
    plain = _write(tmp_path / "a.tif", _hills())
    with rasterio.open(plain) as source:
        transform, width, height = calculate_default_transform(
            source.crs, "EPSG:32632", source.width, source.height, *source.bounds
        )
        warped = np.full((height, width), -9999, np.float32)
        reproject(
            source.read(1),
            warped,
            src_transform=source.transform,
            src_crs=source.crs,
            dst_transform=transform,
            dst_crs="EPSG:32632",
            dst_nodata=-9999,
            resampling=Resampling.bilinear,
        )
    projected = _write(tmp_path / "b.tif", warped, crs="EPSG:32632", transform=transform, nodata=-9999)
    wanted = Bounds(10.03, 46.91, 10.1, 46.98)
    one, two = read_dem(plain, wanted), read_dem(projected, wanted)
    lon, lat = np.random.default_rng(0).uniform((10.04, 46.92), (10.09, 46.97), (500, 2)).T
    assert np.std(_at(one, lon, lat) - _at(two, lon, lat)) < 8


def test_gaps_are_filled_from_their_edge_and_marked(tmp_path: Path) -> None:
    heights = _hills()
    heights[100:104] = -9999
    heights[200:280, 100:300] = np.nan
    dem = read_dem(_write(tmp_path / "a.tif", heights, nodata=-9999), Bounds(9, 46, 11, 48))
    assert dem.known[102].all() and not dem.known[240, 200] and dem.known[210, 110]
    assert dem.height_m.min() > 400


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: _write(p, _hills(), crs=None), "coordinate reference system"),
        (lambda p: _write(p, np.full((400, 500), -9999.0), nodata=-9999), "no heights for 100%"),
        (lambda p: p.write_text("no raster"), "expected a DEM GeoTIFF"),
    ],
)
def test_unusable_dems(tmp_path: Path, make, message: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "dem.tif"
    make(path)
    with pytest.raises(DataError, match=message):
        read_dem(path, Bounds(10.02, 46.93, 10.08, 46.97))


def test_dem_elsewhere_says_what_it_covers(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must cover 20\.0000.* it covers 10\.0000"):
        read_dem(_write(tmp_path / "a.tif", _hills()), Bounds(20, 46.9, 20.1, 46.95))


def _side_looking(dem: Dem, m_per_height: float) -> Terrain:
    """A made-up lattice: longitude grows with column and, as in side looking, falls with height."""
    low, high = float(dem.height_m.min()), float(dem.height_m.max())
    mid, half = (low + high) / 2, (high - low) / 2
    lattice = Lattice(0.0, 0.0, 32.0, 64.0, mid, half, np.zeros((3, 3, 9, 9)))
    row, col = np.mgrid[:9, :9]
    degree_per_m = 1 / 76_000
    lattice.terms[0, 0] = 10.05 + col * 64 * 4.0 * degree_per_m / 12
    lattice.terms[0, 1] = -m_per_height * half * degree_per_m
    lattice.terms[1, 0] = 46.96 - row * 32 * 14.0 / 111_000 / 4
    lattice.terms[2, 0] = 38.0
    return Terrain(lattice, dem)


@pytest.mark.parametrize("m_per_height", [1.3, 6.0])
def test_ground_lies_on_the_dem(tmp_path: Path, m_per_height: float) -> None:
    """Also in layover (the second case), where the solver has to bracket."""
    dem = read_dem(_write(tmp_path / "a.tif", _hills()), Bounds(9, 46, 11, 48))
    terrain = _side_looking(dem, m_per_height)
    window = Window(0, 0, 200, 400)
    ground = find_ground(terrain, window, cores=2)
    x = (ground.lon_deg - dem.lon0_deg) / dem.lon_step_deg
    y = (ground.lat_deg - dem.lat0_deg) / dem.lat_step_deg
    j, i = np.floor(x).astype(int), np.floor(y).astype(int)
    f, g, h = x - j, y - i, dem.height_m.astype(float)
    surface = (h[i, j] * (1 - f) + h[i, j + 1] * f) * (1 - g) + (h[i + 1, j] * (1 - f) + h[i + 1, j + 1] * f) * g
    assert np.abs(surface - ground.height_m).max() < 0.05
    row, col = np.mgrid[:200, :400].astype(float)
    lon = terrain.lattice.at(row.ravel(), col.ravel(), ground.height_m.astype(float).ravel())[0].reshape(row.shape)
    assert np.abs(lon - ground.lon_deg).max() < 1e-7
    assert ground.known.all() and np.allclose(ground.incidence_deg, 38.0)
