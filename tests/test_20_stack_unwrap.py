"""Unwrapping of points against truth; components, levels, reliability."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stack_truth import smooth_field

from satdaemon.errors import ProcessingError
from satdaemon.insar.components import bridge_levels, label_components, reliability
from satdaemon.insar.rowblocks import block_rows, tiles
from satdaemon.insar.unwrap import CellBuilder, cells_for_memory, lift, unwrap_cells

SHAPE = (240, 320)
LIMITS = {"max_gap_m": 150.0, "min_cells": 10, "min_component": 20}


def scene(rng, looks=20, share=0.7):
    """Interferogram of a bowl and atmosphere with noise, points chosen by coherence."""
    rows, cols = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    phase = 18 * np.exp(-(((rows - 120) / 45) ** 2 + ((cols - 160) / 60) ** 2)) + 2 * smooth_field(rng, SHAPE)
    noise = rng.normal(0, 0.25, SHAPE)
    ifg = (0.7 * np.exp(1j * (phase + noise))).astype(np.complex64)
    return phase, ifg, rng.random(SHAPE) < share


def solve(ifg, chosen, thin=(2, 4), method="auto", block=64):
    builder = CellBuilder(ifg.shape, thin)
    for first in range(0, ifg.shape[0], block):
        builder.add(first, ifg[first : first + block], chosen[first : first + block])
    cells = builder.build()
    solved = unwrap_cells(cells, (14 * thin[0], 3.5 * thin[1]), 20.0, method=method, **LIMITS)
    grid = np.full(builder.grid, np.nan)
    grid[cells.row, cells.col] = solved.phase_rad
    spread = np.repeat(np.repeat(grid, thin[0], 0), thin[1], 1)[: ifg.shape[0], : ifg.shape[1]]
    return cells, solved, lift(ifg, chosen, spread)


@pytest.mark.parametrize("method", ["sparse", "grid", "auto"])
@pytest.mark.parametrize("thin", [(1, 1), (2, 4)])
def test_the_truth_comes_back_but_for_one_constant(method, thin):
    phase, ifg, chosen = scene(np.random.default_rng(1))
    _, solved, result = solve(ifg, chosen, thin, method)
    cycles = np.round((result - phase)[chosen] / (2 * np.pi))
    assert np.isfinite(result[chosen]).all() and np.isnan(result[~chosen]).all()
    assert np.mean(cycles != np.median(cycles)) < 0.005
    assert solved.component.max() == 1
    if method != "auto":
        assert solved.method == method


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.02, 1.0), st.sampled_from(["sparse", "grid"]))
def test_wrapping_gives_the_input_back(seed, share, method):
    rng = np.random.default_rng(seed)
    ifg = np.exp(1j * rng.uniform(-np.pi, np.pi, (64, 96))).astype(np.complex64)
    chosen = rng.random(ifg.shape) < share
    _, _, result = solve(ifg, chosen, method=method)
    known = np.isfinite(result)
    assert not known[~chosen].any()
    back = np.angle(np.exp(1j * (result[known].astype(np.float64) - np.angle(ifg[known]))))
    assert np.abs(back).max() < 1e-5


def test_blocks_do_not_change_cells():
    _, ifg, chosen = scene(np.random.default_rng(2))
    whole, _, first = solve(ifg, chosen, block=240)
    parts, _, second = solve(ifg, chosen, block=32)
    assert np.array_equal(whole.row, parts.row) and np.array_equal(whole.col, parts.col)
    assert np.allclose(whole.phasor, parts.phasor)
    assert np.array_equal(first, second, equal_nan=True)
    with pytest.raises(ValueError, match="multiple of 2"):
        CellBuilder((10, 10), (2, 4)).add(3, ifg[:5, :10], chosen[:5, :10])


def test_a_lake_divides_components_and_their_level_is_found():
    phase, ifg, chosen = scene(np.random.default_rng(3), share=0.9)
    chosen[:, 150:220] = False  # 245 m of water, more than max_gap_m
    _, solved, result = solve(ifg, chosen)
    assert solved.component.max() == 2 and solved.bridged == 1
    for side in (slice(0, 150), slice(220, 320)):
        cycles = np.round((result - phase)[:, side][chosen[:, side]] / (2 * np.pi))
        assert np.mean(cycles != np.median(cycles)) < 0.01


def test_an_uncertain_level_is_left_alone():
    row, col = (grid.ravel().astype(np.int32) for grid in np.mgrid[0:20, 0:40])
    keep = (col < 15) | (col >= 25)
    row, col = row[keep], col[keep]
    component = np.where(col < 15, 1, 2).astype(np.uint16)
    for step, bridged in ((2 * np.pi + 0.5, 1), (np.pi, 0)):
        phase = np.where(component == 1, 0.0, step)
        moved, count = bridge_levels(row, col, (10, 10), phase, component)
        assert count == bridged
        assert np.allclose(moved[component == 2], 0.5 if bridged else step)
        assert np.allclose(moved[component == 1], 0)


def test_components_end_at_gaps_and_at_cycle_steps():
    row, col = (grid.ravel().astype(np.int32) for grid in np.mgrid[0:12, 0:30])
    phase = np.where(col < 14, 0.0, 2 * np.pi) + np.where(row > 100, 1, 0)
    label = label_components(row, col, phase, (2, 2), 5)
    assert set(label[col < 14]) == {2} and set(label[col >= 14]) == {1}
    phase[col == 29] = np.nan
    phase[(col < 3) & (row < 1)] = 4 * np.pi
    label = label_components(row, col, phase, (1, 1), 5)
    assert (label[col == 29] == 0).all() and (label[(col < 3) & (row < 1)] == 0).all()


def test_reliability_is_low_beside_a_step_and_high_on_calm_ground():
    row, col = (grid.ravel().astype(np.int32) for grid in np.mgrid[0:10, 0:20])
    variance = np.full(len(row), 0.02, np.float32)
    phase = np.where(col < 10, 0.0, 2 * np.pi)
    margin = reliability(row, col, phase, variance, (2, 2))
    assert (margin[(col == 9) | (col == 10)] < 0).all()
    assert np.allclose(margin[(col < 9) | (col > 10)], np.pi / 0.2, rtol=1e-4)
    alone = reliability(np.array([0, 5], np.int32), np.array([0, 5], np.int32), np.zeros(2), variance[:2], (1, 1))
    assert np.isnan(alone).all()


def test_points_on_a_line_are_unwrapped_along_it():
    ifg = np.zeros((40, 400), np.complex64)
    chosen = np.zeros(ifg.shape, bool)
    chosen[10, ::4] = True
    truth = np.arange(400) * 0.1
    ifg[10] = np.exp(1j * truth)
    _, _, result = solve(ifg, chosen)
    line = result[10, ::4] - truth[::4]
    assert np.allclose(line, line[0], atol=1e-4)


def test_too_few_points_are_refused_with_their_number():
    ifg = np.ones((40, 40), np.complex64)
    chosen = np.zeros(ifg.shape, bool)
    chosen[3, 3:8] = True
    with pytest.raises(ProcessingError, match=r"at least 10 cells with points, got 2 \(5 points\)"):
        solve(ifg, chosen)
    with pytest.raises(ProcessingError, match="got 0"):
        solve(ifg, np.zeros_like(chosen))


def test_cells_grow_until_they_fit_the_memory():
    assert cells_for_memory((4200, 600), 2.0, (2, 4)) == (2, 4)
    rows, cols = cells_for_memory((25_000, 60_000), 3.0, (2, 4))
    assert rows / cols == 0.5
    assert 25_000 / rows * 60_000 / cols * 700 <= 0.5 * 3e9


@settings(deadline=None)
@given(st.integers(1, 70_000), st.integers(1, 70_000), st.floats(1, 5000), st.floats(0.2, 64))
def test_blocks_and_tiles_stay_within_the_budget(rows, cols, per_px, memory_gb):
    try:
        parts = tiles((rows, cols), per_px, memory_gb)
    except ProcessingError as error:
        assert "raise memory_gb" in str(error)
        return
    assert sum(tile.rows * tile.cols for tile in parts[:50_000]) <= rows * cols
    if len(parts) < 50_000:
        assert sum(tile.rows * tile.cols for tile in parts) == rows * cols
    assert max(tile.rows * tile.cols for tile in parts) * per_px <= 0.5 * memory_gb * 1e9
    assert all(tile.row % 64 == 0 for tile in parts)


def test_block_height_follows_from_memory():
    with pytest.raises(ProcessingError, match=r"needs 3\.07 GB, the job has 3\.00 GB"):
        block_rows(60_000, 400, 3.0)
    assert block_rows(600, 400, 2.0) == 4160
