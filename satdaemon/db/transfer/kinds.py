"""Kinds of value that columns hold on either dialect, and the Arrow type that carries each without loss."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from satdaemon.db.clock import UtcDateTime
from satdaemon.db.geometry import Geom


class Kind(StrEnum):
    """What a column holds. The words stand in the manifests of dumps: append-only."""

    INTEGER = "integer"
    REAL = "real"
    """32 bits."""
    DOUBLE = "double"
    BOOLEAN = "boolean"
    TEXT = "text"
    JSON = "json"
    """As text, exactly as it was written."""
    DATE = "date"
    TIME = "time"
    """Microseconds, UTC."""
    GEOMETRY = "geometry"
    """EWKB."""
    BYTES = "bytes"
    INTEGERS16 = "integers16"
    """A series: smallint[] on PostgreSQL, little-endian int16 in a BLOB on SQLite."""


ARROW: dict[Kind, pa.DataType] = {
    Kind.INTEGER: pa.int64(),
    Kind.REAL: pa.float32(),
    Kind.DOUBLE: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.TEXT: pa.string(),
    Kind.JSON: pa.string(),
    Kind.DATE: pa.date32(),
    Kind.TIME: pa.timestamp("us", "UTC"),
    Kind.GEOMETRY: pa.binary(),
    Kind.BYTES: pa.binary(),
    Kind.INTEGERS16: pa.list_(pa.int16()),
}

_KINDS: tuple[tuple[Any, Kind], ...] = (
    (Geom, Kind.GEOMETRY),
    (UtcDateTime, Kind.TIME),
    (sa.Boolean, Kind.BOOLEAN),
    (sa.Integer, Kind.INTEGER),
    (sa.REAL, Kind.REAL),
    (sa.Float, Kind.DOUBLE),
    (sa.Date, Kind.DATE),
    (sa.JSON, Kind.JSON),
    (sa.String, Kind.TEXT),
)


def kind_of(kind: sa.types.TypeEngine[Any]) -> Kind:
    """The kind of a column of the models; TypeError where a dump would not know how to carry it."""
    found = next((k for known, k in _KINDS if isinstance(kind, known)), None)
    if found is not None:
        return found
    if isinstance(kind, sa.LargeBinary):
        on_postgresql = kind._variant_mapping.get("postgresql")
        if on_postgresql is None:
            return Kind.BYTES
        if isinstance(on_postgresql, sa.ARRAY) and isinstance(on_postgresql.item_type, sa.SmallInteger):
            return Kind.INTEGERS16
    raise TypeError(f"transfer: expected a type that satdaemon.db.transfer.kinds knows, got {kind!r}; add it there")
