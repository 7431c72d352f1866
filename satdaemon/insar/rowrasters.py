"""Rasters of the stack stages: read and written by blocks of whole rows, in tiles flat enough for that."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import DTypeLike, NDArray
from rasterio.errors import NotGeoreferencedWarning

from satdaemon.errors import CorruptProduct
from satdaemon.insar.rasters import open_radar, read_window, write_window
from satdaemon.insar.rowblocks import TILE_ROWS

TILE_COLS = 512


@contextmanager
def create_rows(
    path: Path, shape: tuple[int, int], dtype: DTypeLike, *, nodata: float | None = None
) -> Iterator[Any]:
    """A new one-band raster of `TILE_ROWS`-high tiles, compressed unless complex, to be written from the top down."""
    kind = np.dtype(dtype)
    # on phase with gaps a third of the time and less space than deflate with a predictor
    options: dict[str, Any] = {"compress": "zstd", "zstd_level": 1}
    with warnings.catch_warnings():
        # radar geometry has no geotransform, on purpose
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="GTiff", height=shape[0], width=shape[1], count=1, dtype=kind.name, nodata=nodata,
            tiled=True, blockxsize=TILE_COLS, blockysize=TILE_ROWS, bigtiff="if_safer",
            **({} if kind.kind == "c" else options),
        ) as target:
            yield target


@contextmanager
def open_all(paths: Mapping[str, Path]) -> Iterator[dict[str, Any]]:
    """Rasters of one frame by name; CorruptProduct where one is missing, broken or on another grid."""
    with ExitStack() as stack:
        sources = {name: stack.enter_context(open_radar(path)) for name, path in paths.items()}
        shape_of(sources)
        yield sources


def shape_of(sources: Mapping[str, Any]) -> tuple[int, int]:
    """The common shape of open rasters; CorruptProduct naming two that differ."""
    (name, first), *others = sources.items()
    for other, source in others:
        if source.shape != first.shape:
            raise CorruptProduct(
                f"products of one frame must share its grid: {name} is {first.shape}, {other} is {source.shape}."
                " The master changed between them: make the older one again."
            )
    return int(first.height), int(first.width)


def read_rows(source: Any, first: int, stop: int) -> NDArray[Any]:
    """Rows [first, stop) of an open raster, all columns."""
    return read_window(source, first, 0, stop - first, source.width)


def write_rows(target: Any, first: int, values: NDArray[Any]) -> None:
    """Write `values` (rows, cols) from row `first` on."""
    write_window(target, first, 0, values)


def read_raster(path: Path) -> NDArray[Any]:
    """A whole raster; for small ones."""
    with open_radar(path) as source:
        return read_rows(source, 0, source.height)


def write_raster(path: Path, values: NDArray[Any], *, nodata: float | None = None) -> None:
    """Write a whole raster, shape (rows, cols)."""
    with create_rows(path, (values.shape[0], values.shape[1]), values.dtype, nodata=nodata) as target:
        write_rows(target, 0, values)
