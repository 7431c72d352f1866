"""Rows of either database <-> Arrow, without loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from satdaemon.db.transfer.kinds import ARROW, Kind
from satdaemon.db.transfer.tables import Table
from satdaemon.errors import DataError

_ARRAY_HEADER = 20
"""Bytes before the elements of PostgreSQL's binary smallint[] of one dimension; each element is a size and two bytes."""
_ELEMENT = np.dtype([("size", ">i4"), ("value", ">i2")])


def from_database(table: Table, rows: Sequence[Sequence[Any]], on_postgresql: bool) -> pa.RecordBatch:
    """Rows as the driver gave them -> Arrow; DataError where SQLite let a value in that the column is not for."""
    columns = []
    for column, values in zip(table.columns, zip(*rows, strict=True), strict=True):
        read = (_FROM_POSTGRESQL if on_postgresql else _FROM_SQLITE).get(column.kind)
        try:
            columns.append(pa.array(values, ARROW[column.kind]) if read is None else read(values))
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError, ValueError, AttributeError) as error:
            first = rows[0][: len(table.key)]
            raise DataError(
                f"table {table.name}, column {column.name}: expected {column.kind.value}, got a value that is not ({error}), "
                f"among {len(rows)} rows from {tuple(first)!r} on; mend it first"
            ) from error
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)


def _scaled(kind: Kind, width: pa.DataType) -> Callable[[Sequence[Any]], pa.Array]:
    return lambda values: pa.array(values, width).cast(ARROW[kind])


def _bytes(values: Sequence[Any]) -> pa.Array:
    return pa.array([None if v is None else bytes(v) for v in values], pa.binary())


def _series_of_postgresql(values: Sequence[Any]) -> pa.Array:
    return _series(values, _elements)


def _elements(raw: bytes) -> np.ndarray[Any, Any]:
    if len(raw) == _ARRAY_HEADER - 8:  # an empty array has no dimensions
        return np.empty(0, np.int16)
    dimensions, nulls = np.frombuffer(raw, ">i4", 2)
    if dimensions != 1 or nulls:
        raise ValueError("an array of several dimensions or with NULLs")
    return np.frombuffer(raw, _ELEMENT, offset=_ARRAY_HEADER)["value"].astype(np.int16)


def _series_of_sqlite(values: Sequence[Any]) -> pa.Array:
    return _series(values, lambda raw: np.frombuffer(raw, "<i2").astype(np.int16))


def _series(values: Sequence[Any], read: Callable[[bytes], np.ndarray[Any, Any]]) -> pa.Array:
    parts = [None if v is None else read(bytes(v)) for v in values]
    known = [p for p in parts if p is not None]
    offsets = np.zeros(len(parts) + 1, np.int32)
    np.cumsum([0 if p is None else len(p) for p in parts], out=offsets[1:])
    flat = pa.array(np.concatenate(known) if known else np.empty(0, np.int16), pa.int16())
    missing = pa.array([p is None for p in parts]) if len(known) < len(parts) else None
    return pa.ListArray.from_arrays(pa.array(offsets), flat, mask=missing)


def _booleans(values: Sequence[Any]) -> pa.Array:
    strange = {v for v in values if v not in (0, 1, None)}
    if strange:
        raise ValueError(f"{strange!r}")
    return pa.array([None if v is None else bool(v) for v in values], pa.bool_())


def _json(values: Sequence[Any]) -> pa.Array:
    """SQLite keeps a JSON number as a number."""
    return pa.array([v if v is None or isinstance(v, str) else repr(v) for v in values], pa.string())


_FROM_POSTGRESQL: dict[Kind, Callable[[Sequence[Any]], pa.Array]] = {
    Kind.DATE: _scaled(Kind.DATE, pa.int32()),
    Kind.TIME: _scaled(Kind.TIME, pa.int64()),
    Kind.GEOMETRY: _bytes,
    Kind.BYTES: _bytes,
    Kind.INTEGERS16: _series_of_postgresql,
}
_FROM_SQLITE: dict[Kind, Callable[[Sequence[Any]], pa.Array]] = {
    Kind.DATE: _scaled(Kind.DATE, pa.string()),
    Kind.TIME: lambda values: pa.array(values, pa.string()).cast(pa.timestamp("us")).cast(ARROW[Kind.TIME]),
    Kind.BOOLEAN: _booleans,
    Kind.JSON: _json,
    Kind.INTEGERS16: _series_of_sqlite,
}


def to_sqlite(table: Table, batch: pa.RecordBatch) -> list[tuple[Any, ...]]:
    """Arrow -> rows as SQLAlchemy would have written them."""
    columns = []
    for column, array in zip(table.columns, batch.columns, strict=True):
        if column.kind is Kind.TIME:
            array = array.cast(pa.timestamp("us")).cast(pa.string())
        elif column.kind is Kind.DATE:
            array = array.cast(pa.string())
        values = array.to_numpy(zero_copy_only=False) if column.kind is Kind.INTEGERS16 else array.to_pylist()
        if column.kind is Kind.INTEGERS16:
            values = [None if v is None else np.asarray(v, "<i2").tobytes() for v in values]
        columns.append(values)
    return list(zip(*columns, strict=True))


def to_copy(table: Table, batch: pa.RecordBatch) -> bytes:
    r"""Arrow -> PostgreSQL's COPY text: columns between tabs, \N where NULL (PostgreSQL documentation, COPY, "Text Format")."""
    columns = [_copied(column.kind, array) for column, array in zip(table.columns, batch.columns, strict=True)]
    rows = pc.binary_join_element_wise(*columns, "\t") if len(columns) > 1 else columns[0]
    return "\n".join(chain(rows.to_pylist(), ("",))).encode()


def _copied(kind: Kind, array: pa.Array) -> pa.Array:
    if kind in (Kind.TEXT, Kind.JSON):
        for plain, escaped in (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
            array = pc.replace_substring(array, plain, escaped)
    elif kind is Kind.GEOMETRY:
        array = pa.array([None if v is None else v.hex() for v in array.to_pylist()], pa.string())
    elif kind is Kind.BYTES:
        array = pa.array([None if v is None else "\\\\x" + v.hex() for v in array.to_pylist()], pa.string())
    elif kind is Kind.INTEGERS16:
        inner = pc.binary_join(array.cast(pa.list_(pa.string())), ",")
        array = pc.binary_join_element_wise("{", inner, "}", "")
    else:
        array = array.cast(pa.string())
    return pc.fill_null(array, "\\N")
