"""ESD: injected shifts are found, incoherent overlaps refused, networks robust."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satdaemon.errors import ProcessingError
from satdaemon.insar.esd import (
    Cells,
    OverlapImage,
    Shift,
    combine_shifts,
    double_difference,
    estimate_shift,
    join_cells,
)

LINE_S = 2.0555563e-3
SHAPE = (130, 300)
CELL = (5, 20)
MAX_S = 0.05 * LINE_S


def _pair(shift_px: float, coherence: float, frequency_hz: float, seed: int) -> tuple[OverlapImage, OverlapImage]:
    """Two dates of one overlap: common motion phase, carriers half the Doppler difference up and down."""
    rng = np.random.default_rng(seed)
    row, col = np.mgrid[: SHAPE[0], : SHAPE[1]]
    motion = np.exp(1j * (3 * np.sin(row / 40) + col / 60))

    def noise() -> np.ndarray:
        return (rng.standard_normal(SHAPE) + 1j * rng.standard_normal(SHAPE)) / np.sqrt(2)

    first, second = [], []
    for sign in (0.5, -0.5):
        common = noise()
        carrier = np.exp(-2j * np.pi * sign * frequency_hz * shift_px * LINE_S)
        first.append((np.sqrt(coherence) * common + np.sqrt(1 - coherence) * noise()).astype(np.complex64))
        other = np.sqrt(coherence) * common * motion * carrier + np.sqrt(1 - coherence) * noise()
        second.append(other.astype(np.complex64))
    return (first[0], first[1]), (second[0], second[1])


def _cells(shift_px: float, coherence: float = 0.7, seed: int = 0) -> Cells:
    parts = []
    for k, frequency in enumerate((4900.0, 4130.0)):
        first, second = _pair(shift_px, coherence, frequency, 10 * seed + k)
        parts.append(double_difference(first, second, np.array([[frequency]]), CELL, 0.3))
    return join_cells(parts)


@settings(max_examples=15, deadline=None)
@given(st.floats(-0.045, 0.045), st.integers(0, 1000))
def test_injected_shift_within_a_thousandth(shift_px: float, seed: int) -> None:
    found = estimate_shift(_cells(shift_px, seed=seed), MAX_S)
    assert found.shift_s / LINE_S == pytest.approx(shift_px, abs=0.001)
    assert abs(found.shift_s / LINE_S - shift_px) < 6 * found.sd_s / LINE_S


def test_sd_tells_the_scatter() -> None:
    found = [estimate_shift(_cells(0.01, coherence=0.5, seed=s), MAX_S) for s in range(20)]
    scatter = np.std([f.shift_s for f in found])
    assert 0.5 < scatter / np.mean([f.sd_s for f in found]) < 2.0


def test_half_of_the_cells_wrong_does_not_matter_much() -> None:
    cells = _cells(0.02)
    spoilt = cells.phase_rad.copy()
    spoilt[::3] = np.random.default_rng(1).uniform(-np.pi, np.pi, spoilt[::3].size)
    found = estimate_shift(Cells(spoilt, cells.frequency_hz, cells.sd_rad, cells.total), MAX_S)
    assert found.shift_s / LINE_S == pytest.approx(0.02, abs=0.001)


def test_incoherent_overlap_is_refused() -> None:
    cells = _cells(0.01, coherence=0.0)
    assert cells.phase_rad.size < 0.05 * cells.total
    with pytest.raises(ProcessingError, match="coherent"):
        estimate_shift(cells, MAX_S)


def test_no_data_is_left_out() -> None:
    first, second = _pair(0.01, 0.8, 4900.0, 3)
    first[0][:60] = np.nan
    cells = double_difference(first, second, np.array([[4900.0]]), CELL, 0.3)
    assert cells.total == (130 // 5 - 12) * 15
    assert estimate_shift(cells, MAX_S).shift_s / LINE_S == pytest.approx(0.01, abs=0.001)


def test_network_outvotes_a_bad_pair_and_weighs_by_certainty() -> None:
    good = [Shift(0.0100 + d, 1e-4, 300, 0.5) for d in (-1e-4, 0.0, 1e-4, 2e-5)]
    bad = Shift(0.03, 1e-4, 300, 0.5)
    best = combine_shifts([*good, bad], [0.0] * 5)
    assert best.shift_s == pytest.approx(0.0100, abs=2e-4)
    assert best.sd_s >= 1e-4 / np.sqrt(5)
    vague = combine_shifts([Shift(0.010, 1e-4, 1, 1.0), Shift(0.012, 1e-4, 1, 1.0)], [0.0, 1e-2])
    assert vague.shift_s == pytest.approx(0.010, abs=1e-5)


def test_join_of_nothing_is_refused() -> None:
    with pytest.raises(ProcessingError, match="0 of 0"):
        estimate_shift(join_cells([]), MAX_S)
