"""Points into the tables in bulk: a table a version on PostgreSQL, short transactions on SQLite."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from satdaemon.db.models import PointsVersion
from satdaemon.db.points.binary import POINT_COLUMNS, SERIES_COLUMNS, copy_binary, point_rows, series_rows
from satdaemon.db.points.partitions import attach_leaf, create_leaf, index_leaf
from satdaemon.db.points.product import PointsProduct, read_points_product
from satdaemon.db.points.pruning import prune
from satdaemon.db.store import Store
from satdaemon.errors import LeaseLost

CHUNK = 20_000
"""Points a piece: bounds memory, and on SQLite the time for which other writers wait."""
BREATH_S = 0.02
Rows = Callable[[int, PointsProduct, NDArray[np.intp]], NDArray[Any]]


def load_version(db: Store, frame_id: str, product_dir: Path, job_id: int, attempt: int) -> int:
    """Load an ingest product as a new version that nobody sees until it is activated; returns its id.

    What an earlier attempt left is removed first. Raises CorruptProduct where the files do not fit each other, and
    LeaseLost where the version was removed meanwhile, because no live job held it.
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
    load = _load_postgresql if db.points_engine.dialect.name == "postgresql" else _load_sqlite
    load(db.points_engine, version, product)
    return version


def _pieces(order: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    for first in range(0, len(order), CHUNK):
        yield order[first : first + CHUNK]


def _load_postgresql(engine: Engine, version: int, product: PointsProduct) -> None:
    """Both tables at once, each by a connection of its own, then made part of the whole together.

    The row of the version stays locked until then, by which `prune` knows that its loader lives.
    """
    order = np.argsort(product.cell, kind="stable")  # neighbours on the ground are neighbours on disk
    parts: list[tuple[str, tuple[str, ...], Rows]] = [
        ("points_series", SERIES_COLUMNS, series_rows),
        ("points", POINT_COLUMNS, point_rows),
    ]
    with engine.begin() as connection, ThreadPoolExecutor(len(parts)) as threads:
        held = select(PointsVersion.id).where(PointsVersion.id == version).with_for_update()
        if connection.scalar(held) is None:
            raise _removed(version)
        failed: list[Exception] = []
        wait([threads.submit(_fill_leaf, engine, version, product, order, part, failed) for part in parts])
        if failed:
            raise failed[0]
        for parent, _, _ in parts:
            attach_leaf(connection.exec_driver_sql, parent, version)


def _fill_leaf(
    engine: Engine,
    version: int,
    product: PointsProduct,
    order: NDArray[np.intp],
    part: tuple[str, tuple[str, ...], Rows],
    failed: list[Exception],
) -> None:
    parent, columns, rows = part

    def until_failed() -> Iterator[NDArray[Any]]:
        try:
            for chosen in _pieces(order):
                if failed:
                    return
                yield rows(version, product, chosen)
        except Exception as error:
            failed.append(error)  # the driver would hide it behind an error of its own
            raise

    raw: Any = engine.raw_connection()
    try:
        with raw.cursor() as cursor:
            leaf = create_leaf(cursor.execute, parent, version)
            copy_binary(cursor, leaf, columns, until_failed(), frozen=True)
            if failed:
                return
            index_leaf(cursor.execute, parent, version)
        raw.commit()
    except Exception as error:
        failed.append(error)
        raise
    finally:
        raw.close()


def _load_sqlite(engine: Engine, version: int, product: PointsProduct) -> None:
    into_points = f"INSERT INTO points ({', '.join(POINT_COLUMNS)}) VALUES ({', '.join('?' * len(POINT_COLUMNS))})"
    into_series = "INSERT INTO points_series (version_id, point_id, series) VALUES (?, ?, ?)"
    raw: Any = engine.raw_connection()
    try:
        cursor = raw.cursor()
        for chosen in _pieces(np.argsort(product.point_id, kind="stable")):
            points, lines = _sqlite_rows(version, product, chosen)
            cursor.execute("BEGIN IMMEDIATE")
            try:
                if cursor.execute("SELECT 1 FROM points_versions WHERE id = ?", (version,)).fetchone() is None:
                    raise _removed(version)
                cursor.executemany(into_points, points)
                cursor.executemany(into_series, lines)
                cursor.execute("COMMIT")
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            time.sleep(BREATH_S)  # others write too: SQLite has no queue
    finally:
        raw.close()


def _sqlite_rows(version: int, product: PointsProduct, chosen: NDArray[np.intp]) -> tuple[Iterator[Any], Iterator[Any]]:
    ids = product.point_id[chosen].tolist()
    own = [version] * len(ids)
    columns: list[Any] = [own, ids, *(values[chosen].tolist() for values in (product.cell, product.lon, product.lat))]
    columns += [product.values[name][chosen].tolist() for name in POINT_COLUMNS[5:]]
    packed = product.series[chosen].astype("<i2")
    width, data = packed.shape[1] * 2, packed.tobytes()
    blobs = (data[i * width : (i + 1) * width] for i in range(len(ids)))
    return zip(*columns, strict=True), zip(own, ids, blobs, strict=True)


def _removed(version: int) -> LeaseLost:
    return LeaseLost(f"points, version {version}: expected it to be there until it is loaded; it was removed as nobody's")
