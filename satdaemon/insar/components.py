"""Connected components of unwrapped cells, the 2 pi between them, and how safe each cell's cycle is.

Cells lie on a grid, sparse or full. Two cells within `reach` of each other are neighbours; they are in one
component where no cycle step lies between them, i.e. their unwrapped phases differ by less than half a cycle. The same link
by the same distance makes the short edges of the solver's Delaunay triangulation connected, since that
contains the minimum spanning tree.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from satdaemon.insar.kernel import kernel

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
BRIDGE_CELLS = 12
"""Cells on either side of a gap that its level is taken from."""
MAX_BRIDGED = 50
"""Components, the largest first, that are levelled; the rest keep the solver's level."""
CERTAIN_CYCLES = 0.25
"""A gap's level is determined where the step over it is nearer than this to a whole number of cycles."""


def label_components(
    row: Ints, col: Ints, phase_rad: NDArray[np.float64], reach: tuple[int, int], smallest: int
) -> NDArray[np.uint16]:
    """Component of each cell, 1 for the largest; 0 where the phase is NaN or the component has under `smallest` cells."""
    index = _index(row, col)
    root = _union(row - row.min(), col - col.min(), phase_rad, index, reach[0], reach[1])
    known = np.isfinite(phase_rad)
    roots, place, size = np.unique(root[known], return_inverse=True, return_counts=True)
    order = np.argsort(-size, kind="stable")
    label = np.zeros(len(roots), np.uint16)
    kept = order[size[order] >= smallest][: np.iinfo(np.uint16).max]
    label[kept] = np.arange(1, len(kept) + 1)
    result = np.zeros(len(row), np.uint16)
    result[known] = label[place]
    return result


def bridge_levels(
    row: Ints, col: Ints, spacing_m: tuple[float, float], phase_rad: NDArray[np.float64], component: NDArray[np.uint16]
) -> tuple[NDArray[np.float64], int]:
    """Shift components by whole cycles to agree with their nearest already levelled neighbour, the largest first.

    The step over a gap is the difference of the mean phases of the cells next to it on either side. Where it
    is not near a whole number of cycles (`CERTAIN_CYCLES`) the component stays as it is. Returns the phase and the
    number of components levelled.
    """
    count = int(component.max(initial=0))
    if count < 2:
        return phase_rad, 0
    result = phase_rad.copy()
    done = component == 1
    bridged = 0
    y, x = row * spacing_m[0], col * spacing_m[1]
    row0, col0 = row - row.min(), col - col.min()
    shape = (int(row0.max()) + 1, int(col0.max()) + 1)
    index = _index(row, col)
    for label in range(2, min(count, MAX_BRIDGED) + 1):
        mine = np.flatnonzero(component == label)
        grid = np.ones(shape, bool)
        grid[row0[done], col0[done]] = False
        away, (near_row, near_col) = distance_transform_edt(grid, sampling=spacing_m, return_indices=True)
        bank = mine[np.argsort(away[row0[mine], col0[mine]], kind="stable")[:BRIDGE_CELLS]]
        place = row0[bank], col0[bank]
        other = index[near_row[place], near_col[place]]
        centre = (y[other].mean(), x[other].mean())
        finished = np.flatnonzero(done)
        far = finished[np.argsort(np.hypot(y[finished] - centre[0], x[finished] - centre[1]))[:BRIDGE_CELLS]]
        step = (result[far].mean() - result[bank].mean()) / (2 * np.pi)
        if abs(step - np.round(step)) <= CERTAIN_CYCLES:
            result[mine] += 2 * np.pi * np.round(step)
            bridged += 1
        done[mine] = True
    return result, bridged


def reliability(
    row: Ints, col: Ints, phase_rad: NDArray[np.float64], variance: Floats, reach: tuple[int, int]
) -> Floats:
    """Least margin of a cell's nearest edges to half a cycle, in standard deviations of the edge; NaN without edges."""
    return _margin(row - row.min(), col - col.min(), phase_rad, variance, _index(row, col), reach[0], reach[1])


def _index(row: Ints, col: Ints) -> NDArray[np.int32]:
    """Place of the cell at each (row, col), -1 where there is none."""
    index = np.full((int(np.ptp(row)) + 1, int(np.ptp(col)) + 1), -1, np.int32)
    index[row - row.min(), col - col.min()] = np.arange(len(row), dtype=np.int32)
    return index


@kernel()
def _find(parent: Ints, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@kernel()
def _union(row: Ints, col: Ints, phase: NDArray[np.float64], index: Ints, reach_az: int, reach_rg: int) -> Ints:
    n = len(row)
    parent = np.arange(n).astype(np.int32)
    for i in range(n):
        if not np.isfinite(phase[i]):
            continue
        for a in range(reach_az + 1):
            for b in range(-reach_rg, reach_rg + 1):
                if a == 0 and b <= 0:
                    continue
                r = row[i] + a
                c = col[i] + b
                # an ellipse, so that reach is a distance on the ground
                if (a / (reach_az + 0.5)) ** 2 + (b / (reach_rg + 0.5)) ** 2 > 1:
                    continue
                if r >= index.shape[0] or c < 0 or c >= index.shape[1]:
                    continue
                k = index[r, c]
                if k >= 0 and abs(phase[k] - phase[i]) < np.pi:
                    u = _find(parent, i)
                    v = _find(parent, k)
                    if u != v:
                        parent[max(u, v)] = min(u, v)
    for i in range(n):
        parent[i] = _find(parent, i)
    return parent


@kernel()
def _margin(
    row: Ints, col: Ints, phase: NDArray[np.float64], variance: Floats, index: Ints, reach_az: int, reach_rg: int
) -> Floats:
    result = np.full(len(row), np.nan, np.float32)
    for i in range(len(row)):
        for a in range(-1, 2):
            for b in range(-1, 2):
                r = row[i] + a
                c = col[i] + b
                if (a == 0 and b == 0) or r < 0 or c < 0 or r >= index.shape[0] or c >= index.shape[1]:
                    continue
                k = index[r, c]
                if k < 0 or not np.isfinite(phase[k]) or not np.isfinite(phase[i]):
                    continue
                margin = (np.pi - abs(phase[k] - phase[i])) / np.sqrt(variance[i] + variance[k])
                if np.isnan(result[i]) or margin < result[i]:
                    result[i] = margin
    return result
