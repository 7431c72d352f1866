"""PostgreSQL's binary COPY format, straight from arrays (PostgreSQL documentation, COPY, "Binary Format")."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satdaemon.db.points.cells import cell_of
from satdaemon.db.points.product import COLUMNS, PointsProduct

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
INT2_OID = 21
POINT_COLUMNS = ("version_id", "point_id", "cell", "lon", "lat", *COLUMNS)
BUFFER = 1 << 20


def copy_binary(cursor: Any, table: str, columns: Sequence[str], pieces: Iterable[NDArray[Any]]) -> None:
    """COPY pieces of rows, made by `point_rows` or `series_rows`, into a table."""
    stream = io.BufferedReader(_Stream(_bytes(pieces)), BUFFER)
    cursor.copy_expert(f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT binary)", stream, BUFFER)


def point_rows(version: int, product: PointsProduct, piece: slice) -> NDArray[Any]:
    """Rows of the points table."""
    kinds = [">i8", ">i8", ">i8", ">f8", ">f8"] + [">f4"] * len(COLUMNS)
    rows = _rows(piece.stop - piece.start, POINT_COLUMNS, kinds)
    rows["version_id"], rows["point_id"] = version, product.point_id[piece]
    rows["lon"], rows["lat"] = product.lon[piece], product.lat[piece]
    rows["cell"] = cell_of(product.lon[piece], product.lat[piece])
    for name in COLUMNS:
        rows[name] = product.values[name][piece]
    return rows


def series_rows(version: int, product: PointsProduct, piece: slice) -> NDArray[Any]:
    """Rows of the series table; the series as a smallint[] of one dimension."""
    dates = product.series.shape[1]
    element = np.dtype([("size", ">i4"), ("value", ">i2")])
    array = np.dtype(
        [
            ("dimensions", ">i4"),
            ("nulls", ">i4"),
            ("type", ">i4"),
            ("length", ">i4"),
            ("first", ">i4"),
            ("items", element, (dates,)),
        ]
    )
    rows = _rows(piece.stop - piece.start, ("version_id", "point_id", "series"), [">i8", ">i8", array])
    rows["version_id"], rows["point_id"] = version, product.point_id[piece]
    series = rows["series"]
    series["dimensions"], series["nulls"], series["type"] = 1, 0, INT2_OID
    series["length"], series["first"] = dates, 1
    series["items"]["size"] = 2
    series["items"]["value"] = product.series[piece]
    return rows


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


def _bytes(pieces: Iterable[NDArray[Any]]) -> Iterator[bytes]:
    yield HEADER
    for rows in pieces:
        yield rows.tobytes()
    yield TRAILER


class _Stream(io.RawIOBase):
    """Bytes of an iterator as a file."""

    def __init__(self, parts: Iterator[bytes]) -> None:
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
