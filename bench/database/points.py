"""Points: a million with 100 dates loaded against a bare binary COPY; the series of one; a map tile of 50,000; exports
against reading the same rows."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from points_made import write_points
from sqlalchemy import Engine

from bench.database.ratio import Ratio, seconds
from satdaemon.config import Settings
from satdaemon.db import Database, points
from satdaemon.db.points.binary import POINT_COLUMNS, SERIES_COLUMNS, copy_binary, point_rows, series_rows
from satdaemon.db.points.load import _pieces, _sqlite_rows
from satdaemon.db.points.product import PointsProduct, read_points_product

FRAME = "132A_BENCH_POINTS"
REPEATS = 3


def measure(settings: Settings, small: bool) -> list[Ratio]:
    """Load, series, tile, exports."""
    count, dates = (10_000, 100) if small else (1_000_000, 100)
    place = Path(tempfile.mkdtemp(prefix="satdaemon-bench-"))
    db = Database(settings)
    try:
        made = write_points(place, count, dates)
        return [_load(db, place), *_read(db, made, 500 if small else 50_000), *_exports(db, place)]
    finally:
        db.close()
        shutil.rmtree(place)


def _load(db: Database, place: Path) -> Ratio:
    """Files to a version that is shown, against the same columns of the same arrays into bare tables without an index."""
    bare_of: Callable[[Engine, PointsProduct], float] = _bare_postgresql if db.on_postgresql else _bare_sqlite
    ours, bare = [], []
    product = read_points_product(place)
    for attempt in range(REPEATS):  # in turns: whatever else the machine does falls on both
        bare.append(bare_of(db.points_engine, product))
        began = time.perf_counter()
        version = points.load_version(db, FRAME, place, 1, attempt)
        with db.session_scope() as session:
            points.activate(session, version)
        ours.append(time.perf_counter() - began)
    what = "binary COPY" if db.on_postgresql else "executemany"
    most = 1 / 0.7 if db.on_postgresql else None
    note = f"speed {min(bare) / min(ours):.0%} of bare"
    return Ratio(f"load {len(product.cell)} x {len(product.dates)} / {what}", min(ours), min(bare), most, note=note)


def _bare_postgresql(engine: Engine, product: PointsProduct) -> float:
    raw: Any = engine.raw_connection()
    order = np.arange(len(product.cell))
    with raw.cursor() as cursor:
        for parent in ("points", "points_series"):
            cursor.execute(f"CREATE TABLE bare_{parent} (LIKE {parent})")
        raw.commit()
        began = time.perf_counter()
        copy_binary(cursor, "bare_points", POINT_COLUMNS, (point_rows(1, product, piece) for piece in _pieces(order)))
        copy_binary(cursor, "bare_points_series", SERIES_COLUMNS, (series_rows(1, product, piece) for piece in _pieces(order)))
        raw.commit()
        wall = time.perf_counter() - began
        cursor.execute("DROP TABLE bare_points, bare_points_series")
        raw.commit()
    raw.close()
    return wall


def _bare_sqlite(engine: Engine, product: PointsProduct) -> float:
    raw: Any = engine.raw_connection()
    cursor = raw.cursor()
    cursor.execute(f"CREATE TABLE bare_points ({', '.join(POINT_COLUMNS)})")
    cursor.execute(f"CREATE TABLE bare_series ({', '.join(SERIES_COLUMNS)})")
    began = time.perf_counter()
    cursor.execute("BEGIN IMMEDIATE")
    for piece in _pieces(np.arange(len(product.cell))):
        rows, lines = _sqlite_rows(1, product, piece)
        cursor.executemany(f"INSERT INTO bare_points VALUES ({', '.join('?' * len(POINT_COLUMNS))})", rows)
        cursor.executemany("INSERT INTO bare_series VALUES (?, ?, ?)", lines)
    cursor.execute("COMMIT")
    wall = time.perf_counter() - began
    cursor.execute("DROP TABLE bare_points")
    cursor.execute("DROP TABLE bare_series")
    raw.close()
    return wall


def _read(db: Database, made: dict[str, np.ndarray], tile: int) -> list[Ratio]:
    ids = [int(i) for i in np.random.default_rng(0).choice(made["id"], 200)]
    wanted = iter(ids * 2)
    one_s = seconds(lambda: points.series(db, FRAME, next(wanted)), 200)
    # The middle of the frame, as wide as holds that many points.
    share = (tile / len(made["lon"])) ** 0.5 / 2
    middle = [float(np.median(made[axis])) for axis in ("lon", "lat")]
    half = [float(np.ptp(made[axis])) * share for axis in ("lon", "lat")]
    box = (middle[0] - half[0], middle[1] - half[1], middle[0] + half[0], middle[1] + half[1])
    found = len(points.in_box(db, FRAME, *box, columns=("velocity",)))
    tile_s = seconds(lambda: points.in_box(db, FRAME, *box, columns=("velocity",)), 9)
    return [
        Ratio("series of a point / 2 ms", one_s * 1e3, 2.0, 1.0, "ms", "median of 200"),
        Ratio(f"tile of {found} points: id, lon, lat, velocity / 300 ms", tile_s * 1e3, 300.0, 1.0, "ms", "median of 9"),
    ]


def _exports(db: Database, place: Path) -> list[Ratio]:
    """Whole files against every row of the shown version read and thrown away."""
    version = points.version_of(db, FRAME)
    assert version is not None
    bare = seconds(lambda: _bare_read(db, version.id), REPEATS)
    return [
        Ratio(f"export to {suffix} / read the rows bare", seconds(lambda out=place / f"out.{suffix}": _export(db, out)), bare)
        for suffix in ("parquet", "csv")
    ]


def _export(db: Database, out: Path) -> None:
    points.export(db, FRAME, out)


def _bare_read(db: Database, version: int) -> None:
    """By COPY on PostgreSQL, by the driver's rows on SQLite."""
    raw: Any = db.points_engine.raw_connection()
    cursor = raw.cursor()
    for table, columns in (("points", POINT_COLUMNS), ("points_series", SERIES_COLUMNS)):
        select = f"SELECT {', '.join(columns)} FROM {table} WHERE version_id = {version}"
        if db.on_postgresql:
            with Path(os.devnull).open("wb") as nowhere:
                cursor.copy_expert(f"COPY ({select}) TO STDOUT (FORMAT binary)", nowhere)
        else:
            cursor.execute(select)
            while cursor.fetchmany(10_000):
                pass
    raw.close()
