"""The coherence stage on products on disk: the frame's row and a pair's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from stack_chain import ABSENT, ABSENT_ROWS, SHAPE, Finished
from stack_products import FIRST, write_chain
from stack_truth import FIELD, ROCK, TOWN, WATER, make_stack

from satdaemon.errors import CorruptProduct, DataError, NotReady, ProcessingError
from satdaemon.insar.rowrasters import read_raster, write_raster
from satdaemon.insar.sibling_store import NAME, SiblingReader
from satdaemon.status import RowKind, Stage


def pair_place(done: Finished, number: int = 0) -> Path:
    first, second = done.chain.pairs()[number]
    return done.chain.place(Stage.COHERENCE, f"{first:%Y%m%d}_{second:%Y%m%d}")


def test_the_frame_gets_siblings_and_amplitudes(stack_chain: Finished):
    place = stack_chain.chain.place(Stage.COHERENCE, "frame")
    reader = SiblingReader(place / NAME)
    assert reader.shape == SHAPE and reader.window == (15, 45)
    rows = reader.rows(0, SHAPE[0])
    assert (rows.count > 0).mean() > 0.98
    assert rows.count.max() == 50 and 25 < np.median(rows.looks) < 50
    amplitude = read_raster(place / "amplitude.tif")
    kinds = [np.median(amplitude[stack_chain.stack.classes == kind]) for kind in (WATER, FIELD, ROCK, TOWN)]
    assert kinds == sorted(kinds)
    document = json.loads((place / "product.json").read_text())
    assert document["spacing_m"] == pytest.approx([14.0, 3.5], rel=0.01)
    assert len(document["radiometric_scales"]) == len(stack_chain.chain.dates)
    assert 0.04 < document["speckle_correlation"][0][1] < 0.16


def test_points_are_the_coherent_ground(stack_chain: Finished):
    points = read_raster(pair_place(stack_chain) / "points.tif")
    ifg = read_raster(pair_place(stack_chain) / "ifg.tif")
    assert points.dtype == np.uint8 and ifg.dtype == np.complex64
    classes = stack_chain.stack.classes
    assert points[np.isin(classes, (ROCK, TOWN))].mean() > 0.85
    assert np.isin(classes[points == 1], (WATER, FIELD)).mean() < 0.03
    assert np.abs(ifg).max() <= 1.0001


def test_phase_is_that_of_the_truth(stack_chain: Finished):
    ifg = read_raster(pair_place(stack_chain) / "ifg.tif")
    chosen = read_raster(pair_place(stack_chain) / "points.tif") == 1
    truth = stack_chain.stack.phase[0] - stack_chain.stack.phase[1]
    error = np.angle(ifg * np.exp(-1j * truth))[chosen]
    assert abs(error.mean()) < 0.02 and error.std() < 0.16


def test_an_absent_burst_is_empty_not_incoherent(stack_chain: Finished):
    pairs = stack_chain.chain.pairs()
    number = next(k for k, pair in enumerate(pairs) if stack_chain.chain.dates[ABSENT] in pair)
    ifg = read_raster(pair_place(stack_chain, number) / "ifg.tif")
    assert (ifg[:ABSENT_ROWS] == 0).all() and (ifg[ABSENT_ROWS + 10 :] != 0).mean() > 0.95
    points = read_raster(pair_place(stack_chain, number) / "points.tif")
    assert (points[:ABSENT_ROWS] == 0).all() and points[ABSENT_ROWS:].mean() > 0.4


def test_little_memory_gives_the_same_product(stack_chain: Finished, tmp_path: Path):
    chain = stack_chain.chain
    first, second = chain.pairs()[3]
    before = pair_place(stack_chain, 3)
    inputs = {f"satsar/{day:%Y%m%d}": chain.satsar(day) for day in (first, second)}
    inputs["siblings"] = chain.place(Stage.COHERENCE, "frame")
    small = type(chain)(tmp_path, chain.dates, memory_gb=0.014)
    small.run(small.job(Stage.COHERENCE, RowKind.RSAR_IFG, inputs, first, second))
    after = small.place(Stage.COHERENCE, before.name)
    assert np.allclose(read_raster(after / "ifg.tif"), read_raster(before / "ifg.tif"), atol=1e-3)
    assert max(small.report.fractions) == 1 and len(small.report.fractions) == 3


def test_a_short_stack_waits_and_a_foreign_grid_is_refused(tmp_path: Path):
    stack = make_stack((64, 96), 4)
    chain = write_chain(tmp_path, stack)
    with pytest.raises(NotReady, match=r"at least 5 \(min_dates\), got 4"):
        chain.siblings()
    chain.settings[Stage.COHERENCE] = {"min_dates": 3}
    chain.siblings()
    write_raster(chain.satsar(chain.dates[1]) / "slc.tif", stack.slc[1][:50])
    with pytest.raises(CorruptProduct, match="must share its grid"):
        chain.coherence(chain.dates[0], chain.dates[1])
    (chain.satsar(chain.dates[1]) / "slc.tif").unlink()
    with pytest.raises(CorruptProduct, match=r"slc\.tif"):
        chain.coherence(chain.dates[0], chain.dates[1])


def test_dates_without_common_ground_and_missing_roles_are_refused(tmp_path: Path):
    stack = make_stack((64, 96), 5)
    stack.slc[0][:32] = np.nan
    stack.slc[1][32:] = np.nan
    chain = write_chain(tmp_path, stack, settings={Stage.COHERENCE: {"threshold": 0.5}})
    chain.siblings()
    with pytest.raises(ProcessingError, match="share no burst"):
        chain.coherence(chain.dates[0], chain.dates[1])
    job = chain.job(Stage.COHERENCE, RowKind.RSAR_IFG, {}, FIRST, chain.dates[1])
    with pytest.raises(DataError, match="expected the product siblings"):
        chain.run(job)
