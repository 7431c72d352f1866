"""Rasters in radar geometry: tiled GeoTIFFs without a CRS, written and read window by window."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.windows import Window

from satdaemon.errors import CorruptProduct

TILE = 512
CACHE_MB = 64
"""GDAL's block cache: small, so that a job's memory is its arrays."""


@contextmanager
def gdal_session() -> Iterator[None]:
    """GDAL set up for a job: bounded cache, no side files, no threads of its own."""
    with rasterio.Env(
        GDAL_CACHEMAX=CACHE_MB, GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_NUM_THREADS="1", GDAL_PAM_ENABLED="NO"
    ):
        yield


@contextmanager
def open_radar(path: str | Path) -> Iterator[Any]:
    """Open a raster in radar geometry for reading; CorruptProduct where it is not a whole raster."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            source = rasterio.open(path)
        except RasterioIOError as error:
            raise CorruptProduct(f"{path}: not a readable raster: {error}") from error
        with source:
            yield source


@contextmanager
def create_radar(
    path: Path, shape: tuple[int, int], dtype: str, *, nodata: float | None = None, compress: bool = False, tiled: bool = True
) -> Iterator[Any]:
    """Create a one-band raster in radar geometry for writing by windows.

    What is never written reads as `nodata`. Compress only where each tile is written once.
    """
    options: dict[str, Any] = {"SPARSE_OK": "TRUE", "BIGTIFF": "IF_SAFER"}
    if tiled:
        options |= {"tiled": True, "blockxsize": TILE, "blockysize": TILE}
    if compress:
        options |= {"compress": "deflate", "zlevel": 1, "predictor": 3 if dtype.startswith("float") else 2}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="GTiff", height=shape[0], width=shape[1], count=1, dtype=dtype, nodata=nodata, **options
        ) as target:
            yield target


def read_window(source: Any, row: int, col: int, rows: int, cols: int) -> NDArray[Any]:
    """(rows, cols) array of an open raster's band 1; CorruptProduct where the file is damaged there."""
    try:
        array: NDArray[Any] = source.read(1, window=Window(col, row, cols, rows))
    except RasterioIOError as error:
        raise CorruptProduct(f"{source.name}: rows {row} to {row + rows} cannot be read: {error}") from error
    return array


def write_window(target: Any, row: int, col: int, array: NDArray[Any]) -> None:
    """Write an array at (row, col) of an open raster's band 1."""
    target.write(np.ascontiguousarray(array), 1, window=Window(col, row, array.shape[1], array.shape[0]))


def copy_window(source: Any, target: Any, row: int, col: int, *, block_rows: int = 256) -> None:
    """Fill `target` from the window of `source` that starts at (row, col), some rows at a time."""
    rows, cols = target.height, target.width
    for start in range(0, rows, block_rows):
        block = read_window(source, row + start, col, min(block_rows, rows - start), cols)
        write_window(target, start, 0, block)
