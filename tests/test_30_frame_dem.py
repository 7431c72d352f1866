"""The heights of a frame: any raster, geoids, GLO-30, and what is kept of them."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import rasterio
from databases import make_settings
from frames_made import FRAME, bursts, days
from pyproj import Transformer
from rasterio.transform import Affine

from satdaemon.db.staleness.conditions import dem_of, dem_settings
from satdaemon.domain import Frame, StageInput
from satdaemon.errors import ArchiveError, ConfigError, DataError
from satdaemon.insar.dem import Bounds, read_dem
from satdaemon.insar.geoid import geoid_m
from satdaemon.processors.builtin import frame_dem as subject
from satdaemon.processors.builtin.frame_dem import frame_dem
from satdaemon.status import RowKind, Stage

WEST, NORTH = -4.0, 54.0


def from_origin(west: float, north: float, across: float, down: float) -> Affine:
    return Affine(across, 0, west, 0, -down, north)


def relief(lon, lat):
    return 200 + 50 * np.sin(3 * lon) + 80 * np.cos(2 * lat)


def smooth_geoid(lon, lat):
    return 45 + 5 * np.cos(np.radians(lon)) + 3 * np.sin(np.radians(2 * lat))


def write_dem(path: Path, *, width: int = 900, height: int = 600, step: float = 0.01, holes: bool = False, **more) -> Path:
    lon, lat = WEST + (np.arange(width) + 0.5) * step, NORTH - (np.arange(height) + 0.5) * step
    heights = relief(lon[None, :], lat[:, None]).astype(np.float32)
    if holes:
        heights[:, : width // 4] = -9999.0
    about = {"driver": "GTiff", "width": width, "height": height, "count": 1, "dtype": "float32", "nodata": -9999.0}
    with rasterio.open(path, "w", crs="EPSG:4326", transform=from_origin(WEST, NORTH, step, step), **about, **more) as out:
        out.write(heights, 1)
    return path


def write_geoid(path: Path, first: float = -180.0, step: float = 0.25) -> Path:
    """A global grid whose first node is at `first`, as EGM's are: nodes at whole steps, poles included."""
    lon, lat = first + step * np.arange(round(360 / step)), 90 - step * np.arange(round(180 / step) + 1)
    values = smooth_geoid(lon[None, :], lat[:, None]).astype(np.float32)
    about = {"driver": "GTiff", "width": len(lon), "height": len(lat), "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
    with rasterio.open(path, "w", transform=from_origin(first - step / 2, 90 + step / 2, step, step), **about) as out:
        out.write(values, 1)
    return path


def job(folder: Path, **settings: str) -> StageInput:
    frame = Frame(FRAME, 132, "A", tuple(bursts()))
    day = days(1)[0]
    paths = {"data": folder / "data"} | {name: folder / f"{name}.tif" for name in ("dem", "geoid")}
    paths = {name: path for name, path in paths.items() if name == "data" or path.exists()}
    return StageInput(1, 1, Stage.SATSAR, RowKind.MASTER, frame, day, day, None, folder / "out", {}, (), settings, paths)


def test_a_file_of_ellipsoidal_heights_is_used_as_it_is(tmp_path: Path) -> None:
    write_dem(tmp_path / "dem.tif")
    found = frame_dem(job(tmp_path))
    assert found.path == tmp_path / "dem.tif" and found.warnings == ()
    assert found.told == {"source": "dem.tif", "heights": "ellipsoid"}
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("first", [-180.0, 0.0])
def test_the_geoid_anywhere_on_the_globe(tmp_path: Path, first: float) -> None:
    grid = write_geoid(tmp_path / "geoid.tif", first)
    for middle in (-179.9, -90.0, -0.1, 0.0, 123.4, 179.9, 180.3, 359.0):
        lon, lat = middle + np.linspace(-1, 1, 21), np.linspace(-3, 4, 15) + 50
        assert np.abs(geoid_m(grid, lon, lat) - smooth_geoid(lon[None, :], lat[:, None])).max() < 1e-3
    assert np.isfinite(geoid_m(grid, np.array([10.0, 11.0]), np.array([90.0, 89.9]))).all()


def test_what_is_no_geoid_is_refused(tmp_path: Path) -> None:
    lon, lat = np.array([10.0, 11.0]), np.array([50.0, 51.0])
    (tmp_path / "text.tif").write_text("no grid")
    with pytest.raises(ConfigError, match="expected a grid that GDAL reads"):
        geoid_m(tmp_path / "text.tif", lon, lat)
    with pytest.raises(ArchiveError, match=r"geoid http://127.0.0.1:9/geoid.tif: expected a grid"):
        geoid_m("http://127.0.0.1:9/geoid.tif", lon, lat)
    with pytest.raises(DataError, match="does not cover them"):
        geoid_m(write_dem(tmp_path / "small.tif"), lon, lat)
    with pytest.raises(DataError, match="other values"):
        geoid_m(write_dem(tmp_path / "small.tif"), np.array([-2.0, -1.9]), np.array([52.0, 52.1]))


def test_heights_above_a_geoid_become_ellipsoidal_and_are_kept(tmp_path: Path) -> None:
    write_dem(tmp_path / "dem.tif")
    write_geoid(tmp_path / "geoid.tif")
    found = frame_dem(job(tmp_path, dem_source="file", dem_heights="EGM96"))
    assert found.path.parent == tmp_path / "data" / "dem" and found.path.name.startswith(f"{FRAME}_")
    assert found.told == {
        "source": "dem.tif", "heights": "EGM96", "geoid": "geoid.tif", "file": found.path.name, "void": 0.0
    }  # fmt: skip
    dem = read_dem(found.path, Bounds(-1.5, 52.1, -1.0, 52.3))
    lon = dem.lon0_deg + dem.lon_step_deg * np.arange(dem.height_m.shape[1])
    lat = dem.lat0_deg + dem.lat_step_deg * np.arange(dem.height_m.shape[0])
    wanted = relief(lon[None, :], lat[:, None]) + smooth_geoid(lon[None, :], lat[:, None])
    assert np.abs(dem.height_m - wanted).max() < 2e-3
    before = found.path.stat().st_mtime_ns
    assert frame_dem(job(tmp_path, dem_source="file", dem_heights="EGM96")).path.stat().st_mtime_ns == before
    write_dem(tmp_path / "dem.tif", compress="deflate")
    assert frame_dem(job(tmp_path, dem_source="file", dem_heights="EGM96")).path != found.path, "another DEM"
    assert {path.suffix for path in found.path.parent.iterdir()} == {".tif"}


def test_a_raster_in_metres_of_a_zone(tmp_path: Path) -> None:
    write_geoid(tmp_path / "geoid.tif")
    step, width, height = 500.0, 700, 500
    east, north = 480_000 + step * (np.arange(width) + 0.5), 5_930_000 - step * (np.arange(height) + 0.5)
    lon, lat = Transformer.from_crs("EPSG:32630", "EPSG:4326", always_xy=True).transform(*np.meshgrid(east, north))
    about = {"driver": "GTiff", "width": width, "height": height, "count": 1, "dtype": "float32", "crs": "EPSG:32630"}
    with rasterio.open(tmp_path / "dem.tif", "w", transform=from_origin(480_000, 5_930_000, step, step), **about) as out:
        out.write(relief(lon, lat).astype(np.float32), 1)
    dem = read_dem(frame_dem(job(tmp_path, dem_source="file", dem_heights="EGM2008")).path, Bounds(-1.5, 52.1, -1.0, 52.3))
    lon = dem.lon0_deg + dem.lon_step_deg * np.arange(dem.height_m.shape[1])
    lat = dem.lat0_deg + dem.lat_step_deg * np.arange(dem.height_m.shape[0])
    wanted = relief(lon[None, :], lat[:, None]) + smooth_geoid(lon[None, :], lat[:, None])
    assert np.abs(dem.height_m - wanted).max() < 0.5


def test_large_gaps_stay_gaps_and_are_told(tmp_path: Path) -> None:
    write_dem(tmp_path / "dem.tif", holes=True)
    write_geoid(tmp_path / "geoid.tif")
    found = frame_dem(job(tmp_path, dem_source="file", dem_heights="EGM96"))
    assert 0.02 < found.told["void"] < 0.4
    assert found.warnings == (f"DEM: {found.told['void']:.1%} of the frame's extent has no height in the DEM",)
    with rasterio.open(found.path) as out:
        assert np.isnan(out.read(1)).mean() == pytest.approx(found.told["void"], abs=1e-4)


def test_no_grid_and_no_package_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="dem_source = glo_30"):
        frame_dem(job(tmp_path))
    write_dem(tmp_path / "dem.tif")
    monkeypatch.setattr(subject, "installed_grid", lambda heights: None)
    with pytest.raises(ConfigError, match=r"geoid: expected a grid of EGM96 .* us_nga_egm96_15.tif"):
        frame_dem(job(tmp_path, dem_source="file", dem_heights="EGM96"))
    write_geoid(tmp_path / "geoid.tif")
    monkeypatch.setitem(sys.modules, "dem_stitcher.stitcher", None)
    with pytest.raises(ConfigError, match=r"pip install satdaemon\[dem\]"):
        frame_dem(job(tmp_path, dem_source="glo_30", dem_heights="EGM2008"))
    assert list((tmp_path / "data" / "dem").iterdir()) == []


def test_tiles_are_asked_for_once_and_sea_lies_on_the_geoid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_geoid(tmp_path / "geoid.tif")
    asked: list[tuple[float, ...]] = []

    def stitched(west: float, south: float, east: float, north: float):
        asked.append((west, south, east, north))
        heights = np.full((round((north - south) * 100), round((east - west) * 100)), 7.0, np.float32)
        heights[: len(heights) // 2] = np.nan
        return heights, from_origin(west, north, 0.01, 0.01)

    monkeypatch.setattr(subject, "stitched", stitched)
    found: list[subject.Heights] = []
    work = job(tmp_path, dem_source="glo_30", dem_heights="EGM2008")
    threads = [threading.Thread(target=lambda: found.append(frame_dem(work))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1 and len(found) == 4 and len({each.path for each in found}) == 1
    west, south, east, north = asked[0]
    assert west < -2.2 and south < 51.9 and east > 0.0 and north > 52.7, "a buffer around the bursts"
    assert found[0].told["void"] == pytest.approx(0.5, abs=0.01)
    share = f"{found[0].told['void']:.1%}"
    assert found[0].warnings == (f"DEM: {share} of the frame's extent has no tile of glo_30 and counts as sea",)
    with rasterio.open(found[0].path) as out:
        heights = out.read(1)
        lon, lat = out.xy(0, 0)
        assert heights[0, 0] == pytest.approx(smooth_geoid(lon, lat), abs=1e-3)
        lon, lat = out.xy(out.height - 3, 5)
        assert heights[-3, 5] == pytest.approx(7 + smooth_geoid(lon, lat), abs=1e-3)
        assert np.isfinite(heights).all()
    monkeypatch.setattr(subject, "stitched", lambda *bounds: (None, None))
    assert frame_dem(_other(tmp_path)).told["void"] == 1.0


def _other(folder: Path) -> StageInput:
    """The same frame with another place for what is kept."""
    work = job(folder, dem_source="glo_30", dem_heights="EGM2008")
    return StageInput(
        1, 1, Stage.SATSAR, RowKind.MASTER, work.frame, work.master_date, work.date1, None, folder / "out", {}, (),
        work.settings, {**work.paths, "data": folder / "elsewhere"},
    )  # fmt: skip


def test_the_real_library_on_tiles_of_this_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import geopandas
    from dem_stitcher import datasets
    from shapely.geometry import box

    tiles = []
    for west in (-3, -2, -1):
        # As GLO-30's: cells are called points, and the corner of the first lies half a cell outside.
        step, path = 1 / 400, tmp_path / f"tile_{west}.tif"
        lon, lat = west + step * np.arange(400), 53 - step * np.arange(800)
        about = {"driver": "GTiff", "width": 400, "height": 800, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
        with rasterio.open(path, "w", transform=from_origin(west - step / 2, 53 + step / 2, step, step), **about) as out:
            out.update_tags(AREA_OR_POINT="Point")
            out.write(relief(lon[None, :], lat[:, None]).astype(np.float32), 1)
        tiles.append({"tile_id": path.stem, "url": str(path), "geometry": box(west, 51, west + 1, 53), "dem_name": "glo_30"})
    index = geopandas.GeoDataFrame(tiles, crs="EPSG:4326")
    monkeypatch.setattr(
        datasets, "get_global_dem_tile_extents", lambda name: index if name == "glo_30" else index.iloc[:0]
    )
    write_geoid(tmp_path / "geoid.tif")
    found = frame_dem(job(tmp_path, dem_source="glo_30", dem_heights="EGM2008"))
    assert 0 < found.told["void"] < 0.5 and "counts as sea" in found.warnings[0]
    dem = read_dem(found.path, Bounds(-2.0, 52.1, -1.0, 52.3))
    lon = dem.lon0_deg + dem.lon_step_deg * np.arange(dem.height_m.shape[1])
    lat = dem.lat0_deg + dem.lat_step_deg * np.arange(dem.height_m.shape[0])
    wanted = relief(lon[None, :], lat[:, None]) + smooth_geoid(lon[None, :], lat[:, None])
    assert np.abs(dem.height_m - wanted).max() < 0.01, "half a cell would be 0.2 m"


def test_the_dem_is_part_of_what_a_product_was_made_from(tmp_path: Path) -> None:
    dem, geoid = write_dem(tmp_path / "dem.tif"), write_geoid(tmp_path / "geoid.tif")

    def seen(**parameters: object):
        settings = make_settings(tmp_path, "sqlite:///x", **parameters)
        return dem_of(settings), dem_settings(settings)

    plain = seen(dem=dem)
    assert plain == (["dem.tif", dem.stat().st_size, dem.stat().st_mtime_ns], {})
    assert seen(dem=dem, geoid=geoid) == plain, "a grid that is not used does not count"
    above = seen(dem=dem, dem_heights="EGM96", geoid=geoid)
    assert above == ([*plain[0], "EGM96", "geoid.tif", geoid.stat().st_size], {"dem_source": "file", "dem_heights": "EGM96"})
    assert seen(dem=dem, dem_source="glo_30") == (["glo_30", "EGM2008"], {"dem_source": "glo_30", "dem_heights": "EGM2008"})
    assert seen() == (None, {})
