"""The ingest stage's files: GeoParquet points and the int16 series."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from stack_chain import DATES, Finished
from stack_products import Chain

from satdaemon.errors import DataError, ProcessingError
from satdaemon.processors.builtin.ingest import NODATA, POINTS, SERIES, check, to_steps
from satdaemon.status import Stage


def test_points_and_series_say_what_the_time_series_says(stack_chain: Finished):
    place = stack_chain.chain.place(Stage.INGEST, "frame")
    source = zarr.open_group(stack_chain.chain.place(Stage.TIMESERIES, "frame") / "timeseries.zarr", mode="r")
    table = pq.read_table(place / POINTS)
    steps = np.load(place / SERIES)
    row, col = source["row"][:], source["col"][:]
    assert np.array_equal(table["id"].to_numpy(), row.astype(np.int64) * 2**20 + col)
    for mine, theirs in (("lon", "lon"), ("velocity", "velocity"), ("coherence", "temporal_coherence")):
        assert np.array_equal(table[mine].to_numpy(), source[theirs][:], equal_nan=True)
    shape = shapely.from_wkb(table["geometry"].to_pylist()[7])
    assert (shape.x, shape.y) == (source["lon"][7], source["lat"][7])
    assert steps.dtype == np.int16 and steps.shape == (len(row), DATES)
    known = steps != NODATA
    found = source["displacement"][:]
    assert np.array_equal(known, np.isfinite(found))
    assert np.abs(steps[known] * 0.1 - found[known]).max() < 0.0501
    document = json.loads((place / "product.json").read_text())
    assert document["dates"] == [day.isoformat() for day in stack_chain.chain.dates]
    geo = json.loads(pq.read_schema(place / POINTS).metadata[b"geo"])
    west, south, east, north = geo["columns"]["geometry"]["bbox"]
    assert geo["version"] == "1.1.0" and 3.9 < west < east < 4.1 and 51.9 < south < north < 52.1


@given(arrays(np.float32, (3, 4), elements=st.floats(-1e5, 1e5, width=32) | st.just(float("nan"))))
def test_steps_keep_every_value_within_half_a_step_or_clip_it(displacement):
    steps, clipped = to_steps(displacement)
    known = np.isfinite(displacement)
    assert ((steps == NODATA) == ~known).all()
    within = known & (np.abs(displacement) <= 3276.7)
    assert np.abs(steps[within] * 0.1 - displacement[within].astype(np.float64)).max(initial=0) <= 0.0501
    assert clipped == (np.abs(np.round(displacement[known].astype(np.float64) / 0.1)) > 32767).sum()
    assert (np.abs(steps[known].astype(int)) <= 32767).all()


@pytest.fixture
def own(stack_chain: Finished, tmp_path: Path) -> tuple[Chain, zarr.Group]:
    chain = Chain(tmp_path, stack_chain.chain.dates)
    place = chain.place(Stage.TIMESERIES, "frame")
    shutil.copytree(stack_chain.chain.place(Stage.TIMESERIES, "frame"), place)
    return chain, zarr.open_group(place / "timeseries.zarr", mode="r+")


def test_clipping_and_lost_places_are_reported(own):
    chain, group = own
    group["displacement"][5, 1] = 5000.0
    group["lon"][9] = np.nan
    result = chain.ingest()
    assert result.metrics["clipped"] == 1 and result.metrics["dropped"] == 1
    assert chain.report.warnings == list(result.warnings) and len(result.warnings) == 2
    steps = np.load(chain.place(Stage.INGEST, "frame") / SERIES)
    assert steps[5, 1] == 32767 and len(steps) == group["row"].shape[0] - 1


def test_a_threshold_keeps_poor_points_out(own):
    chain, group = own
    agreed = group["temporal_coherence"][:]
    middle = float(np.median(agreed))
    chain.settings[Stage.INGEST] = {"min_temporal_coherence": middle}
    assert chain.ingest().metrics["points"] == (agreed >= middle).sum()
    chain.settings[Stage.INGEST] = {"min_temporal_coherence": 1.0}
    group["temporal_coherence"][:] = 0.5
    with pytest.raises(ProcessingError, match="no point"):
        chain.ingest()


def test_repeated_ids_and_torn_files_are_refused(own):
    chain, group = own
    group["col"][3] = group["col"][4]
    group["row"][3] = group["row"][4]
    with pytest.raises(DataError, match="1 are repeated"):
        chain.ingest()
    place = chain.place(Stage.INGEST, "frame")
    np.save(place / SERIES, np.zeros((2, 2), np.int16))
    with pytest.raises(DataError, match="expected int16"):
        check(place)
