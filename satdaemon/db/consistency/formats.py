"""Is a file of a product whole: what its format says of itself, and all of its data where asked.

Quick looks read headers only. They find a file that was cut short all the same: a GeoTIFF names the place and size of
each of its tiles, a NumPy file its shape, and a Parquet file ends with its directory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from satdaemon.errors import CorruptProduct
from satdaemon.insar.rasters import open_radar, read_window

_WHAT = "expected {expected}, got {got}"
_ROWS = 1024


def check_file(path: Path, about: Mapping[str, Any], deep: bool) -> None:
    """Look into a file or directory of a product; CorruptProduct says what is wrong. Unknown formats pass.

    `about` is what product.json says of it; `shape` and `fields` are compared where they are given. Raises OSError where
    the disk does not let it be read.
    """
    check = _CHECKS.get(path.suffix.lower())
    if check is None:
        return
    if path.is_file():
        with path.open("rb") as file:  # what the disk refuses is not damage: OSError passes on
            file.read(1)
    try:
        check(path, about, deep)
    except CorruptProduct:
        raise
    except Exception as error:  # the formats' readers raise many classes for damaged data
        raise CorruptProduct(f"{path.name}: cannot be read: {error or type(error).__name__}") from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; CorruptProduct where the file holds something else."""
    try:
        found = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CorruptProduct(f"{path.name}: expected JSON, got: {error}") from error
    if not isinstance(found, dict):
        raise CorruptProduct(f"{path.name}: " + _WHAT.format(expected="a JSON object", got=type(found).__name__))
    return found


def _json(path: Path, about: Mapping[str, Any], deep: bool) -> None:
    json.loads(path.read_text())


def _geotiff(path: Path, about: Mapping[str, Any], deep: bool) -> None:
    size = path.stat().st_size
    with open_radar(path) as source:
        _same_shape(path, about, (source.height, source.width))
        for (row, col), _ in source.block_windows(1):
            start = source.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=1)
            length = source.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=1)
            if start is not None and (stop := int(start) + int(length or 0)) > size:
                raise CorruptProduct(f"{path.name}: cut short: its tiles go to byte {stop}, the file to {size}")
        for row in range(0, source.height, _ROWS) if deep else ():
            read_window(source, row, 0, min(_ROWS, source.height - row), source.width)


def _zarr(path: Path, about: Mapping[str, Any], deep: bool) -> None:
    import zarr

    root: Any = zarr.open(path, mode="r")
    arrays = {"": root} if isinstance(root, zarr.Array) else {n: a for n, a in root.members(max_depth=None) if _is_array(a)}
    lacking = sorted(set(about.get("fields", ())) - set(arrays))
    if not arrays or lacking:
        raise CorruptProduct(f"{path.name}: lacks {', '.join(lacking) or 'arrays'}")
    for array in arrays.values():
        step = array.chunks[0] if array.ndim else 1
        for first in range(0, array.shape[0] if array.ndim else 1, step) if deep else ():
            array[first : first + step] if array.ndim else array[()]
    empty = [p.name for p in path.rglob("*") if p.is_file() and p.stat().st_size == 0]
    if empty:
        raise CorruptProduct(f"{path.name}: {len(empty)} empty chunks")


def _is_array(member: Any) -> bool:
    import zarr

    return isinstance(member, zarr.Array)


def _parquet(path: Path, about: Mapping[str, Any], deep: bool) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as source:
        lacking = sorted(set(about.get("fields", ())) - set(source.schema_arrow.names))
        if lacking:
            raise CorruptProduct(f"{path.name}: lacks the columns {', '.join(lacking)}")
        for group in range(source.metadata.num_row_groups) if deep else ():
            source.read_row_group(group)


def _numpy(path: Path, about: Mapping[str, Any], deep: bool) -> None:
    import numpy as np

    _same_shape(path, about, np.load(path, mmap_mode="r", allow_pickle=False).shape)


def _png(path: Path, about: Mapping[str, Any], deep: bool) -> None:
    from PIL import Image

    with Image.open(path) as image:
        image.verify()
    with path.open("rb") as file:
        file.seek(-8, 2)
        if file.read(4) != b"IEND":
            raise CorruptProduct(f"{path.name}: cut short: it has no end")


def _same_shape(path: Path, about: Mapping[str, Any], got: tuple[int, ...]) -> None:
    expected = about.get("shape")
    if expected is not None and tuple(expected) != tuple(got):
        raise CorruptProduct(f"{path.name}: expected the shape {tuple(expected)} of product.json, got {tuple(got)}")


_CHECKS: dict[str, Callable[[Path, Mapping[str, Any], bool], None]] = {
    ".json": _json,
    ".tif": _geotiff,
    ".tiff": _geotiff,
    ".zarr": _zarr,
    ".parquet": _parquet,
    ".npy": _numpy,
    ".png": _png,
}
