"""The unwrap stage on products on disk."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from stack_chain import Finished
from stack_products import Chain, write_geometry
from stack_truth import ROCK, TOWN

from satdaemon.errors import CorruptProduct, ProcessingError
from satdaemon.insar.rowrasters import read_raster, write_raster
from satdaemon.status import Stage


def products(done: Finished, number: int) -> tuple[Path, Path]:
    first, second = done.chain.pairs()[number]
    key = f"{first:%Y%m%d}_{second:%Y%m%d}"
    return done.chain.place(Stage.COHERENCE, key), done.chain.place(Stage.UNWRAP, key)


@pytest.mark.parametrize("number", [0, 5, 14])
def test_unwrapped_phase_is_the_truth_and_wraps_to_the_input(stack_chain: Finished, number: int):
    coherence, unwrap = products(stack_chain, number)
    ifg, chosen = read_raster(coherence / "ifg.tif"), read_raster(coherence / "points.tif") == 1
    phase = read_raster(unwrap / "unwrapped.tif")
    known = np.isfinite(phase)
    # pixels farther than max_gap_m from all others stay out
    assert not known[~chosen].any() and known[chosen].mean() > 0.998
    back = np.angle(np.exp(1j * phase[known].astype(np.float64)) * np.conj(ifg[known]))
    assert np.abs(back).max() < 1e-5
    first, second = stack_chain.chain.pairs()[number]
    dates = stack_chain.chain.dates
    truth = stack_chain.stack.phase[dates.index(first)] - stack_chain.stack.phase[dates.index(second)]
    firm = known & np.isin(stack_chain.stack.classes, (ROCK, TOWN))
    cycles = np.round((phase - truth)[firm] / (2 * np.pi))
    assert np.mean(cycles != np.median(cycles)) < 0.005


def test_rasters_agree_on_what_is_a_point(stack_chain: Finished):
    coherence, unwrap = products(stack_chain, 1)
    chosen = read_raster(coherence / "points.tif") == 1
    components, quality = read_raster(unwrap / "components.tif"), read_raster(unwrap / "coherence.tif")
    assert components.dtype == np.uint16 and (components[~chosen] == 0).all()
    assert (components[chosen] == 1).mean() > 0.95
    assert np.array_equal(np.isfinite(quality), chosen) and quality[chosen].min() >= 0.44
    margin = read_raster(unwrap / "reliability.tif")
    assert np.isnan(margin[~chosen]).all() and np.nanmedian(margin) > 5
    document = json.loads((unwrap / "product.json").read_text())
    assert document["metrics"]["points"] == chosen.sum() and document["cell"] == [2, 4]


def pair_of(root: Path, ifg: np.ndarray, chosen: np.ndarray, **settings: object) -> Chain:
    days = [date(2023, 1, 1), date(2023, 1, 13)]
    chain = Chain(root, days, settings={Stage.UNWRAP: settings})
    write_geometry(chain.satsar(chain.master), ifg.shape)
    place = chain.place(Stage.COHERENCE, "20230101_20230113")
    place.mkdir(parents=True)
    write_raster(place / "ifg.tif", ifg)
    write_raster(place / "points.tif", chosen.astype(np.uint8))
    (place / "product.json").write_text(json.dumps({"metrics": {"point_looks_mean": 25.0}}))
    return chain


def test_too_few_points_are_told_politely(tmp_path: Path):
    ifg = np.ones((64, 64), np.complex64)
    chosen = np.zeros(ifg.shape, bool)
    chosen[::8, ::8] = True
    chain = pair_of(tmp_path, ifg, chosen)
    with pytest.raises(ProcessingError, match=r"at least 200 points \(min_points\), got 64"):
        chain.unwrap(*chain.dates)


def test_islands_are_told_as_a_warning(tmp_path: Path):
    ifg = np.ones((400, 600), np.complex64)
    chosen = np.zeros(ifg.shape, bool)
    for row in (0, 130, 260):
        for col in (0, 200, 400):
            chosen[row : row + 40, col : col + 60] = True
    chain = pair_of(tmp_path, ifg, chosen, max_gap_m=60)
    result = chain.unwrap(*chain.dates)
    assert result.metrics["components"] == 9
    assert any("largest component has only 11%" in text for text in result.warnings)
    phase = read_raster(chain.place(Stage.UNWRAP, "20230101_20230113") / "unwrapped.tif")
    assert np.nanmax(np.abs(phase)) < 1e-6


def test_a_product_without_its_looks_is_refused(tmp_path: Path):
    ifg = np.ones((64, 64), np.complex64)
    chain = pair_of(tmp_path, ifg, np.ones(ifg.shape, bool))
    (chain.place(Stage.COHERENCE, "20230101_20230113") / "product.json").write_text("{}")
    with pytest.raises(CorruptProduct, match="point_looks_mean"):
        chain.unwrap(*chain.dates)
