"""SBAS against plain least squares, truth, and a published real data set."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from realdata import data_dir
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import minimum_spanning_tree

from satdaemon.insar.sbas import Network, invert


def chain(dates: int, reach: int = 3) -> list[tuple[int, int]]:
    return [(i, j) for i in range(dates) for j in range(i + 1, min(i + 1 + reach, dates))]


def design(pairs, dates):
    matrix = np.zeros((len(pairs), dates))
    for p, (i, j) in enumerate(pairs):
        matrix[p, i], matrix[p, j] = 1, -1
    return matrix


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 12), st.floats(0, 0.5))
def test_each_point_is_weighted_least_squares_over_its_own_network(seed, dates, missing):
    rng = np.random.default_rng(seed)
    pairs = [(i, j) for i in range(dates) for j in range(i + 1, dates) if rng.random() < 0.6 or j == i + 1]
    phase = rng.normal(0, 3, (4, len(pairs))).astype(np.float32)
    phase[rng.random(phase.shape) < missing] = np.nan
    weight = rng.uniform(0.5, 20, phase.shape).astype(np.float32)
    series = invert(phase, weight, Network.of(pairs, dates))
    for point in range(4):
        known = np.isfinite(phase[point])
        found = np.isfinite(series.phase_rad[point])
        # the same connected set by walking the graph
        sets = [{d} for d in range(dates)]
        for (i, j), has in zip(pairs, known, strict=True):
            if has:
                a, b = (next(s for s in sets if d in s) for d in (i, j))
                if a is not b:
                    sets.remove(b)
                    a |= b
        largest = max(len(s) for s in sets)
        if largest == 1:
            assert not found.any()
            continue
        mine = set(np.flatnonzero(found).tolist())
        assert len(mine) == largest and mine in sets
        use = known & np.array([i in mine for i, _ in pairs])
        matrix = design(pairs, dates)[use][:, sorted(mine)[1:]]
        root = np.sqrt(weight[point, use].astype(float))
        expected = np.linalg.lstsq(matrix * root[:, None], phase[point, use] * root, rcond=None)[0]
        assert series.phase_rad[point, min(mine)] == 0
        assert np.allclose(series.phase_rad[point, sorted(mine)[1:]], expected, atol=2e-4)
        residual = phase[point, use] - matrix @ expected
        assert series.temporal_coherence[point] == pytest.approx(abs(np.exp(1j * residual).mean()), abs=1e-4)
        assert series.pairs[point] == use.sum()


def test_dates_that_nothing_connects_are_unknown_not_bridged():
    pairs = [(0, 1), (1, 2), (3, 4), (2, 3)]
    phase = np.array([[1.0, 1.0, 5.0, np.nan], [np.nan, np.nan, 5.0, 2.0], [np.nan] * 4], np.float32)
    series = invert(phase, np.ones_like(phase), Network.of(pairs, 5))
    assert np.allclose(series.phase_rad[0], [0, -1, -2, np.nan, np.nan], equal_nan=True)
    assert np.allclose(series.phase_rad[1], [np.nan, np.nan, 0, -2, -7], equal_nan=True)
    assert np.isnan(series.phase_rad[2]).all()
    assert series.temporal_coherence[2] == 0 and series.pairs[2] == 0


def test_weights_pull_to_the_better_pairs():
    pairs = [(0, 1), (1, 2), (0, 2)]
    phase = np.array([[0.0, 0.0, 1.0]], np.float32)
    network = Network.of(pairs, 3)
    trusting = invert(phase, np.array([[1.0, 1.0, 1000.0]], np.float32), network)
    doubting = invert(phase, np.array([[1000.0, 1000.0, 1.0]], np.float32), network)
    assert trusting.phase_rad[0, 2] == pytest.approx(-1, abs=0.01)
    assert doubting.phase_rad[0, 2] == pytest.approx(0, abs=0.01)


def test_scatter_of_the_series_is_the_inverse_normal_matrix():
    dates, pairs = 10, chain(10)
    rng = np.random.default_rng(2)
    sigma = rng.uniform(0.1, 0.6, len(pairs))
    phase = (rng.standard_normal((40_000, len(pairs))) * sigma).astype(np.float32)
    series = invert(phase, np.broadcast_to(1 / sigma**2, phase.shape).astype(np.float32), Network.of(pairs, dates))
    matrix = design(pairs, dates)[:, 1:]
    expected = np.sqrt(np.diag(np.linalg.inv(matrix.T @ np.diag(1 / sigma**2) @ matrix)))
    assert np.allclose(series.phase_rad[:, 1:].std(0), expected, rtol=0.03)


def test_long_pairs_widen_the_envelope_only_where_they_are():
    pairs = [*chain(40), (2, 32)]
    network = Network.of(sorted(pairs), 40)
    assert network.envelope[32] == 2 and network.envelope[31] == 28 and network.envelope[0] == 0
    rng = np.random.default_rng(3)
    truth = np.cumsum(rng.normal(0, 1, 40))
    phase = np.array([[truth[i] - truth[j] for i, j in sorted(pairs)]], np.float32)
    series = invert(phase, np.ones_like(phase), network)
    assert np.allclose(series.phase_rad[0], truth - truth[0], atol=1e-4)


@pytest.mark.realdata
def test_pyrate_series_of_sydney():
    """Expected series of PyRate's own SVD inversion over the spanning tree of the least empty interferograms."""
    root = data_dir() / "pyrate_small_test" / "small_test"
    pattern = "ifg_orb_and_ref_phase_corrected_method2geo_*.unw.csv"
    names, grids = [], []
    for path in sorted((root / "ref_phase_est").glob(pattern)):
        found = re.search(r"geo_(\d{6})-(\d{6})", path.name)
        assert found is not None
        names.append(found.groups())
        grids.append(np.genfromtxt(path, delimiter=","))
    assert len(grids) == 17
    days = sorted({day for pair in names for day in pair})
    links = [(days.index(a), days.index(b)) for a, b in names]
    empty = [np.isnan(grid).mean() + 1e-9 for grid in grids]
    rows, cols = zip(*links, strict=True)
    tree = minimum_spanning_tree(coo_matrix((empty, (rows, cols)), (13, 13))).tocoo()
    used = [links.index((int(i), int(j))) for i, j in zip(tree.row, tree.col, strict=True)]
    assert len(used) == 12
    # their interferograms are displacement of the second date less that of the first, mm
    data = -np.stack([grids[k].ravel() for k in used], 1).astype(np.float32)
    series = invert(data, np.ones_like(data), Network.of([links[k] for k in used], 13))
    expected = np.loadtxt(root / "time_series" / "ts_cum_interp0_method2.csv").reshape((72, 47, 12), order="F")
    both = np.isfinite(series.phase_rad[:, 1:]) & np.isfinite(expected.reshape(-1, 12)) & np.isfinite(data).all(1)[:, None]
    assert both.all(1).sum() > 2300
    error = (series.phase_rad[:, 1:] - expected.reshape(-1, 12))[both]
    assert np.abs(error).max() < 0.003  # the csv files have five digits
    assert np.sqrt(np.mean(error**2)) < 0.0008
