"""Coherence over siblings against its statistics; the smooth phase."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stack_truth import band_limited

from satdaemon.config.stages import CoherenceSettings
from satdaemon.insar import coherence, fringes, siblings, speckle
from satdaemon.insar.rowblocks import RowBlock, row_blocks
from satdaemon.processors.builtin.coherence import estimate
from satdaemon.processors.builtin.siblings import siblings_of_rows

RULE = siblings.SiblingRule(9, 9, 20.0, 1.0, 10, 50)
SETTINGS = CoherenceSettings(window_az=9, window_rg=9)


def homogeneous(shape, correlation):
    flat = np.ones(shape, np.float32)
    return siblings_of_rows(flat, flat, 0, shape[0], siblings.search_order(RULE, (1, 1)), RULE, correlation)


def pair(rng, shape, truth, phase=0.0):
    """Two images of coherence `truth` and interferometric phase `phase`."""
    one, other = band_limited(rng, shape), band_limited(rng, shape)
    second = (truth * one + np.sqrt(1 - truth**2) * other) * np.exp(-1j * np.asarray(phase))
    return one.astype(np.complex64), second.astype(np.complex64)


def measure(s1, s2, settings=SETTINGS):
    shape = s1.shape
    tiles = np.stack([s1[a : a + 16, b : b + 64] for a in range(0, shape[0] - 15, 16) for b in range(0, shape[1] - 63, 64)])
    rows = homogeneous(shape, speckle.correlation(tiles))
    whole = RowBlock(0, shape[0], 0, shape[0])
    return estimate(s1, s2, rows, whole, (9, 9), 10, settings)


@pytest.mark.parametrize("truth", [0.0, 0.3, 0.5, 0.7, 0.9])
def test_corrected_coherence_has_no_bias(truth):
    result, _, looks = measure(*pair(np.random.default_rng(3), (160, 192), truth))
    inner = np.abs(result)[10:-10, 10:-10]
    # unbiased in the square; at 0 only positive values remain, about 0.6 / sqrt(looks)
    tolerance = 0.13 if truth == 0 else 0.03
    assert np.sqrt(np.mean(inner**2)) == pytest.approx(truth, abs=tolerance)
    assert 25 < np.median(looks) < 45


def test_incoherent_ground_gives_hardly_any_point():
    _, chosen, _ = measure(*pair(np.random.default_rng(4), (256, 256), 0.0))
    assert chosen.mean() < 0.002


def test_false_alarms_come_at_the_rate_set():
    result, _, looks = measure(*pair(np.random.default_rng(5), (256, 256), 0.0))
    corrected = np.abs(result)[20:-20, 20:-20]
    inner = looks[20:-20, 20:-20]
    sample = np.sqrt((corrected**2 * (inner - 1) + 1) / inner)
    rate = np.mean(sample > coherence.significance_level(inner, 0.05))
    assert 0.02 < rate < 0.09


def test_phase_scatter_is_that_of_the_bound():
    result, _, looks = measure(*pair(np.random.default_rng(6), (192, 256), 0.7, 1.0))
    scatter = np.angle(result * np.exp(-1j))[10:-10, 10:-10]
    expected = coherence.phase_variance(np.full(1, 0.7, np.float32), float(np.median(looks)))[0]
    assert np.mean(scatter**2) == pytest.approx(expected, rel=0.25)


def test_fringes_cost_neither_coherence_nor_phase():
    shape = (160, 256)
    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]]
    phase = 0.12 * rows + 0.04 * cols
    images = pair(np.random.default_rng(7), shape, 0.8, phase)
    kept, _, _ = measure(*images)
    lost, _, _ = measure(*images, CoherenceSettings(window_az=9, window_rg=9, remove_fringes=False))
    inner = (slice(20, -20), slice(20, -20))
    assert np.abs(kept)[inner].mean() == pytest.approx(0.8, abs=0.02)
    assert np.abs(lost)[inner].mean() < np.abs(kept)[inner].mean() - 0.01
    error = np.angle(kept * np.exp(-1j * phase))[inner]
    assert abs(error.mean()) < 0.02


def test_siblings_on_one_side_do_not_shift_the_phase():
    """At an edge all siblings lie inland: on a phase slope their plain mean is the phase of another place."""
    shape = (160, 256)
    phase = 0.06 * np.mgrid[0 : shape[0], 0 : shape[1]][0]
    s1, s2 = pair(np.random.default_rng(8), shape, 0.9, phase)
    result, _, _ = measure(s1, s2)
    plain, _, _ = measure(s1, s2, CoherenceSettings(window_az=9, window_rg=9, remove_fringes=False))
    edge, plain_edge = (abs(np.angle((z * np.exp(-1j * phase))[0]).mean()) for z in (result, plain))
    assert plain_edge > 0.08
    assert edge < plain_edge / 3


def test_blocks_do_not_show():
    s1, s2 = pair(np.random.default_rng(9), (200, 130), 0.6, np.linspace(0, 9, 200)[:, None])
    s1[50:60, 40:] = np.nan
    rows = homogeneous(s1.shape, np.eye(3))
    whole = estimate(s1, s2, rows, RowBlock(0, 200, 0, 200), (9, 9), 10, SETTINGS)
    for block in row_blocks(200, 64, halo=fringes.HALO_ROWS, align=fringes.NODE[0]):
        part = homogeneous(s1.shape, np.eye(3))
        start = part.start[block.first : block.stop + 1]
        cut = type(part)(part.packed[start[0] : start[-1]], start - start[0], part.count[block.first : block.stop],
                         part.looks[block.first : block.stop])
        inside = slice(block.halo_first, block.halo_stop)
        result, chosen, _ = estimate(s1[inside], s2[inside], cut, block, (9, 9), 10, SETTINGS)
        assert np.allclose(result, whole[0][block.first : block.stop], atol=2e-4)
        assert (chosen == whole[1][block.first : block.stop]).mean() > 0.999


def test_absent_pixels_stay_empty_and_do_not_harm_others():
    s1, s2 = pair(np.random.default_rng(10), (64, 128), 0.9)
    s1[:, 60:70] = np.nan
    s2[20:30] = 0
    result, chosen, looks = measure(s1, s2)
    assert (result[:, 60:70] == 0).all() and (chosen[:, 60:70] == 0).all()
    assert (result[20:30] == 0).all()
    assert np.isfinite(result).all()
    assert looks[40, 72] < looks[40, 100]


@given(st.floats(0, 1), st.floats(1.5, 500))
def test_corrected_lies_between_zero_and_the_sample(sample, looks):
    value = float(coherence.corrected(np.float32([sample]), np.float32([looks]))[0])
    assert 0 <= value <= np.float32(sample) * (1 + 1e-5) + 1e-6


@given(st.floats(1.1, 500), st.floats(1e-6, 0.5))
def test_significance_level_inverts_the_distribution(looks, false_alarm):
    level = float(coherence.significance_level(np.float32([looks]), false_alarm)[0])
    assert 0 < level <= 1
    if level < 0.999:
        assert (1 - level**2) ** (np.float32(looks) - 1) == pytest.approx(false_alarm, rel=0.02)


def test_slopes_are_found_and_noise_has_none():
    rng = np.random.default_rng(11)
    rows, cols = np.mgrid[0:160, 0:240]
    s1, s2 = pair(rng, (160, 240), 0.8, -0.1 * rows + 0.03 * cols)
    az, rg = fringes.phase_slopes(s1 * s2.conj(), 8)
    assert np.allclose(az, -0.1, atol=0.02) and np.allclose(rg, 0.03, atol=0.01)
    s1, s2 = pair(rng, (160, 240), 0.0)
    az, rg = fringes.phase_slopes(s1 * s2.conj(), 0)
    assert (az == 0).mean() > 0.9 and (rg == 0).mean() > 0.9
    with pytest.raises(ValueError, match="multiple of 8"):
        fringes.phase_slopes(s1, 3)


def _average_in_child(queue) -> None:
    s1, s2 = pair(np.random.default_rng(1), (64, 96), 0.8)
    queue.put(float(np.abs(measure(s1, s2)[0]).mean()))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_kernels_work_in_a_forked_child():
    """Processors run in children of a fork server whose parent has loaded the modules but run no kernel."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["satdaemon.processors.builtin.coherence"])
    queue = context.Queue()
    child = context.Process(target=_average_in_child, args=(queue,))
    child.start()
    value = queue.get(timeout=120)
    child.join(30)
    assert child.exitcode == 0
    assert 0.7 < value < 0.9
