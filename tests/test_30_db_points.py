"""Points: loaded unseen, shown whole, found again."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from points_made import show_points, write_points

from satdaemon.config import Settings
from satdaemon.db import Database, Point, PointSeries, PointsVersion, init_database, points
from satdaemon.db.points.cells import cell_of, ranges_of_box
from satdaemon.errors import CorruptProduct, RequestError

FRAME = "132A_TEST"


@pytest.fixture
def product(tmp_path: Path) -> dict[str, np.ndarray]:
    return write_points(tmp_path / "p", 3000, 7)


def show(db: Database, directory: Path, job_id: int = 1) -> int:
    return show_points(db, FRAME, directory, job_id)


def test_points_come_back_as_they_were(database: Database, product: dict[str, np.ndarray], tmp_path: Path) -> None:
    version = show(database, tmp_path / "p")
    found = points.in_box(database, FRAME, -180, -90, 180, 90)
    assert len(found) == 3000 and found.version == version
    order = np.argsort(found.point_id)
    expected = np.argsort(product["id"])
    assert (found.point_id[order] == product["id"][expected]).all()
    assert (found.lon[order] == product["lon"][expected]).all()
    for own, given_name in (("velocity", "velocity"), ("temporal_coherence", "coherence"), ("dem_error_m", "dem_error")):
        np.testing.assert_array_equal(found.values[own][order], product[given_name][expected])
    for place in (0, 11, 2999):
        series = points.series(database, FRAME, int(product["id"][place]))
        raw = product["series"][place]
        np.testing.assert_allclose(series.displacement_mm, np.where(raw == -32768, np.nan, raw / 10))
        assert series.dates[:2] == [date(2020, 1, 1), date(2020, 1, 13)] and len(series.dates) == 7


def test_a_box_and_the_nearest(database: Database, product: dict[str, np.ndarray], tmp_path: Path) -> None:
    show(database, tmp_path / "p")
    west, south, east, north = -1.9, 52.1, -1.7, 52.3
    inside = (product["lon"] >= west) & (product["lon"] <= east) & (product["lat"] >= south) & (product["lat"] <= north)
    found = points.in_box(database, FRAME, west, south, east, north)
    assert set(found.point_id) == set(product["id"][inside]) and 100 < len(found) < 2900
    assert len(points.in_box(database, FRAME, west, south, east, north, limit=5)) == 5
    assert len(points.in_box(database, FRAME, 10, 10, 11, 11)) == 0
    near = points.nearest(database, FRAME, -1.75, 52.25, 4)
    metres = np.hypot((product["lon"] + 1.75) * np.cos(np.radians(52.25)), product["lat"] - 52.25)
    assert list(near.point_id) == list(product["id"][np.argsort(metres)[:4]])
    assert len(points.nearest(database, FRAME, 40, -30, 1)) == 1


def test_readers_see_the_old_or_the_new_set(database: Database, product: dict[str, np.ndarray], tmp_path: Path) -> None:
    first = show(database, tmp_path / "p")
    newer = write_points(tmp_path / "q", 50, 9, seed=1)
    second = points.load_version(database, FRAME, tmp_path / "q", 2, 1)
    shown = points.version_of(database, FRAME)
    assert shown is not None and (shown.id, shown.points) == (first, 3000)
    with database.session_scope() as session:
        points.activate(session, second)
        other = points.version_of(database, FRAME) if database.on_postgresql else shown
        assert other is not None and other.id == first, "not before the commit"
    shown = points.version_of(database, FRAME)
    assert shown is not None and (shown.id, shown.points, len(shown.dates)) == (second, 50, 9)
    assert len(points.series(database, FRAME, int(newer["id"][3])).dates) == 9
    states = {v.id: v.state for v in database.query(PointsVersion)}
    assert states == {first: "old", second: "active"}


def test_what_came_to_nothing_is_removed(database: Database, product: dict[str, np.ndarray], tmp_path: Path) -> None:
    small = tmp_path / "s"
    write_points(small, 20, 3)
    for job in (1, 2, 3):
        show(database, small, job)
    left_behind = points.load_version(database, FRAME, small, 9, 1)
    points.load_version(database, FRAME, small, 9, 2)
    assert left_behind not in {v.id for v in database.query(PointsVersion)}
    points.prune(database, FRAME, keep=1)
    kept = [(v.state, v.job_id) for v in database.query(PointsVersion)]
    assert kept == [("old", 2), ("active", 3)]
    with database.read_scope() as session:
        assert session.query(Point).count() == session.query(PointSeries).count() == 40


def test_files_that_do_not_fit_are_refused(database: Database, tmp_path: Path) -> None:
    write_points(tmp_path / "p", 20, 3)
    np.save(tmp_path / "p" / "series.npy", np.zeros((20, 4), np.int16))
    with pytest.raises(CorruptProduct, match=r"20 points with series of 3 dates .* got int16 \(20, 4\)"):
        points.load_version(database, FRAME, tmp_path / "p", 1, 1)
    with pytest.raises(CorruptProduct, match=r"expected points\.parquet"):
        points.load_version(database, FRAME, tmp_path / "none", 1, 1)
    assert database.query(PointsVersion) == []


def test_questions_without_an_answer(database: Database, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="none ingested yet"):
        points.in_box(database, FRAME, 0, 0, 1, 1)
    with pytest.raises(RequestError, match="west <= east"):
        points.in_box(database, FRAME, 1, 0, 0, 1)
    with pytest.raises(RequestError, match="none ingested yet"):
        points.series(database, FRAME, 5)


def test_points_in_a_database_of_their_own(settings: Settings, product: dict[str, np.ndarray], tmp_path: Path) -> None:
    own = settings.parameters.model_copy(update={"points_database": f"sqlite:///{tmp_path / 'points.sqlite'}"})
    db = init_database(settings.model_copy(update={"parameters": own}))
    version = points.load_version(db, FRAME, tmp_path / "p", 1, 1)
    with db.session_scope() as session:
        assert points.activate_of_job(db, session, 1, 1)
    shown = points.version_of(db, FRAME)
    assert shown is not None and shown.id == version
    with db.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM points_versions").scalar() == 0, "not in the processing database"
    db.close()


@given(st.floats(-179, 178), st.floats(-89, 88), st.floats(0, 5), st.floats(0, 5), st.floats(-0.2, 1.2), st.floats(-0.2, 1.2))
def test_ranges_of_cells_cover_their_box(west: float, south: float, width: float, height: float, u: float, v: float) -> None:
    east, north = min(west + width, 180), min(south + height, 90)
    ranges = ranges_of_box(west, south, east, north)
    assert 1 <= len(ranges) <= 100 and ranges == sorted(ranges)
    lon, lat = west + u * (east - west), south + v * (north - south)
    cell = int(cell_of(lon, lat))
    if 0 <= u <= 1 and 0 <= v <= 1:
        assert any(first <= cell <= last for first, last in ranges)


def test_ranges_are_tight_enough_to_save_work() -> None:
    ranges = ranges_of_box(-1.9, 52.1, -1.7, 52.3)
    covered = sum(last - first + 1 for first, last in ranges)
    box = (0.2 / 360 * 2**31) * (0.2 / 180 * 2**31)
    assert covered < 4 * box
