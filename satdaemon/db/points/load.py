"""Points into the tables in bulk: binary COPY on PostgreSQL, short transactions on SQLite."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from satdaemon.db.models import Point, PointSeries, PointsVersion, RunningJob
from satdaemon.db.models.points import LOADING, OLD
from satdaemon.db.points.binary import POINT_COLUMNS, copy_binary, point_rows, series_rows
from satdaemon.db.points.cells import cell_of
from satdaemon.db.points.product import PointsProduct, read_points_product
from satdaemon.db.store import Store

CHUNK = 20_000
"""Points a piece: bounds memory, and on SQLite the time for which other writers wait."""
BREATH_S = 0.02


def load_version(db: Store, frame_id: str, product_dir: Path, job_id: int, attempt: int) -> int:
    """Load an ingest product as a new version that nobody sees until it is activated; returns its id.

    What an earlier attempt left is removed first. Raises CorruptProduct where the files do not fit each other.
    """
    prune(db, frame_id, job_id=job_id)
    product = read_points_product(product_dir)
    with Session(db.points_engine) as session, session.begin():
        row = PointsVersion(
            frame_id=frame_id, points=len(product.point_id), dates=product.dates, attributes=product.attributes,
            product=str(product_dir), job_id=job_id, attempt=attempt,
        )  # fmt: skip
        session.add(row)
        session.flush()
        version = row.id
    if db.points_engine.dialect.name == "postgresql":
        _load_postgresql(db, version, product)
    else:
        _load_sqlite(db, version, product)
    return version


def prune(db: Store, frame_id: str | None = None, *, keep: int = 1, job_id: int | None = None) -> int:
    """Remove replaced versions but the `keep` latest a frame, and loads that came to nothing; returns how many."""
    with db.read_scope() as session:
        live = set(session.scalars(select(RunningJob.job_id)))
    with Session(db.points_engine) as session, session.begin():
        wanted = select(PointsVersion).where(PointsVersion.state.in_((OLD, LOADING))).order_by(PointsVersion.id.desc())
        if frame_id is not None:
            wanted = wanted.where(PointsVersion.frame_id == frame_id)
        seen: dict[str, int] = {}
        doomed = []
        for version in session.scalars(wanted):
            if version.state == LOADING:
                if version.job_id == job_id or version.job_id not in live:
                    doomed.append(version.id)
                continue
            seen[version.frame_id] = seen.get(version.frame_id, 0) + 1
            if seen[version.frame_id] > keep:
                doomed.append(version.id)
        for table in (PointSeries, Point):
            session.execute(delete(table).where(or_(*(table.version_id == v for v in doomed)))) if doomed else None
        session.execute(delete(PointsVersion).where(PointsVersion.id.in_(doomed)))
    return len(doomed)


def _pieces(product: PointsProduct) -> Iterator[slice]:
    for first in range(0, len(product.point_id), CHUNK):
        yield slice(first, min(first + CHUNK, len(product.point_id)))


def _load_postgresql(db: Store, version: int, product: PointsProduct) -> None:
    raw: Any = db.points_engine.raw_connection()
    try:
        with raw.cursor() as cursor:
            copy_binary(cursor, "points", POINT_COLUMNS, (point_rows(version, product, piece) for piece in _pieces(product)))
            columns = ("version_id", "point_id", "series")
            copy_binary(cursor, "points_series", columns, (series_rows(version, product, piece) for piece in _pieces(product)))
        raw.commit()
    finally:
        raw.close()


def _load_sqlite(db: Store, version: int, product: PointsProduct) -> None:
    into_points = f"INSERT INTO points ({', '.join(POINT_COLUMNS)}) VALUES ({', '.join('?' * len(POINT_COLUMNS))})"
    into_series = "INSERT INTO points_series (version_id, point_id, series) VALUES (?, ?, ?)"
    raw: Any = db.points_engine.raw_connection()
    try:
        cursor = raw.cursor()
        for piece in _pieces(product):
            ids = product.point_id[piece].tolist()
            columns: list[Any] = [[version] * len(ids), ids, cell_of(product.lon[piece], product.lat[piece]).tolist()]
            columns += [product.lon[piece].tolist(), product.lat[piece].tolist()]
            columns += [product.values[name][piece].tolist() for name in POINT_COLUMNS[5:]]
            packed = np.ascontiguousarray(product.series[piece], "<i2")
            width = packed.shape[1] * 2
            data = packed.tobytes()
            blobs = (data[i * width : (i + 1) * width] for i in range(len(ids)))
            cursor.execute("BEGIN IMMEDIATE")
            try:
                cursor.executemany(into_points, zip(*columns, strict=True))
                cursor.executemany(into_series, zip(columns[0], ids, blobs, strict=True))
                cursor.execute("COMMIT")
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            time.sleep(BREATH_S)  # others write too: SQLite has no queue
    finally:
        raw.close()
