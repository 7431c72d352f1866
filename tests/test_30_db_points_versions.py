"""Sets of points as a whole: a kill at any moment leaves the old one shown; what is left is found and removed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from databases import make_settings
from points_made import show_points, write_points
from sqlalchemy import text

from satdaemon.config import Settings
from satdaemon.db import Database, Point, PointSeries, PointsVersion, points
from satdaemon.db.initialise import alembic_config, migrate
from satdaemon.db.points import load
from satdaemon.db.points.partitions import leaves, make_partitions
from satdaemon.db.points.read import walk
from satdaemon.db.points.shown import shown
from satdaemon.db.session import open_engine
from satdaemon.errors import CorruptProduct, LeaseLost

FRAME = "132A_TEST"
HERE = Path(__file__).resolve().parent


@pytest.fixture
def small(tmp_path: Path) -> Path:
    write_points(tmp_path / "small", 60, 3)
    return tmp_path / "small"


def stored(db: Database) -> dict[str, int]:
    """Rows of each table, wherever they are."""
    with db.points_engine.connect() as connection:
        tables = ("points_versions", "points", "points_series")
        return {table: connection.scalar(text(f"SELECT count(*) FROM {table}")) for table in tables}


def partitions(db: Database) -> set[str]:
    """Tables of versions on PostgreSQL."""
    if not db.on_postgresql:
        return set()
    with db.points_engine.connect() as connection:
        return {name for names in leaves(connection).values() for name in names}


def states(db: Database) -> list[tuple[int, str]]:
    return sorted((version.id, version.state) for version in points.versions(db))


def test_a_version_has_tables_of_its_own_where_there_are_partitions(database: Database, small: Path) -> None:
    version = show_points(database, FRAME, small)
    expected = {f"points_v{version}", f"points_series_v{version}"} if database.on_postgresql else set()
    assert partitions(database) == expected
    assert stored(database) == {"points_versions": 1, "points": 60, "points_series": 60}
    (one,) = points.versions(database, FRAME)
    assert one.attributes["bounds"][0] == pytest.approx(-2.0, abs=0.1)
    if database.on_postgresql:
        with database.points_engine.connect() as connection:
            leaf = f"points_v{version}"
            keys = connection.scalars(text(f"SELECT indexdef FROM pg_indexes WHERE tablename = '{leaf}'")).all()
            parts = connection.scalar(
                text("SELECT count(*) FROM pg_inherits WHERE inhparent = 'ix_points_version_id_cell'::regclass")
            )
        assert len(keys) == 2 and parts == 2, "indexes are parts of the whole's, none is doubled"


def test_old_versions_go_and_take_their_tables_along(database: Database, small: Path) -> None:
    made = [show_points(database, FRAME, small, job) for job in (1, 2, 3)]
    assert states(database) == [(made[0], "old"), (made[1], "old"), (made[2], "active")]
    assert points.prune(database) == 1, "the one before stays"
    assert [v.id for v in points.removable(database, keep=0)] == [made[1]]
    assert points.prune(database, keep=0) == 1 and points.prune(database, keep=0) == 0
    assert states(database) == [(made[2], "active")] and len(partitions(database)) in (0, 2)
    assert stored(database) == {"points_versions": 1, "points": 60, "points_series": 60}


def test_a_load_that_fails_shows_nothing_and_is_removed(database: Database, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = show_points(database, FRAME, small)
    real = load._pieces

    def broken(order: Any) -> Iterator[Any]:
        yield from real(order[:20])
        raise OSError("the disk went away")

    monkeypatch.setattr(load, "_pieces", broken)
    with pytest.raises(OSError, match="the disk went away"):
        points.load_version(database, FRAME, small, 2, 1)
    monkeypatch.undo()
    assert [state for _, state in states(database)] == ["active", "loading"]
    assert len(points.in_box(database, FRAME, -180, -90, 180, 90)) == 60
    assert points.prune(database) == 1
    assert states(database) == [(before, "active")]
    assert stored(database) == {"points_versions": 1, "points": 60, "points_series": 60}


@pytest.mark.faults
@pytest.mark.slow
def test_a_kill_in_the_middle_leaves_the_old_set_shown(
    database: Database, settings: Settings, tmp_path: Path, small: Path
) -> None:
    before = show_points(database, FRAME, small)
    write_points(tmp_path / "large", 2000, 5)
    command = [sys.executable, str(HERE / "loader.py"), settings.parameters.database, str(tmp_path), str(tmp_path / "large")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(HERE)})
    assert process.stdout is not None and process.stdout.readline() == "half\n"
    if database.on_postgresql:
        assert points.removable(database) == [], "its loader lives, though no job of the database holds it"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    shown_now = points.version_of(database, FRAME)
    assert shown_now is not None and shown_now.id == before
    until = time.monotonic() + 30
    while not points.removable(database) and time.monotonic() < until:
        time.sleep(0.1)  # the server notices the broken connection by itself
    assert points.prune(database) == 1
    assert states(database) == [(before, "active")]
    assert stored(database) == {"points_versions": 1, "points": 60, "points_series": 60}
    assert len(partitions(database)) in (0, 2)


def test_what_is_read_stays_until_it_has_been_read(database: Database, small: Path) -> None:
    show_points(database, FRAME, small, 1)
    with shown(database, FRAME) as view:
        pieces = walk(view, columns=(), piece=25)
        seen = len(next(pieces))
        show_points(database, FRAME, small, 2)
        if database.on_postgresql:
            assert points.prune(database, keep=0) == 0, "somebody reads it"
        seen += sum(map(len, pieces))
    assert seen == 60
    points.prune(database, keep=0)
    assert [state for _, state in states(database)] == ["active"]


def test_rows_of_no_version_are_found_and_removed(database: Database, small: Path) -> None:
    version = show_points(database, FRAME, small)
    database.insert(Point(version_id=version + 5, point_id=1, cell=1, lon=0.0, lat=0.0))
    database.insert(PointSeries(version_id=version + 6, point_id=1, series=[1, 2] if database.on_postgresql else b"\1\0\2\0"))
    if database.on_postgresql:
        with database.points_engine.begin() as connection:
            make_partitions(connection, [version + 9])
    orphans = [version + 5, version + 6] + ([version + 9] if database.on_postgresql else [])
    assert points.orphaned(database) == orphans
    assert points.prune(database, FRAME) == 0, "not where one frame is asked for"
    assert points.prune(database) == len(orphans)
    assert stored(database) == {"points_versions": 1, "points": 60, "points_series": 60} and points.orphaned(database) == []


def test_a_version_that_was_removed_while_it_was_loaded(database: Database, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its job lost its lease, and a prune took it for nobody's: the load ends, and nothing is left."""
    real = load.read_points_product

    def remove(name: str) -> Any:
        def work(engine: Any, version: int, product: Any) -> None:
            with engine.begin() as connection:
                connection.execute(text("DELETE FROM points_versions WHERE id = :v"), {"v": version})
            return getattr(load, f"{name}_for_real")(engine, version, product)

        return work

    for name in ("_load_postgresql", "_load_sqlite"):
        monkeypatch.setattr(load, f"{name}_for_real", getattr(load, name), raising=False)
        monkeypatch.setattr(load, name, remove(name))
    with pytest.raises(LeaseLost, match="it was removed as nobody's"):
        points.load_version(database, FRAME, small, 1, 1)
    assert stored(database) == {"points_versions": 0, "points": 0, "points_series": 0} and partitions(database) == set()
    assert real is load.read_points_product


def test_rows_that_were_inserted_by_hand_are_found_and_move_into_tables(database: Database, small: Path) -> None:
    """As a restore writes them: rows first, tables of versions afterwards."""
    version = show_points(database, FRAME, small)
    with database.points_engine.connect() as connection:
        rows = {t: connection.execute(text(f"SELECT * FROM {t}")).mappings().all() for t in ("points", "points_series")}
    entry = {"frame_id": "132A_OTHER", "points": 60, "dates": ["2020-01-01", "2020-01-13", "2020-01-25"], "state": "active"}
    database.insert(PointsVersion(id=version + 10, product="p", job_id=5, attempt=1, attributes={}, **entry))
    for model, name in ((Point, "points"), (PointSeries, "points_series")):
        database.insert([model(**{**row, "version_id": version + 10}) for row in rows[name]])
    for _ in range(2):
        assert len(points.in_box(database, "132A_OTHER", -180, -90, 180, 90)) == 60
        one = int(rows["points"][0]["point_id"])
        np.testing.assert_array_equal(
            points.series(database, "132A_OTHER", one).displacement_mm, points.series(database, FRAME, one).displacement_mm
        )
        with database.points_engine.begin() as connection:
            made = make_partitions(connection, [version, version + 10])
    assert made == [] and len(partitions(database)) in (0, 4)
    assert stored(database) == {"points_versions": 2, "points": 120, "points_series": 120}
    assert points.prune(database, "132A_OTHER") == 0


def test_products_that_make_no_sense_are_refused(database: Database, tmp_path: Path) -> None:
    for number, (message, change) in enumerate({
        "1 ids again": lambda t: {**t, "id": np.where(t["id"] == 1, 0, t["id"])},
        "1 points without a place": lambda t: {**t, "lat": np.where(t["id"] == 1, np.nan, t["lat"])},
        "got none": lambda t: {name: values[:0] for name, values in t.items()},
    }.items()):  # fmt: skip
        import pyarrow as pa
        import pyarrow.parquet as pq

        place = tmp_path / str(number)
        made = write_points(place, 30, 3)
        series = made.pop("series")
        table = change(made)
        pq.write_table(pa.table(table), place / "points.parquet")
        np.save(place / "series.npy", series[: len(table["id"])])
        with pytest.raises(CorruptProduct, match=message):
            points.load_version(database, FRAME, place, 1, 1)
    place = tmp_path / "dates"
    write_points(place, 30, 3)
    about = (place / "product.json").read_text()
    (place / "product.json").write_text(about.replace("2020-01-13", "2020-01-01"))
    with pytest.raises(CorruptProduct, match="expected dates in order"):
        points.load_version(database, FRAME, place, 1, 1)
    assert stored(database) == {"points_versions": 0, "points": 0, "points_series": 0}


@pytest.mark.parametrize("dialect", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgis)])
def test_points_of_an_older_schema_are_all_there_afterwards(request: pytest.FixtureRequest, tmp_path: Path, dialect: str) -> None:
    from alembic import command

    def check(url: str) -> None:
        engine = open_engine(url)
        with engine.begin() as connection:
            if dialect == "postgresql":
                connection.execute(text("CREATE EXTENSION postgis"))
            command.upgrade(alembic_config(connection), "0003")
            for version in (3, 8):
                for point in (4, 9):
                    connection.execute(
                        text(
                            "INSERT INTO points (version_id, point_id, cell, lon, lat, velocity)"
                            " VALUES (:v, :p, 7, 1.5, 2.5, -3.25)"
                        ),
                        {"v": version, "p": point},
                    )
                    series = [version, -point] if dialect == "postgresql" else bytes([version, 0, 256 - point, 255])
                    connection.execute(
                        text("INSERT INTO points_series (version_id, point_id, series) VALUES (:v, :p, :s)"),
                        {"v": version, "p": point, "s": series},
                    )
        before = rows_of(engine)
        migrate(engine)
        assert rows_of(engine) == before
        assert [len(rows) for rows in before] == [4, 4]
        db = Database(make_settings(tmp_path, url))
        assert partitions(db) == (
            {f"{table}_v{v}" for table in ("points", "points_series") for v in (3, 8)} if dialect == "postgresql" else set()
        )
        db.close()
        engine.dispose()

    def rows_of(engine: Any) -> list[list[Any]]:
        columns = {"points": "version_id, point_id, cell, lon, lat, velocity", "points_series": "version_id, point_id, series"}
        with engine.connect() as connection:
            return [
                [tuple(r) for r in connection.execute(text(f"SELECT {names} FROM {table} ORDER BY 1, 2"))]
                for table, names in columns.items()
            ]

    if dialect == "sqlite":
        check(f"sqlite:///{tmp_path / 'old.sqlite'}")
    else:
        with request.getfixturevalue("postgres_cluster").database(template=None) as url:
            check(url)
