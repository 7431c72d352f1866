"""The rows of a SELECT of numbers as arrays: binary COPY on PostgreSQL, the driver's rows on SQLite."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, func, literal_column, select
from sqlalchemy.orm import Session

from satdaemon.db.models import Point, PointSeries
from satdaemon.db.points.binary import HEADER, TRAILER, array_kind
from satdaemon.db.points.product import COLUMNS
from satdaemon.errors import DataError

KINDS: dict[str, str] = {"point_id": "i8", "cell": "i8", "lon": "f8", "lat": "f8", **dict.fromkeys(COLUMNS, "f4")}


def fetch_points(session: Session, columns: Sequence[str], where: Sequence[Any], order: Sequence[Any], limit: int | None) -> Any:
    """Columns of the points table as arrays by name; NaN where a value is unknown."""
    if session.get_bind().dialect.name != "postgresql":
        wanted = select(*(getattr(Point, name) for name in columns)).where(*where).order_by(*order).limit(limit)
        rows = _fetched(session, wanted)
        parts = zip(*rows, strict=True) if rows else iter([()] * len(columns))
        return {name: np.array(part, dtype=KINDS[name]) for name, part in zip(columns, parts, strict=True)}
    # Without NULL every row is as long as the next, so that all of them are one array.
    unknown: Any = literal_column("'NaN'::real")
    shown = [
        func.coalesce(getattr(Point, name), unknown).label(name) if name in COLUMNS else getattr(Point, name) for name in columns
    ]
    rows = _copied(session, select(*shown).where(*where).order_by(*order).limit(limit), [f">{KINDS[n]}" for n in columns])
    return {name: rows[f"f{i}"].astype(KINDS[name]) for i, name in enumerate(columns)}


def fetch_series(session: Session, version: int, ids: NDArray[np.int64], dates: int) -> NDArray[np.int16]:
    """Series of points, in the order of `ids`. (points, dates), 0.1 mm; DataError where one is missing."""
    wanted = select(PointSeries.point_id, PointSeries.series).where(PointSeries.version_id == version)
    wanted = wanted.where(among(session, PointSeries.point_id, ids))
    if session.get_bind().dialect.name != "postgresql":
        numbers, series = zip(*rows, strict=True) if (rows := _fetched(session, wanted)) else ((), ())
        if set(map(len, series)) - {2 * dates}:
            raise DataError(f"points, version {version}: expected series of {dates} dates, found others")
        found, values = np.array(numbers, np.int64), np.frombuffer(b"".join(series), "<i2").reshape(len(rows), dates)
    else:
        copied = _copied(session, wanted, [">i8", array_kind(dates)])
        found, values = copied["f0"].astype(np.int64), copied["f1"]["items"]["value"]
    order = np.argsort(found)
    places = np.searchsorted(found, ids, sorter=order)
    there = places < len(found)
    if not there.all() or not np.array_equal(found[order[places]], ids):
        raise DataError(f"points, version {version}: expected a series of each of {len(ids)} points, some have none")
    chosen: NDArray[np.int16] = values[order[places]].astype(np.int16)
    return chosen


def among(session: Session, column: Any, ids: NDArray[np.int64]) -> Any:
    """The condition that a column of integers is one of many: written out, for there are more than a driver binds."""
    numbers = ",".join(map(str, ids.tolist()))
    if session.get_bind().dialect.name == "postgresql":
        return column == func.any(literal_column(f"'{{{numbers}}}'::bigint[]"))
    return column.op("IN")(literal_column(f"({numbers or 'NULL'})"))


def _fetched(session: Session, wanted: Select[Any]) -> list[tuple[Any, ...]]:
    """Rows of a SELECT as SQLite's driver gives them: SQLAlchemy's would cost as much again."""
    raw: Any = session.connection().connection
    statement = str(wanted.compile(dialect=session.get_bind().dialect, compile_kwargs={"literal_binds": True}))
    rows: list[tuple[Any, ...]] = raw.cursor().execute(statement).fetchall()
    return rows


def _copied(session: Session, wanted: Select[Any], kinds: Sequence[Any]) -> Any:
    """Rows of a SELECT by COPY, as a structured array with the fields f0, f1 ..."""
    raw: Any = session.connection().connection
    statement = str(wanted.compile(dialect=session.get_bind().dialect, compile_kwargs={"literal_binds": True}))
    buffer = io.BytesIO()
    with raw.cursor() as cursor:
        cursor.copy_expert(f"COPY ({statement.replace('%%', '%')}) TO STDOUT (FORMAT binary)", buffer, 1 << 20)
    fields: list[tuple[str, Any]] = [("fields", ">i2")]
    for place, kind in enumerate(kinds):
        fields += [(f"size{place}", ">i4"), (f"f{place}", kind)]
    record, data = np.dtype(fields), buffer.getbuffer()[len(HEADER) : -len(TRAILER)]
    sized = len(data) % record.itemsize == 0
    rows = np.frombuffer(data, record) if sized else np.empty(0, record)
    if not sized or any((rows[f"size{i}"] != np.dtype(kind).itemsize).any() for i, kind in enumerate(kinds)):
        raise DataError("points: expected rows of one length, found others: a value is missing, or a series has other dates")
    return rows
