"""Siblings, speckle statistics and the siblings on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stack_truth import ROCK, TOWN, WATER, band_limited, make_stack

from satdaemon.errors import CorruptProduct, DataError
from satdaemon.insar import siblings, speckle
from satdaemon.insar.sibling_store import NAME, SiblingReader, SiblingRows, SiblingWriter
from satdaemon.processors.builtin.siblings import siblings_of_rows

SPACING_M = (14.0, 3.5)


def statistics(stack):
    sums = speckle.AmplitudeSums.empty(stack.classes.shape)
    for slc in stack.slc:
        sums.add(slc, 1.0)
    return sums.statistics(3)


def unpack(rows: SiblingRows, window: tuple[int, int], i: int, j: int) -> list[tuple[int, int]]:
    place = int(rows.start[i] + rows.count[i, :j].sum(dtype=int))
    found = rows.packed[place : place + int(rows.count[i, j])].astype(int)
    return [(o // window[1] - window[0] // 2, o % window[1] - window[1] // 2) for o in found]


def test_siblings_are_those_of_a_plain_search():
    stack = make_stack((40, 60), 8)
    mean, dispersion = statistics(stack)
    rule = siblings.SiblingRule(7, 11, 2.0, 0.1, 3, 12)
    order = siblings.search_order(rule, SPACING_M)
    found = siblings_of_rows(mean, dispersion, 0, 40, order, rule, np.eye(3))
    for i, j in ((0, 0), (20, 5), (20, 30), (39, 59)):
        expected = []
        for dr, dc in order.astype(int):
            a, b = i + dr, j + dc
            if not (0 <= a < 40 and 0 <= b < 60):
                continue
            near = max(mean[a, b], mean[i, j]) / min(mean[a, b], mean[i, j]) <= 2.0
            if near and abs(dispersion[a, b] - dispersion[i, j]) <= 0.1:
                expected.append((int(dr), int(dc)))
        expected = expected[:12] if len(expected) >= 3 else []
        assert unpack(found, (7, 11), i, j) == expected


def test_blocks_with_halo_give_the_siblings_of_the_whole():
    stack = make_stack((48, 50), 6)
    mean, dispersion = statistics(stack)
    rule = siblings.SiblingRule(9, 9, 2.5, 0.15, 4, 20)
    order = siblings.search_order(rule, SPACING_M)
    correlation = np.zeros((3, 3))
    correlation[0, 0], correlation[0, 1] = 1, 0.2
    whole = siblings_of_rows(mean, dispersion, 0, 48, order, rule, correlation)
    part = siblings_of_rows(mean[12:36], dispersion[12:36], 4, 16, order, rule, correlation)
    assert np.array_equal(part.count, whole.count[16:32])
    assert np.array_equal(part.packed, whole.packed[whole.start[16] : whole.start[32]])
    assert np.allclose(part.looks, whole.looks[16:32])


def test_siblings_seldom_cross_the_shore():
    stack = make_stack((150, 200), 12)
    mean, dispersion = statistics(stack)
    rule = siblings.SiblingRule()
    found = siblings_of_rows(mean, dispersion, 0, 150, siblings.search_order(rule, SPACING_M), rule, np.eye(3))
    crossing = total = 0
    for i in range(0, 150, 7):
        for j in np.flatnonzero(stack.classes[i] == WATER)[-6:]:
            for dr, dc in unpack(found, (15, 45), i, int(j)):
                crossing += stack.classes[i + dr, j + dc] in (ROCK, TOWN)
                total += 1
    assert total > 1000
    assert crossing / total < 0.1


def test_no_data_is_nobodys_sibling():
    stack = make_stack((40, 40), 6)
    stack.slc[:, 10:20] = np.nan
    mean, dispersion = statistics(stack)
    rule = siblings.SiblingRule(9, 9, 3.0, 0.5, 2, 80)
    found = siblings_of_rows(mean, dispersion, 0, 40, siblings.search_order(rule, SPACING_M), rule, np.eye(3))
    assert (found.count[10:20] == 0).all()
    assert all(not 10 <= 8 + dr < 20 for dr, _ in unpack(found, (9, 9), 8, 20))


def test_a_rule_without_sense_is_refused():
    with pytest.raises(DataError, match="odd"):
        siblings.SiblingRule(window_az=4)
    with pytest.raises(DataError, match="min <= max"):
        siblings.SiblingRule(min_siblings=60)


def test_effective_looks_predict_the_scatter_of_incoherent_ground():
    """Sample coherence of independent images must have the mean square 1 / looks."""
    rng = np.random.default_rng(7)
    shape = (120, 160)
    first, second = band_limited(rng, shape), band_limited(rng, shape)
    tiles = np.stack([first[a : a + 16, b : b + 64] for a in range(0, 112, 16) for b in (0, 64)]).astype(np.complex64)
    correlation = speckle.correlation(tiles)
    # a band of 3/4: the correlation of neighbours is sinc(0.75), of next neighbours sinc(1.5)
    assert correlation[0, 1] == pytest.approx(np.sinc(0.75) ** 2, abs=0.03)
    assert correlation[2, 0] == pytest.approx(np.sinc(1.5) ** 2, abs=0.03)
    rule = siblings.SiblingRule(9, 9, 20.0, 1.0, 10, 50)
    flat = np.ones(shape, np.float32)
    found = siblings_of_rows(flat, flat, 0, 120, siblings.search_order(rule, (1, 1)), rule, correlation)
    box = (slice(20, 100, 5), slice(20, 140, 5))
    measured = []
    for i, j in zip(*(grid.ravel() for grid in np.mgrid[box]), strict=True):
        where = tuple(np.array(unpack(found, (9, 9), i, j)).T + np.array([[i], [j]]))
        u, v = first[where], second[where]
        measured.append(np.abs(np.vdot(u, v)) ** 2 / (np.vdot(u, u) * np.vdot(v, v)).real)
    looks = float(found.looks[60, 80])
    assert 25 < looks < 45
    assert 1 / np.mean(measured) == pytest.approx(looks, rel=0.2)


def test_dates_are_brought_to_one_level():
    gains = np.array([1.0, 2.0, 0.5, 1.3, 0.9, 1.7])
    stack = make_stack((60, 80), 6, gains=gains)
    stack.slc[2, :20] = np.nan
    samples = np.stack([speckle.log_amplitude(slc.ravel()) for slc in stack.slc])
    scales = speckle.radiometric_scales(samples)
    levelled = scales * gains
    assert np.allclose(levelled / levelled.mean(), 1, atol=0.03)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_the_store_gives_back_what_was_written(tmp_path_factory, seed, split):
    rng = np.random.default_rng(seed)
    count = rng.integers(0, 6, (10, 12)).astype(np.uint16)
    start = np.concatenate([[0], np.cumsum(count.sum(1, dtype=np.int64))])
    packed = rng.integers(0, 600, int(start[-1])).astype(np.uint16)
    looks = rng.random((10, 12)).astype(np.float32)
    path = tmp_path_factory.mktemp("store") / NAME
    writer = SiblingWriter(path, (10, 12), (15, 45), 3, {})
    for first, stop in ((0, split), (split, 10)):
        inner = start[first : stop + 1] - start[first]
        writer.append(SiblingRows(packed[start[first] : start[stop]], inner, count[first:stop], looks[first:stop]))
    assert writer.finish() == len(packed)
    reader = SiblingReader(path)
    assert (reader.shape, reader.window, reader.min_siblings) == ((10, 12), (15, 45), 3)
    rows = reader.rows(3, 8)
    assert np.array_equal(rows.packed, packed[start[3] : start[8]])
    assert np.array_equal(rows.start, start[3:9] - start[3])
    assert np.array_equal(rows.count, count[3:8])


def test_missing_or_half_written_siblings_are_named(tmp_path: Path):
    with pytest.raises(CorruptProduct, match="siblings of a frame"):
        SiblingReader(tmp_path / NAME)
    writer = SiblingWriter(tmp_path / NAME, (4, 4), (15, 45), 3, {})
    one = np.ones((2, 4), np.uint16)
    writer.append(SiblingRows(np.ones(8, np.uint16), np.array([0, 4, 8]), one, one.astype(np.float32)))
    with pytest.raises(CorruptProduct, match="incomplete"):
        SiblingReader(tmp_path / NAME)
