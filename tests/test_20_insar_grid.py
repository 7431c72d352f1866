"""The frame grid: every pixel one owner, cuts half-way through overlaps, bursts off the grid refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_20_insar_resample import META

from satdaemon.errors import DataError
from satdaemon.insar.grid import FrameGrid, Window, make_grid
from satdaemon.insar.orbit import OrbitArc
from satdaemon.insar.swath import BurstMeta

START = datetime(2021, 4, 4, tzinfo=UTC)
ARC = OrbitArc("POEORB", (), START, np.arange(4) * 10.0, np.ones((4, 3)), np.ones((4, 3)))
HZ, LINE_S = META.range_sampling_hz, META.line_s


def _burst(swath: str, number: int, row: int, col: int, lines: int = 1450, samples: int = 300) -> BurstMeta:
    time = START + timedelta(microseconds=round(row * LINE_S * 1e6))
    name = f"132_{8603 + 27 * number}_{swath}"
    return replace(
        META, id=name, swath=swath, lines=lines, samples=samples, azimuth_utc=time, first_line=0, first_sample_s=5.6e-3 + col / HZ
    )


def _frame() -> list[BurstMeta]:
    near = [_burst("IW1", k, 1342 * k, 0 if k != 1 else 3) for k in range(3)]
    far = [_burst("IW2", k, 1342 * k + 460, 250) for k in range(3)]
    return near + far


def test_every_pixel_has_one_owner() -> None:
    grid = make_grid(_frame(), ARC, "S1A", "vv")
    owner = np.zeros((grid.rows, grid.cols), int)
    seen = np.zeros((grid.rows, grid.cols), bool)
    for burst in grid.bursts:
        index = burst.inner.slices_in(Window(0, 0, grid.rows, grid.cols))
        owner[index] += 1
        seen[burst.outer.slices_in(Window(0, 0, grid.rows, grid.cols))] = True
    assert owner.max() == 1
    assert (owner > 0).sum() > 0.95 * seen.sum()
    assert (grid.rows, grid.cols) == (1342 * 2 + 460 + 1450, 550)


def test_cuts_are_half_way() -> None:
    grid = make_grid(_frame(), ARC, "S1A", "vv")
    first, second = (grid.burst(f"132_{8603 + 27 * k}_IW1") for k in (0, 1))
    assert first.inner.end_row == second.inner.row == (1342 + 1450) // 2
    assert grid.burst("132_8603_IW2").inner.col == first.inner.end_col == (300 + 250) // 2
    assert [o.window.rows for o in grid.overlaps()] == [108] * 4
    assert grid.overlaps()[0].window.col == 3


def test_coordinates_are_explicit_and_survive_json() -> None:
    grid = make_grid(_frame(), ARC, "S1A", "vv")
    again = FrameGrid.from_json(json.loads(json.dumps(grid.to_json())))
    assert again.bursts == grid.bursts and again.first_line_utc == grid.first_line_utc
    assert again.range_m()[250] == pytest.approx((5.6e-3 + 250 / HZ) * 299792458 / 2)


def test_lone_bursts_and_gaps() -> None:
    grid = make_grid([_burst("IW1", 0, 0, 0), _burst("IW1", 2, 2684, 0)], ARC, "S1A", "vv")
    assert grid.overlaps() == [] and all(b.inner == b.outer for b in grid.bursts)


def test_burst_off_the_grid_is_refused() -> None:
    bursts = _frame()
    bursts[1] = replace(bursts[1], azimuth_utc=bursts[1].azimuth_utc + timedelta(seconds=0.4 * LINE_S))
    with pytest.raises(DataError, match="off the grid"):
        make_grid(bursts, ARC, "S1A", "vv")


WINDOWS = st.builds(Window, *[st.integers(0, 50)] * 4)


@given(WINDOWS, WINDOWS)
def test_window_intersection(a: Window, b: Window) -> None:
    both = a.intersect(b)
    cells = {(r, c) for r in range(a.row, a.end_row) for c in range(a.col, a.end_col)} & {
        (r, c) for r in range(b.row, b.end_row) for c in range(b.col, b.end_col)
    }
    assert both.rows * both.cols == len(cells)
