"""The timeseries stage: displacement against truth, closure, references, gaps, growth by a date."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from stack_chain import ABSENT, ABSENT_ROWS, DATES, SHAPE, Finished
from stack_products import Chain
from stack_truth import FIELD, ROCK, TOWN, WATER

from satdaemon.errors import CorruptProduct, DataError, ProcessingError
from satdaemon.insar.rowrasters import read_raster, write_raster
from satdaemon.processors.builtin.series_store import FIELDS, NAME, open_series
from satdaemon.status import RowKind, Stage


def series(place: Path):
    return zarr.open_group(place / NAME, mode="r")


def errors_mm(done: Finished, group) -> np.ndarray:
    """Displacement less motion and atmosphere as put in, referenced alike, each point from its own first date."""
    row, col = group["row"][:], group["col"][:]
    area = group.attrs["reference"]
    truth = done.truth_mm - done.truth_mm[:, area["rows"], area["cols"]].mean(1)[:, None, None]
    truth = truth[:, row, col].T[:, : group["displacement"].shape[1]]
    found = group["displacement"][:]
    first = np.argmax(np.isfinite(found), axis=1)
    return found - (truth - np.take_along_axis(truth, first[:, None], 1))


def copy_of(done: Finished, root: Path, **options) -> Chain:
    """The chain with its own unwrap and satsar products, to be harmed."""
    chain = Chain(root, list(done.chain.dates), **options)
    for stage in (Stage.SATSAR, Stage.UNWRAP):
        shutil.copytree(done.chain.place(stage, "x").parent, chain.place(stage, "x").parent)
    return chain


def test_displacement_is_motion_and_atmosphere(stack_chain: Finished):
    group = series(stack_chain.chain.place(Stage.TIMESERIES, "frame"))
    error = errors_mm(stack_chain, group)
    good = group["temporal_coherence"][:] >= 0.7
    rms = np.sqrt(np.nanmean(error[good] ** 2, axis=0))
    assert (rms <= 1.5).all() and (rms[1:] > 0.05).all()
    assert np.mean(np.nanmax(np.abs(error), axis=1) > 14) < 0.005
    classes = stack_chain.stack.classes
    row, col = group["row"][:], group["col"][:]
    picked = np.zeros(SHAPE, bool)
    picked[row, col] = True
    assert picked[np.isin(classes, (ROCK, TOWN))].mean() > 0.85
    assert np.isin(classes[row, col], (WATER, FIELD)).mean() < 0.03


def test_the_store_is_as_promised(stack_chain: Finished):
    place = stack_chain.chain.place(Stage.TIMESERIES, "frame")
    group = open_series(place / NAME)
    points = group["row"].shape[0]
    for name, (dtype, _, _) in FIELDS.items():
        assert group[name].shape == (points,) and group[name].dtype == dtype, name
    assert group["displacement"].shape == (points, DATES) and group["bperp"].shape == (DATES,)
    assert set(group.attrs) >= {"dates", "frame", "wavelength_m", "reference", "pairs", "velocity_std"}
    assert group["bperp"][:][stack_chain.chain.dates.index(stack_chain.chain.master)] == 0
    assert np.allclose(group["height"][:], 42) and np.allclose(group["incidence"][:], 38)
    assert np.isnan(group["seasonal_sin"][:]).all() and "not fitted" in group.attrs["seasonal_terms"]
    raster = read_raster(place / "velocity.tif")
    assert np.array_equal(raster[group["row"][:], group["col"][:]], group["velocity"][:], equal_nan=True)
    assert np.isfinite(raster).sum() == np.isfinite(group["velocity"][:]).sum()


def test_a_date_without_the_burst_is_unknown_there(stack_chain: Finished):
    group = series(stack_chain.chain.place(Stage.TIMESERIES, "frame"))
    top = group["row"][:] < ABSENT_ROWS
    found = group["displacement"][:]
    assert top.sum() > 500
    assert np.isnan(found[top, ABSENT]).all()
    assert np.isfinite(np.delete(found[top], ABSENT, 1)).mean() > 0.99
    assert np.isfinite(found[~top, ABSENT]).mean() > 0.95


def test_unwrapping_errors_put_in_are_corrected(stack_chain: Finished, tmp_path: Path):
    chain = copy_of(stack_chain, tmp_path)
    pairs = chain.pairs()
    rng = np.random.default_rng(3)
    for number in (4, 11):
        key = f"{pairs[number][0]:%Y%m%d}_{pairs[number][1]:%Y%m%d}"
        place = chain.place(Stage.UNWRAP, key)
        phase = read_raster(place / "unwrapped.tif")
        components = read_raster(place / "components.tif")
        if number == 4:  # a corner that was a component of its own
            phase[:70, 180:] += 2 * np.pi
            components[:70, 180:] = np.where(np.isfinite(phase[:70, 180:]), 7, 0)
        else:  # single points
            phase[rng.random(SHAPE) < 0.05] -= 2 * np.pi
        write_raster(place / "unwrapped.tif", phase)
        write_raster(place / "components.tif", components)
    metrics = chain.timeseries(pairs).metrics
    assert metrics["components_corrected"] == 1
    assert 0.0005 < metrics["corrected_share"] < 0.005
    repaired = errors_mm(stack_chain, series(chain.place(Stage.TIMESERIES, "frame")))
    assert np.sqrt(np.nanmean(repaired**2)) < 1.0
    assert np.mean(np.nanmax(np.abs(repaired), axis=1) > 5) < 0.01
    chain.settings[Stage.TIMESERIES] = {"correct_unwrapping": False, "min_temporal_coherence": 0.0}
    chain.timeseries(pairs)
    left = errors_mm(stack_chain, series(chain.place(Stage.TIMESERIES, "frame")))
    assert np.mean(np.nanmax(np.abs(left), axis=1) > 5) > 0.05


def test_tiles_give_the_same_points(stack_chain: Finished, tmp_path: Path):
    whole = series(stack_chain.chain.place(Stage.TIMESERIES, "frame"))
    chain = copy_of(stack_chain, tmp_path, memory_gb=0.02)
    chain.timeseries(chain.pairs())
    parts = series(chain.place(Stage.TIMESERIES, "frame"))
    order = [np.lexsort((group["col"][:], group["row"][:])) for group in (whole, parts)]
    assert np.array_equal(whole["row"][:][order[0]], parts["row"][:][order[1]])
    assert np.array_equal(whole["col"][:][order[0]], parts["col"][:][order[1]])
    assert whole.attrs["reference"]["rows"] == parts.attrs["reference"]["rows"]
    difference = whole["displacement"][:][order[0]] - parts["displacement"][:][order[1]]
    assert np.nanpercentile(np.abs(difference), 99) < 1e-3


def test_a_new_date_keeps_old_phases_and_the_reference(stack_chain: Finished, tmp_path: Path):
    chain = copy_of(stack_chain, tmp_path)
    last = chain.dates[-1]
    old = [pair for pair in chain.pairs() if last not in pair]
    chain.timeseries(old)
    before = tmp_path / "previous"
    chain.place(Stage.TIMESERIES, "frame").rename(before)
    assert series(before)["displacement"].shape[1] == DATES - 1
    chain.timeseries(chain.pairs(), previous=before)
    first, second = series(before), series(chain.place(Stage.TIMESERIES, "frame"))
    for name in ("row", "col"):
        assert first.attrs["reference"][name] == second.attrs["reference"][name]
    error = errors_mm(stack_chain, second)
    assert np.sqrt(np.nanmean(error**2)) < 1.0


def test_the_reference_may_be_set_by_place(stack_chain: Finished, tmp_path: Path):
    lat = read_raster(stack_chain.chain.satsar(stack_chain.chain.master) / "lat.tif")[130, 90]
    lon = read_raster(stack_chain.chain.satsar(stack_chain.chain.master) / "lon.tif")[130, 90]
    chain = copy_of(stack_chain, tmp_path)
    chain.settings[Stage.TIMESERIES] = {"reference_lon": lon, "reference_lat": lat, "reference_radius_m": 100.0}
    chain.timeseries(chain.pairs())
    group = series(chain.place(Stage.TIMESERIES, "frame"))
    area = group.attrs["reference"]
    assert abs(area["row"] - 130) <= 8 and abs(area["col"] - 90) <= 24
    inside = np.isin(group["row"][:] * 1000 + group["col"][:], np.array(area["rows"]) * 1000 + np.array(area["cols"]))
    assert np.abs(group["displacement"][:][inside].mean(0)).max() < 0.2
    chain.settings[Stage.TIMESERIES] |= {"reference_lon": lon + 1}
    with pytest.raises(ProcessingError, match="Choose another place"):
        chain.timeseries(chain.pairs())


def test_two_halves_of_a_network_are_not_bridged(stack_chain: Finished, tmp_path: Path):
    chain = copy_of(stack_chain, tmp_path)
    early = set(chain.dates[:5])
    pairs = [(a, b) for a, b in chain.pairs() if (a in early) == (b in early)]
    chain.timeseries(pairs)
    found = series(chain.place(Stage.TIMESERIES, "frame"))["displacement"][:]
    assert np.isfinite(found[:, :5]).mean() > 0.9 and np.isnan(found[:, 5:]).all()


def test_what_is_missing_is_named(stack_chain: Finished, tmp_path: Path):
    chain = copy_of(stack_chain, tmp_path)
    pairs = chain.pairs()
    with pytest.raises(ProcessingError, match="at least one unwrapped interferogram"):
        chain.timeseries([])
    inputs = {"unwrap/2023_2024": tmp_path, "geometry": tmp_path}
    with pytest.raises(DataError, match="unwrap/YYYYMMDD_YYYYMMDD"):
        chain.run(chain.job(Stage.TIMESERIES, RowKind.MASTER, inputs, chain.master))
    chain.settings[Stage.TIMESERIES] = {"min_temporal_coherence": 0.9999999}
    with pytest.raises(ProcessingError, match="temporal coherence"):
        chain.timeseries(pairs)
    with pytest.raises(CorruptProduct, match="found nothing"):
        open_series(tmp_path / "nowhere.zarr")
    first, second = pairs[0]
    (chain.place(Stage.UNWRAP, f"{first:%Y%m%d}_{second:%Y%m%d}") / "coherence.tif").unlink()
    with pytest.raises(CorruptProduct, match=r"coherence\.tif"):
        chain.timeseries(pairs)
