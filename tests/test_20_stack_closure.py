"""Whole cycles put into a network are found again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satdaemon.insar.closure import component_cycles, correct_points, members, triangles

PAIRS = [(i, j) for i in range(12) for j in range(i + 1, min(i + 4, 12))]
LOOPS = triangles(PAIRS)
CYCLE = 2 * np.pi


def consistent(rng, points, noise=0.25):
    truth = np.cumsum(rng.normal(0, 1.5, (points, 12)), 1)
    phase = np.stack([truth[:, i] - truth[:, j] for i, j in PAIRS], 1)
    return (phase + rng.normal(0, noise, phase.shape)).astype(np.float32)


def test_triangles_close():
    assert len(LOOPS) == sum(1 for i in range(12) for a in (1, 2) for b in (1, 2) if a + b <= 3 and i + a + b < 12)
    for a, b, c in LOOPS:
        (i, j), (k, l), (m, n) = PAIRS[a], PAIRS[b], PAIRS[c]
        assert (i, l, j) == (m, n, k)
    start, member = members(LOOPS, len(PAIRS))
    assert start[-1] == 3 * len(LOOPS) == len(member)
    assert triangles([(0, 1), (2, 3)]).shape == (0, 3)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([k for k in range(len(PAIRS))]), st.sampled_from([-2, -1, 1, 2]))
def test_one_wrong_pair_is_found_without_doubt(seed, pair, cycles):
    rng = np.random.default_rng(seed)
    phase = consistent(rng, 3)
    wrong = phase.copy()
    wrong[1, pair] += np.float32(CYCLE * cycles)
    corrected, found, left = correct_points(wrong, np.full(phase.shape, 0.7, np.float32), LOOPS)
    in_triangles = np.count_nonzero(pair == LOOPS)
    assert in_triangles >= 2
    assert found[1, pair] == -cycles and np.count_nonzero(found) == 1
    assert np.allclose(corrected, phase, atol=1e-4) and (left == 0).all()


def test_many_wrong_pairs_are_nearly_all_found():
    rng = np.random.default_rng(1)
    phase = consistent(rng, 20_000)
    put = np.where(rng.random(phase.shape) < 0.03, rng.choice([-1, 1], phase.shape), 0)
    gone = rng.random(phase.shape) < 0.05
    phase[gone] = np.nan
    wrong = (phase + CYCLE * put).astype(np.float32)
    _, found, _ = correct_points(wrong, np.full(phase.shape, 0.7, np.float32), LOOPS)
    hit = (put != 0) & ~gone
    assert hit.mean() > 0.02
    right = (found == -put) | gone
    # what is left lies in one triangle or in none, where nothing can tell
    assert (~right).any(1).mean() < 0.05
    assert right[hit].mean() > 0.93


def test_nothing_is_changed_that_closes():
    rng = np.random.default_rng(2)
    phase = consistent(rng, 500, noise=0.3)
    corrected, found, left = correct_points(phase, np.full(phase.shape, 0.7, np.float32), LOOPS)
    assert not found.any() and not left.any()
    assert corrected is phase


def test_in_a_lone_triangle_the_least_coherent_pair_is_corrected():
    loops = triangles([(0, 1), (0, 2), (1, 2)])
    phase = np.array([[0.3, 0.5 + CYCLE, 0.2]], np.float32)
    for weakest in range(3):
        coherence = np.full((1, 3), 0.9, np.float32)
        coherence[0, weakest] = 0.4
        _, found, left = correct_points(phase, coherence, loops)
        assert abs(int(found[0, weakest])) == 1 and np.abs(found).sum() == 1 and left[0] == 0


def test_a_wrong_component_is_corrected_as_a_whole():
    rng = np.random.default_rng(3)
    points = 400
    phase = consistent(rng, points)
    component = np.ones(phase.shape, np.uint16)
    component[300:, 5] = 2
    component[350:, 9] = 3
    wrong = phase.copy()
    wrong[300:, 5] += np.float32(CYCLE)
    wrong[350:, 9] -= np.float32(2 * CYCLE)
    # single points are wrong as well, and must not be taken for components
    alone = rng.integers(0, 300, 30)
    wrong[alone, 12] += np.float32(CYCLE)
    steps = component_cycles(wrong, np.full(phase.shape, 0.7, np.float32), component, LOOPS)
    assert steps == {(5, 2): -1, (9, 3): 2}


def test_without_triangles_nothing_is_judged():
    phase = np.array([[1.0, np.nan]], np.float32)
    corrected, found, left = correct_points(phase, np.ones_like(phase), triangles([(0, 1), (1, 2)]))
    assert corrected is phase and not found.any() and left[0] == 0
    assert component_cycles(phase, np.ones_like(phase), np.ones((1, 2), np.uint16), triangles([(0, 1)])) == {}


@pytest.mark.parametrize("cycles", [-1, 1])
def test_missing_interferograms_are_left_alone(cycles):
    rng = np.random.default_rng(4)
    phase = consistent(rng, 10)
    phase[:, 4] = np.nan
    phase[3, 10] += np.float32(CYCLE * cycles)
    corrected, found, _ = correct_points(phase, np.full(phase.shape, 0.7, np.float32), LOOPS)
    assert found[3, 10] == -cycles
    assert np.isnan(corrected[:, 4]).all() and not found[:, 4].any()
