"""PostgreSQL's binary COPY format, straight from arrays (PostgreSQL documentation, COPY, "Binary Format")."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satdaemon.db.points.product import COLUMNS, PointsProduct

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
INT2_OID = 21
POINT_COLUMNS = ("version_id", "point_id", "cell", "lon", "lat", *COLUMNS)
SERIES_COLUMNS = ("version_id", "point_id", "series")
BUFFER = 1 << 20


def copy_binary(cursor: Any, table: str, columns: Sequence[str], pieces: Iterable[NDArray[Any]], *, frozen: bool = False) -> None:
    """COPY pieces of rows, made by `point_rows` or `series_rows`, into a table; `frozen`: one made in this transaction."""
    options = "FORMAT binary, FREEZE" if frozen else "FORMAT binary"
    stream = io.BufferedReader(_Stream(_bytes(pieces)), BUFFER)
    cursor.copy_expert(f"COPY {table} ({', '.join(columns)}) FROM STDIN ({options})", stream, BUFFER)


def point_rows(version: int, product: PointsProduct, chosen: NDArray[np.intp]) -> NDArray[Any]:
    """Rows of the points table, for the places `chosen` of the product."""
    kinds = [">i8", ">i8", ">i8", ">f8", ">f8"] + [">f4"] * len(COLUMNS)
    rows = _rows(len(chosen), POINT_COLUMNS, kinds)
    rows["version_id"], rows["point_id"] = version, product.point_id[chosen]
    rows["lon"], rows["lat"] = product.lon[chosen], product.lat[chosen]
    rows["cell"] = product.cell[chosen]
    for name in COLUMNS:
        rows[name] = product.values[name][chosen]
    return rows


def series_rows(version: int, product: PointsProduct, chosen: NDArray[np.intp]) -> NDArray[np.uint16]:
    """Rows of the series table; the series as a smallint[] of one dimension. (rows, 16-bit words)"""
    one = _rows(1, SERIES_COLUMNS, [">i8", ">i8", array_kind(product.series.shape[1])])
    one["version_id"] = version
    fill_array_header(one["series"])
    words = np.frombuffer(one.tobytes(), np.uint16)
    # By words: numpy writes into the fields of such records five times slower.
    rows = np.tile(words, (len(chosen), 1))
    at_id, at_values = 9, 25  # both after the fields before them and their own size; values after the array's five heads
    rows[:, at_id : at_id + 4] = product.point_id[chosen].astype(">i8").view(np.uint16).reshape(-1, 4)
    rows[:, at_values + 2 :: 3] = product.series[chosen].astype(">i2").view(np.uint16)
    return rows


def array_kind(dates: int) -> np.dtype[Any]:
    """A smallint[] of one dimension as PostgreSQL sends it."""
    element = np.dtype([("size", ">i4"), ("value", ">i2")])
    heads = [(name, ">i4") for name in ("dimensions", "nulls", "type", "length", "first")]
    return np.dtype([*heads, ("items", element, (dates,))])


def fill_array_header(series: Any) -> None:
    """All of an array but its values."""
    series["dimensions"], series["nulls"], series["type"], series["first"] = 1, 0, INT2_OID, 1
    series["length"] = series["items"].shape[-1]
    series["items"]["size"] = 2


def _rows(count: int, names: Sequence[str], kinds: Sequence[Any]) -> NDArray[Any]:
    """Empty rows with the number of fields and the size of each filled in."""
    fields: list[tuple[str, Any]] = [("fields", ">i2")]
    for name, kind in zip(names, kinds, strict=True):
        fields += [(f"{name}_size", ">i4"), (name, kind)]
    rows = np.zeros(count, dtype=fields)
    rows["fields"] = len(names)
    for name, kind in zip(names, kinds, strict=True):
        rows[f"{name}_size"] = np.dtype(kind).itemsize
    return rows


def _bytes(pieces: Iterable[NDArray[Any]]) -> Iterator[Any]:
    yield HEADER
    for rows in pieces:
        yield rows.reshape(-1).view(np.uint8).data
    yield TRAILER


class _Stream(io.RawIOBase):
    """Bytes of an iterator as a file."""

    def __init__(self, parts: Iterator[Any]) -> None:
        self._parts = parts
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._rest = memoryview(part)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
