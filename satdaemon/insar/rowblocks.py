"""How a frame is cut into blocks of rows so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from satdaemon.errors import ProcessingError

TILE_ROWS = 64
"""Blocks begin at multiples of this, which is also the height of a raster's tiles: no tile is written twice."""
BUDGET_SHARE = 0.5
"""Share of a job's memory that the arrays of one block may take; libraries, caches and temporaries have the rest."""


@dataclass(frozen=True, slots=True)
class RowBlock:
    """Rows [first, stop) of a frame and, around them, the rows [halo_first, halo_stop) that they depend on."""

    first: int
    stop: int
    halo_first: int
    halo_stop: int

    @property
    def rows(self) -> int:
        """Rows without the halo."""
        return self.stop - self.first

    @property
    def inset(self) -> int:
        """Row of the block with halo that is its first row without."""
        return self.first - self.halo_first


def block_rows(cols: int, bytes_per_px: float, memory_gb: float, *, halo: int = 0, halo_bytes_per_px: float = 0) -> int:
    """Height of a block: `(share * memory - halo) / (cols * bytes_per_px)`, down to a multiple of `TILE_ROWS`.

    Raises
    ------
    ProcessingError
        Where not even `TILE_ROWS` rows fit.
    """
    budget = BUDGET_SHARE * memory_gb * 1e9 - 2 * halo * cols * halo_bytes_per_px
    rows = int(budget / (cols * bytes_per_px)) // TILE_ROWS * TILE_ROWS
    if rows < TILE_ROWS:
        need = (TILE_ROWS * bytes_per_px + 2 * halo * halo_bytes_per_px) * cols / BUDGET_SHARE / 1e9
        raise ProcessingError(
            f"a block of {TILE_ROWS} rows x {cols} columns needs {need:.2f} GB, the job has {memory_gb:.2f} GB:"
            " raise memory_gb of this stage"
        )
    return rows


def row_blocks(rows: int, height: int, *, halo: int = 0, align: int = 1) -> Iterator[RowBlock]:
    """Blocks of `height` rows from the top, the halo clipped to the frame and its start aligned down to `align`."""
    for first in range(0, rows, height):
        stop = min(first + height, rows)
        halo_first = max(0, first - halo) // align * align
        yield RowBlock(first, stop, halo_first, min(rows, stop + halo))


class Tile(NamedTuple):
    """Rows [row, row + rows) and columns [col, col + cols) of a frame."""

    row: int
    col: int
    rows: int
    cols: int


def tiles(shape: tuple[int, int], bytes_per_px: float, memory_gb: float) -> list[Tile]:
    """Blocks of whole rows where `TILE_ROWS` of them fit the budget, else blocks of `TILE_ROWS` rows and fewer columns.

    For stages that hold all interferograms of a block at once and need no halo.
    """
    most_px = BUDGET_SHARE * memory_gb * 1e9 / bytes_per_px
    rows = int(most_px / shape[1]) // TILE_ROWS * TILE_ROWS
    cols = shape[1] if rows else int(most_px / TILE_ROWS)
    if cols < 1:
        raise ProcessingError(f"{TILE_ROWS} pixels need {TILE_ROWS * bytes_per_px / BUDGET_SHARE / 1e9:.2f} GB, the job"
                              f" has {memory_gb:.2f} GB: raise memory_gb of this stage")
    rows = max(rows, TILE_ROWS)
    return [
        Tile(row, col, min(rows, shape[0] - row), min(cols, shape[1] - col))
        for row in range(0, shape[0], rows) for col in range(0, shape[1], cols)
    ]
