"""A raster averaged to the size of a picture, read tile by tile: memory is that of a few tiles, whatever the frame's size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satdaemon.errors import DataError
from satdaemon.insar.rasters import read_window

BLOCK_PX = 1 << 21
"""Pixels that are read at a time, as far as the raster's tiles allow: 16 MB of complex numbers."""
Kind = str
"""`power` (|x|^2), `magnitude` (|x|), `phase` (x as a complex number) or `value` (x)."""


@dataclass(frozen=True, slots=True)
class Means:
    """Averages of a raster over cells."""

    values: dict[Kind, NDArray[Any]]
    """(rows, cols) each; NaN where no pixel of a cell is known."""
    known: float
    """Share of the raster's pixels that are known."""


def averages(source: Any, shape: tuple[int, int], *kinds: Kind) -> Means:
    """Average an open raster over `shape` (rows, cols) cells of about equal size, not more than it has pixels.

    Unknown are pixels that are not finite, the raster's nodata value, and zero in a complex raster or in amplitudes.
    DataError where complex numbers are wanted of a raster of real ones; CorruptProduct where it cannot be read.
    """
    is_complex = np.dtype(_numpy_type(source.dtypes[0])).kind == "c"
    if not is_complex and "phase" in kinds:
        raise DataError(f"{source.name}: expected complex numbers, got {source.dtypes[0]}")
    if is_complex and "value" in kinds:
        raise DataError(f"{source.name}: expected real numbers, got {source.dtypes[0]}")
    edges = tuple(_edges(size, cells) for size, cells in zip((source.height, source.width), shape, strict=True))
    sums = {kind: np.zeros(shape, np.complex128 if kind == "phase" else np.float64) for kind in kinds}
    count = np.zeros(shape, np.int64)
    for row, col, rows, cols in _blocks(source):
        block = read_window(source, row, col, rows, cols)
        known = _known(block, source.nodata, zero_is_none=is_complex or "power" in kinds)
        if not known.any():
            continue
        places = tuple(_Places.of(edge, first, size) for edge, first, size in zip(edges, (row, col), (rows, cols), strict=True))
        block = np.where(known, block, 0)
        for kind, total in sums.items():
            _add(total, _QUANTITY[kind](block), *places)
        _add(count, known.astype(np.int32), *places)
    values = {kind: _mean(total, count) for kind, total in sums.items()}
    return Means(values, float(count.sum()) / (source.height * source.width))


@dataclass(frozen=True, slots=True)
class _Places:
    """The cells along one axis that a block touches: [first, stop), and where each begins in the block."""

    first: int
    stop: int
    begins: NDArray[np.intp]

    @classmethod
    def of(cls, edges: NDArray[np.intp], first: int, size: int) -> _Places:
        begin = int(np.searchsorted(edges, first, "right")) - 1
        stop = int(np.searchsorted(edges, first + size, "left"))
        return cls(begin, stop, np.maximum(edges[begin:stop] - first, 0))


def _edges(size: int, cells: int) -> NDArray[np.intp]:
    """First pixel of each cell."""
    if not 1 <= cells <= size:
        raise ValueError(f"expected 1 to {size} cells, got {cells}")
    return -(-np.arange(cells, dtype=np.intp) * size // cells)


def _add(total: NDArray[Any], values: NDArray[Any], down: _Places, across: _Places) -> None:
    low = np.empty((len(down.begins), values.shape[1]), values.dtype)
    for k, (begin, end) in enumerate(pairwise((*down.begins.tolist(), values.shape[0]))):
        np.add.reduce(values[begin:end], axis=0, out=low[k])  # whole rows at a time; `reduceat` takes ten times as long
    total[down.first : down.stop, across.first : across.stop] += np.add.reduceat(low, across.begins, axis=1, dtype=total.dtype)


def _blocks(source: Any) -> Iterator[tuple[int, int, int, int]]:
    """Windows of whole tiles, so that none is read twice: (row, col, rows, cols)."""
    high, wide = (int(size) for size in source.block_shapes[0])
    cols = min(source.width, wide * max(1, BLOCK_PX // (high * wide)))
    rows = high * max(1, BLOCK_PX // (high * cols)) if cols == source.width else high
    for row in range(0, source.height, rows):
        for col in range(0, source.width, cols):
            yield row, col, min(rows, source.height - row), min(cols, source.width - col)


def _known(block: NDArray[Any], nodata: float | None, *, zero_is_none: bool) -> NDArray[np.bool_]:
    known = np.asarray(np.isfinite(block), np.bool_)
    if zero_is_none:
        known &= block != 0
    if nodata is not None and not np.isnan(nodata):
        known &= block != nodata
    return known


def _power(block: NDArray[Any]) -> NDArray[Any]:
    if not np.iscomplexobj(block):
        return np.asarray(np.square(block, dtype=np.float64))
    return np.asarray(block.real * block.real + block.imag * block.imag)


def _real(block: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(block, np.float64)


_QUANTITY: dict[Kind, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "power": _power,
    "magnitude": np.abs,
    "phase": np.asarray,
    "value": _real,
}


def _mean(total: NDArray[Any], count: NDArray[np.int64]) -> NDArray[Any]:
    return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan, total.dtype), where=count > 0))


def _numpy_type(name: str) -> str:
    """GDAL's complex integers are read as complex floating numbers."""
    return "complex64" if name.startswith("complex_int") else name
