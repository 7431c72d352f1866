"""Phase unwrapping of the points of one interferogram.

The chosen points are first gathered into cells of a few pixels (`thin`): the phase of a cell is the mean phasor of
its points. Sibling averaging has made neighbouring phases alike, so this loses nothing that unwrapping needs, and the
network solver (whirlwind: minimum cost flow) sees a fraction of the points. The cycle of the cell is then given to
its points, each relative to the cell's phase, so that wrapping the result gives the input phase back exactly.

whirlwind's sparse solver was measured at 1.7 CPU-s and 310 MB a million nodes, Delaunay triangulation included, its
grid solver at 7.5 CPU-s and 110 MB; `cells_for_memory` chooses the cell so that the nodes fit the job. Cells of 2 x 4
pixels took a thirtieth of the time of single points and had as few wrong cycles; 4 x 12 were too coarse for steep motion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import whirlwind
from numpy.typing import NDArray

from satdaemon.errors import ProcessingError
from satdaemon.insar.coherence import phase_variance
from satdaemon.insar.components import bridge_levels, label_components, reliability

Floats = NDArray[np.float32]
NODE_BYTES = 700
"""Memory of one node: 310 of whirlwind's measured, and ours."""
DENSE_SHARE = 0.9
"""`auto`: from this share of filled cells on the grid solver is used."""
SMALLEST_GRID = 8
"""Cells on a side below which the grid solver has nothing to work on."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Points gathered into cells, all arrays of shape (cells,)."""

    row: NDArray[np.int32]
    """Row and column of the cell among the cells."""
    col: NDArray[np.int32]
    phasor: NDArray[np.complex64]
    """Unit phasor of the cell's mean phase."""
    coherence: Floats
    """Mean coherence of the cell's points."""
    size: NDArray[np.int32]
    """Points of the cell."""


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """Phase of each cell."""

    phase_rad: NDArray[np.float64]
    """NaN where the solver gave none."""
    component: NDArray[np.uint16]
    """0 = none; the largest is 1. The 2 pi between components is estimated but not certain."""
    reliability: Floats
    """Margin to a wrong cycle, in standard deviations; negative where a cycle step crosses a near edge."""
    method: str
    bridged: int
    """Components whose level was found from their neighbour."""


class CellBuilder:
    """Gathers points into cells, block of rows by block."""

    def __init__(self, shape: tuple[int, int], thin: tuple[int, int]) -> None:
        self.thin = thin
        self.grid = (-(-shape[0] // thin[0]), -(-shape[1] // thin[1]))
        self._parts: list[tuple[NDArray[Any], ...]] = []

    def add(self, first: int, ifg: NDArray[np.complex64], chosen: NDArray[np.bool_]) -> None:
        """Add rows from `first` on; blocks must begin at a multiple of the cell's height."""
        if first % self.thin[0]:
            raise ValueError(f"first row: expected a multiple of {self.thin[0]}, got {first}")
        row, col = np.nonzero(chosen)
        cell = (row // self.thin[0] + first // self.thin[0]).astype(np.int64) * self.grid[1] + col // self.thin[1]
        value = ifg[row, col].astype(np.complex128)
        used, place, size = np.unique(cell, return_inverse=True, return_counts=True)
        total = np.bincount(place, value.real, len(used)) + 1j * np.bincount(place, value.imag, len(used))
        level = np.bincount(place, np.abs(value), len(used))
        self._parts.append((used, total, level, size))

    def build(self) -> Cells:
        """All cells that have points."""
        if not self._parts:
            empty = np.empty(0, np.int32)
            return Cells(empty, empty, np.empty(0, np.complex64), np.empty(0, np.float32), empty)
        used, total, level, size = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        norm = np.abs(total)
        phasor = np.divide(total, norm, out=np.ones_like(total), where=norm > 0)
        return Cells((used // self.grid[1]).astype(np.int32), (used % self.grid[1]).astype(np.int32),
                     phasor.astype(np.complex64), (level / size).astype(np.float32), size.astype(np.int32))


def cells_for_memory(shape: tuple[int, int], memory_gb: float, smallest: tuple[int, int]) -> tuple[int, int]:
    """`smallest`, doubled on both axes until the cells of a full frame fit half of the job's memory."""
    rows, cols = smallest
    most = 0.5 * memory_gb * 1e9 / NODE_BYTES
    while (shape[0] / rows) * (shape[1] / cols) > most:
        rows, cols = rows * 2, cols * 2
    return rows, cols


def unwrap_cells(
    cells: Cells, spacing_m: tuple[float, float], looks: float, *, method: Literal["sparse", "grid", "auto"] = "auto",
    max_gap_m: float, min_cells: int, min_component: int,
) -> Unwrapped:
    """Unwrap the phase of cells.

    Parameters
    ----------
    spacing_m
        Ground spacing of cell rows and cell columns.
    looks
        Effective looks behind a cell's coherence.
    max_gap_m
        Cells farther apart than this are not neighbours: they belong to different components unless others link them.
    min_cells, min_component
        Fewest cells of the interferogram, and of a component that gets a label.

    Raises
    ------
    ProcessingError
        Where there are fewer than `min_cells` cells.
    """
    n = len(cells.row)
    if n < max(min_cells, 3):
        raise ProcessingError(f"unwrapping needs at least {max(min_cells, 3)} cells with points, got {n}"
                              f" ({int(cells.size.sum())} points): this pair is not coherent enough")
    extent = (int(np.ptp(cells.row)) + 1, int(np.ptp(cells.col)) + 1)
    dense = n >= DENSE_SHARE * extent[0] * extent[1]
    solver = ("grid" if dense else "sparse") if method == "auto" else method
    if min(extent) < SMALLEST_GRID:
        solver = "sparse"
    variance = phase_variance(cells.coherence, looks)
    reach = _reach(spacing_m, max_gap_m)
    phase = (
        _solve_grid(cells, looks) if solver == "grid"
        else _solve_sparse(cells, variance, spacing_m, max_gap_m, reach)
    )
    component = label_components(cells.row, cells.col, phase, reach, min_component)
    phase, bridged = bridge_levels(cells.row, cells.col, spacing_m, phase, component)
    margin = reliability(cells.row, cells.col, phase, variance, reach)
    return Unwrapped(phase, component, margin, solver, bridged)


def lift(
    ifg: NDArray[np.complex64], chosen: NDArray[np.bool_], cell_phase_rad: NDArray[np.float64]
) -> Floats:
    """Phase of each point: that of its cell plus the wrapped difference to it, NaN where not a point.

    `cell_phase_rad` is the cell's unwrapped phase at each pixel, same shape as `ifg`, NaN where there is none. The
    number of cycles is added to the wrapped phase last, so that wrapping gives the input back to float32 rounding.
    """
    wrapped = np.angle(ifg).astype(np.float64)
    with np.errstate(invalid="ignore"):
        cycles = np.round((cell_phase_rad - wrapped) / (2 * np.pi))
    return np.where(chosen, wrapped + 2 * np.pi * cycles, np.nan).astype(np.float32)


def _reach(spacing_m: tuple[float, float], max_gap_m: float) -> tuple[int, int]:
    """Cells to either side that are neighbours, at least one."""
    return max(1, int(max_gap_m / spacing_m[0])), max(1, int(max_gap_m / spacing_m[1]))


def _solve_sparse(
    cells: Cells, variance: Floats, spacing_m: tuple[float, float], max_gap_m: float, reach: tuple[int, int]
) -> NDArray[np.float64]:
    """Each set of cells that is linked by edges of at most `max_gap_m` by itself: the solver needs a connected set."""
    points = np.column_stack([cells.col * spacing_m[1], cells.row * spacing_m[0]]).astype(np.float64)
    wrapped = np.angle(cells.phasor).astype(np.float32)
    longest = float(np.hypot(reach[0] * spacing_m[0], reach[1] * spacing_m[1]))
    piece = label_components(cells.row, cells.col, np.zeros(len(points)), reach, 3)
    result = np.full(len(points), np.nan)
    for label in range(1, int(piece.max(initial=0)) + 1):
        here = np.flatnonzero(piece == label)
        along = _along_line(points[here])
        if along is not None:
            # a single line has no triangles; along it unwrapping is unique
            order = np.argsort(along, kind="stable")
            result[here[order]] = np.unwrap(wrapped[here[order]].astype(np.float64))
            continue
        solved = whirlwind.unwrap_sparse(points[here], wrapped[here], variance[here], longest)
        result[here] = _congruent(solved, wrapped[here])
    return result


def _along_line(points: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Place of each point along the line that they all lie on; None where they do not lie on one."""
    centred = points - points.mean(0)
    _, size, axes = np.linalg.svd(centred, full_matrices=False)
    if size[1] > 1e-9 * size[0]:
        return None
    return np.asarray(centred @ axes[0])


def _solve_grid(cells: Cells, looks: float) -> NDArray[np.float64]:
    row, col = cells.row - cells.row.min(), cells.col - cells.col.min()
    shape = (int(row.max()) + 1, int(col.max()) + 1)
    ifg = np.zeros(shape, np.complex64)
    quality = np.zeros(shape, np.float32)
    mask = np.zeros(shape, bool)
    ifg[row, col] = cells.phasor
    quality[row, col] = np.clip(cells.coherence, 0.01, 0.999)
    mask[row, col] = True
    phase, _ = whirlwind.unwrap(ifg, quality, float(np.clip(looks, 1, 300)), mask=mask)
    return _congruent(phase[row, col], np.angle(cells.phasor))


def _congruent(phase: Floats, wrapped: Floats) -> NDArray[np.float64]:
    """The solver's cycles on the input phase, NaN where it gave none."""
    wrapped64 = wrapped.astype(np.float64)
    return wrapped64 + 2 * np.pi * np.round((phase - wrapped64) / (2 * np.pi))
