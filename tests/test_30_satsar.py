"""satsar against the simulator's truth: geometry, phase, timing, and what it refuses."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine
from sar_chain import Chain, clean_chain, scratch
from simulated import index_of, small_archive

from satdaemon.errors import DataError, ProcessingError
from satdaemon.insar.grid import FrameGrid
from satdaemon.insar.rasters import create_radar, open_radar, write_window
from satdaemon.simulator import Truth


def _dates(chain: Chain) -> tuple[date, date]:
    first, _, last = chain.truth.dates
    return first, last


def _sample(chain: Chain) -> tuple[np.ndarray, np.ndarray]:
    """Some hundred valid pixels of the frame grid."""
    valid = chain.read(chain.master, "valid.tif")
    row, col = np.nonzero(valid)
    pick = np.random.default_rng(0).choice(row.size, 600, replace=False)
    return row[pick], col[pick]


def test_frame_geometry_against_truth() -> None:
    chain = clean_chain()
    grid = FrameGrid.load(chain.place("satsar", chain.master))
    row, col = _sample(chain)
    start = np.datetime64(grid.first_line_utc.replace(tzinfo=None), "ns")
    time = start + np.round(row * grid.line_s * 1e9).astype("timedelta64[ns]")
    distance = chain.read(chain.master, "range.tif")[row, col]
    assert distance == pytest.approx(grid.range_m()[col])
    lon, lat, height = chain.truth.locate(chain.master, time, distance)
    east = (chain.read(chain.master, "lon.tif")[row, col] - lon) * 111_320 * np.cos(np.radians(lat))
    north = (chain.read(chain.master, "lat.tif")[row, col] - lat) * 111_200
    assert np.sqrt(np.mean(east**2 + north**2)) < 1.0
    # what is left along the track is the master's own injected timing error, which nothing can know
    shift_m = abs(chain.truth.acquisition(chain.master).azimuth_shift_px) * 14.0
    assert np.abs(np.hypot(east, north) - shift_m).max() < 0.1
    assert np.sqrt(np.mean((chain.read(chain.master, "height.tif")[row, col] - height) ** 2)) < 0.5
    incidence = chain.read(chain.master, "incidence.tif")[row, col]
    assert 25 < incidence.min() < incidence.max() < 50


def test_phase_is_flat_without_motion() -> None:
    """With nothing but geometry simulated, master * conj(date) is real: no flat earth, no topography, no seam."""
    chain = clean_chain()
    grid = FrameGrid.load(chain.place("satsar", chain.master))
    master = chain.read(chain.master, "slc.tif")
    height = chain.read(chain.master, "height.tif")
    row, col = np.mgrid[: grid.rows, : grid.cols]
    cover = chain.truth.cover(chain.read(chain.master, "lon.tif"), chain.read(chain.master, "lat.tif"))
    for day in _dates(chain):
        product = master * np.conj(chain.read(day, "slc.tif"))
        land = np.isfinite(product) & (cover != 0)
        assert land.sum() > 0.75 * np.isfinite(master).sum()
        turn = np.angle(np.sum(product[land]))
        assert abs(turn) < 0.02
        blocks = _blocks(np.where(land, product, 0))
        strong = np.abs(blocks) > np.median(np.abs(blocks))
        assert np.std(np.angle(blocks[strong])) < 0.02
        design = np.stack([np.ones(land.sum()), row[land] / grid.rows, col[land] / grid.cols, height[land] / 100], axis=1)
        noise = np.angle(product[land])
        slope = np.linalg.lstsq(design, noise * (np.abs(noise) < 1), rcond=None)[0]
        assert np.abs(slope).max() < 0.02
        for burst in grid.bursts:
            part = burst.inner.slices_in(type(burst.inner)(0, 0, grid.rows, grid.cols))
            assert abs(np.angle(np.sum(np.where(land, product, 0)[part]))) < 0.02


def _blocks(product: np.ndarray, rows: int = 20, cols: int = 20) -> np.ndarray:
    r, c = product.shape[0] // rows, product.shape[1] // cols
    return product[: r * rows, : c * cols].reshape(r, rows, c, cols).sum(axis=(1, 3))


def test_dates_look_like_the_master() -> None:
    """Pixel by pixel: without noise the interferometric coherence of single looks is near one."""
    chain = clean_chain()
    master = chain.read(chain.master, "slc.tif")
    for day in _dates(chain):
        other = chain.read(day, "slc.tif")
        ok = np.isfinite(master) & np.isfinite(other)
        power = np.sqrt(np.sum(np.abs(master[ok]) ** 2) * np.sum(np.abs(other[ok]) ** 2))
        assert np.abs(np.sum(master[ok] * np.conj(other[ok]))) / power > 0.9


def test_timing_and_baseline_against_truth() -> None:
    chain = clean_chain()
    for day in _dates(chain):
        metrics = chain.results["satsar", day].metrics
        assert metrics["esd_shift_px"] == pytest.approx(chain.truth.azimuth_shift_px(day, chain.master), abs=0.001)
        baseline = chain.read(day, "bperp.tif")
        assert np.nanmean(baseline) == pytest.approx(chain.truth.bperp_m(day, chain.master), abs=0.5)
        assert metrics["bperp_m"] == pytest.approx(float(np.nanmean(baseline)), abs=0.01)
        assert chain.results["satsar", day].metrics["peak_memory_gb"] < 3
    pairs = json.loads((chain.place("satsar", _dates(chain)[1]) / "esd.json").read_text())["pairs"]
    assert set(pairs) == {"master", f"{_dates(chain)[0]:%Y%m%d}"}
    values = [p["shift_px"] for p in pairs.values()]
    assert max(values) - min(values) < 0.001


def test_product_says_what_it_is() -> None:
    chain = clean_chain()
    for day in chain.truth.dates:
        place = chain.place("satsar", day)
        result = chain.results["satsar", day]
        document = json.loads((place / "product.json").read_text())
        assert set(document["files"]) | {"product.json"} == set(result.files)
        assert all((place / name).exists() for name in result.files)
        assert chain.reports["satsar", day].fractions[-1] == pytest.approx(1.0)
    with rasterio.open(chain.archive / "dem.tif") as dem:
        heights = dem.read(1)
    height = chain.read(chain.master, "height.tif")
    assert heights.min() - 0.1 <= np.nanmin(height) <= np.nanmax(height) <= heights.max() + 0.1


def test_running_twice_gives_the_same() -> None:
    chain = clean_chain()
    day = _dates(chain)[0]
    before = chain.read(day, "slc.tif")
    chain.satsar(day, cores=1)
    assert np.array_equal(before, chain.read(day, "slc.tif"), equal_nan=True)


def test_incoherent_date_is_refused() -> None:
    """A date whose pixels are noise; and a limit on certainty that none can meet."""
    clean, day = clean_chain(), _dates(clean_chain())[0]
    with pytest.raises(ProcessingError, match="esd_max_sd_px"):
        clean.satsar(day, settings={"esd_max_sd_px": 1e-9})
    clean.satsar(day)
    chain = Chain(clean.archive, scratch("noise"), clean.master)
    shutil.copytree(clean.place("satsar", clean.master), chain.place("satsar", clean.master))
    chain.slc(day)
    rng = np.random.default_rng(0)
    for path in (chain.place("slc", day) / "bursts").glob("*.tif"):
        with open_radar(path) as old:
            shape = old.shape
        with create_radar(path, shape, "complex_int16", tiled=False) as new:
            noise = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
            write_window(new, 0, 0, np.round(100 * noise).astype(np.complex64))
    with pytest.raises(ProcessingError, match="incoherent with every date"):
        chain.satsar(day)


def test_dem_must_cover_the_frame(tmp_path: Path) -> None:
    chain = clean_chain()
    small = tmp_path / "small.tif"
    with rasterio.open(chain.archive / "dem.tif") as dem:
        part = dem.read(1)[: dem.height // 2]
        with rasterio.open(small, "w", **{**dem.profile, "height": part.shape[0]}) as out:
            out.write(part, 1)
    other = Chain(chain.archive, scratch("dem"), chain.master)
    other.slc(chain.master)
    with pytest.raises(DataError, match=r"DEM must cover .* it covers"):
        other.satsar(chain.master, paths={"dem": small})
    with pytest.raises(DataError, match="expected a DEM GeoTIFF"):
        other.satsar(chain.master, paths={"dem": tmp_path / "none.tif"})
    with pytest.raises(DataError, match="paths: dem"):
        other.satsar(chain.master, paths={})


def test_dem_gaps_are_filled_and_marked(tmp_path: Path) -> None:
    chain = clean_chain()
    holed = tmp_path / "holed.tif"
    with rasterio.open(chain.archive / "dem.tif") as dem:
        heights = dem.read(1)
        middle = heights.shape[0] // 2
        heights[middle - 3 : middle + 3] = -9999.0
        heights[middle + 60 : middle + 160] = -9999.0
        with rasterio.open(holed, "w", **{**dem.profile, "nodata": -9999.0}) as out:
            out.write(heights, 1)
    other = Chain(chain.archive, scratch("gaps"), chain.master)
    other.slc(chain.master)
    other.satsar(chain.master, paths={"dem": holed})
    valid, before = other.read(chain.master, "valid.tif"), chain.read(chain.master, "valid.tif")
    assert 0.01 < 1 - valid.sum() / before.sum() < 0.4
    assert np.nanmin(other.read(chain.master, "height.tif")) > -500
    assert any("not valid" in w for w in other.reports["satsar", chain.master].warnings)


def test_heights_above_a_geoid_give_the_same_geometry(tmp_path: Path) -> None:
    chain = clean_chain()
    step = 0.25
    with rasterio.open(chain.archive / "dem.tif") as dem:
        t, heights = dem.transform, dem.read(1).astype(np.float64)
        lon, lat = t.c + (np.arange(dem.width) + 0.5) * t.a, t.f + (np.arange(dem.height) + 0.5) * t.e
        with rasterio.open(tmp_path / "dem.tif", "w", **{**dem.profile, "dtype": "float32"}) as out:
            out.write((heights - _geoid(lon[None, :], lat[:, None])).astype(np.float32), 1)
    lon, lat = -180 + step * np.arange(1440), 90 - step * np.arange(721)
    about = {"driver": "GTiff", "width": 1440, "height": 721, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
    place = Affine(step, 0, -180 - step / 2, 0, -step, 90 + step / 2)
    with rasterio.open(tmp_path / "geoid.tif", "w", transform=place, **about) as out:
        out.write(_geoid(lon[None, :], lat[:, None]).astype(np.float32), 1)
    other = Chain(chain.archive, scratch("geoid"), chain.master)
    other.slc(chain.master)
    paths = {"dem": tmp_path / "dem.tif", "geoid": tmp_path / "geoid.tif", "data": tmp_path / "data"}
    other.satsar(chain.master, paths=paths, settings={"dem_source": "file", "dem_heights": "EGM96"})
    for name, most in (("height.tif", 0.05), ("lon.tif", 1e-6)):
        assert np.nanmax(np.abs(other.read(chain.master, name) - chain.read(chain.master, name))) < most
    told = json.loads((other.place("satsar", chain.master) / "product.json").read_text())["dem"]
    assert (told["source"], told["heights"], told["geoid"], told["void"]) == ("dem.tif", "EGM96", "geoid.tif", 0.0)
    assert (tmp_path / "data" / "dem" / told["file"]).is_file()


def _geoid(lon, lat):
    return 45 + 5 * np.cos(np.radians(lon)) + 3 * np.sin(np.radians(2 * lat))


def test_date_lacking_a_burst_is_nan_there() -> None:
    """Special cases of the small archive: a missing burst, through satsar."""
    archive = small_archive()
    truth = Truth.load(archive)
    day = truth.dates[index_of("missing_burst")]
    master = next(d for k, d in enumerate(truth.dates) if not truth.document["dates"][k]["cases"])
    chain = Chain(archive, scratch("missing"), master)
    chain.slc(master)
    result = chain.slc(day)
    chain.satsar(master)
    date_result = chain.satsar(day)
    assert result.metrics["missing_bursts"] == date_result.metrics["missing_bursts"] == 1
    (missing,) = json.loads((chain.place("slc", day) / "slc.json").read_text())["missing"]
    grid = FrameGrid.load(chain.place("satsar", master))
    window = grid.burst(missing).inner
    image = chain.read(day, "slc.tif")
    assert np.isnan(image[window.row : window.end_row, window.col : window.end_col]).all()
    assert np.isfinite(image).mean() > 0.55
    assert date_result.metrics["esd_shift_px"] == pytest.approx(truth.azimuth_shift_px(day, master), abs=0.001)
