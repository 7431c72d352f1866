"""`Database` as people use it."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import shapely
from databases import make_settings
from frames_made import FRAME, add_file, bursts, make_frame, plan
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from postgres import Cluster

from satdaemon.db import Burst, Database, File, Frame, Ifg, JobEvent, PendingJob, RsarIfg, RunningJob, jobs
from satdaemon.db.bursts import insert_bursts
from satdaemon.errors import ConfigError, RequestError
from satdaemon.status import ProcStatus, is_legal_move


def example(name: str = "EXAMPLE_ID", **columns: object) -> File:
    given = {"track": 100, "orbit_direction": "A", "date": date(2019, 10, 1), "proc_date": date(2019, 10, 1), **columns}
    return File(id=name, abspath=f"PATH/TO/{name}", **given)


def test_the_words_of_the_specification(database: Database) -> None:
    database.insert(example())
    (file,) = database.query(File, id="EXAMPLE_ID")
    assert (file.abspath, file.date, file.bursts, file.frames) == ("PATH/TO/EXAMPLE_ID", date(2019, 10, 1), [], [])
    assert (datetime.now(UTC) - file.last_updated).total_seconds() < 60
    assert database.update(File, {"track": 101}, id="EXAMPLE_ID") == 1
    (changed,) = database.query(File, track=101)
    assert changed.last_updated > file.last_updated
    with database.session_scope() as session:
        found = session.query(File).filter(File.date < date(2019, 10, 20)).all()
    assert [f.id for f in found] == ["EXAMPLE_ID"]
    assert database.delete(File, id="EXAMPLE_ID") == 1
    assert database.query(File, id="EXAMPLE_ID") == []
    assert database.delete(File, id="EXAMPLE_ID") == 0


def test_many_at_once_and_conditions_of_many_values(database: Database) -> None:
    database.insert([example(f"F{i}") for i in range(5)])
    assert [f.id for f in database.query(File, id=["F1", "F3"], track=100)] == ["F1", "F3"]
    assert len(database.query(File, proc_utc=None)) == len(database.query(File)) == 5
    assert database.update(File, {"track": 7}, id=("F0", "F1")) == 2


def test_links_are_filled_in_by_themselves(database: Database) -> None:
    insert_bursts(database, bursts())
    database.make_new_frame_using_burstlist([b.id for b in bursts()], FRAME)
    one = bursts()[0]
    file = example(track=132, footprint=shapely.Point(one.footprint[0]).buffer(0.01))
    database.insert(file)
    assert [b.id for b in file.bursts] == [one.id] and [f.id for f in file.frames] == [FRAME]
    (frame,) = database.query(Frame)
    assert [f.id for f in frame.files] == ["EXAMPLE_ID"]
    by_hand = example("BY_HAND", track=132)
    by_hand.bursts = database.query(Burst, id=bursts()[3].id)
    database.insert(by_hand)
    assert [f.id for f in database.query(File, id="BY_HAND")[0].frames] == [FRAME]


def test_a_frame_put_in_by_hand_gets_its_files(database: Database) -> None:
    insert_bursts(database, bursts())
    name = add_file(database, datetime(2023, 1, 1, 6, tzinfo=UTC), bursts())
    frame = Frame(id=FRAME, track=132, orbit_direction="A", bursts=database.query(Burst))
    database.insert(frame)
    assert [f.id for f in frame.files] == [name]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda db: db.query(File, colour="red"), "expected columns of files .*got colour"),
        (lambda db: db.update(File, {"track": 1}), "expected at least one condition"),
        (lambda db: db.delete(File), "expected at least one condition"),
        (lambda db: db.update(File, {"colour": 1}, id="x"), "got colour"),
        (lambda db: db.update(JobEvent, {"who": "me"}, id=1), "what happened is not changed"),
        (lambda db: db.delete(JobEvent, id=1), "what happened is not removed"),
        (lambda db: db.delete(RunningJob, job_id=1), "put back by the next plan"),
        (lambda db: db.update(PendingJob, {"attempt": 9}, job_id=1), "attempt are the engine's"),
        (lambda db: db.insert(PendingJob(job_id=1)), "made by the planner"),
        (lambda db: db.insert(example(orbit_direction="X")), "the database refused it"),
    ],
)
def test_what_is_refused(database: Database, call: object, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        call(database)  # type: ignore[operator]


def test_the_same_file_twice_is_refused(database: Database) -> None:
    database.insert(example())
    with pytest.raises(RequestError, match="insert of File"):
        database.insert(example())


def test_nothing_is_deleted_or_reset_under_a_running_job(database: Database) -> None:
    make_frame(database, 4)
    plan(database)
    grant = next(g for g in jobs.grant_pass(database) if g.job.kind == "ifg")
    day = grant.job.date1
    for call in (
        lambda: database.delete(Frame, id=FRAME),
        lambda: database.delete(Ifg, frame_id=FRAME, date=day),
        lambda: database.delete(File, date=day),
    ):
        with pytest.raises(RequestError, match=r"running job .* needs it"):
            call()
    with pytest.raises(RequestError, match="a running job holds such a row"):
        database.update(Ifg, {"proc_status": 0}, frame_id=FRAME, date=day)
    with pytest.raises(RequestError, match=r"other rows need it|running job"):
        database.delete(Burst, id=bursts()[0].id)


def test_deleting_a_frame_takes_all_of_it(database: Database) -> None:
    make_frame(database, 4)
    plan(database)
    assert database.delete(Frame, id=FRAME) == 1
    assert database.query(Ifg) == database.query(RsarIfg) == database.query(PendingJob) == []
    assert len(database.query(File)) == 4 and len(database.query(Burst)) == 6
    assert plan(database).ready == 0
    make_frame(database, 4)
    assert plan(database).added == 4


@given(old=st.sampled_from(ProcStatus), new=st.sampled_from(ProcStatus))
@profile(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_illegal_move_through_the_facade(one_row: Database, old: ProcStatus, new: ProcStatus) -> None:
    from sqlalchemy import text

    with one_row.session_scope() as session:
        session.execute(text("UPDATE ifg SET proc_status = :old"), {"old": int(old)})
    legal = old is new or is_legal_move(old, new)
    if legal and new is not ProcStatus.RUNNING:
        assert one_row.update(Ifg, {"proc_status": int(new)}, frame_id=FRAME) == 1
        return
    with pytest.raises(RequestError, match="legal move"):
        one_row.update(Ifg, {"proc_status": int(new)}, frame_id=FRAME)
    if not legal:
        with one_row.session_scope() as session, pytest.raises(RequestError, match="legal move"):
            session.query(Ifg).one().proc_status = int(new)


@pytest.fixture
def one_row(database: Database) -> Database:
    database.insert(Frame(id=FRAME, track=132, orbit_direction="A"))
    database.insert(Ifg(frame_id=FRAME, date=date(2023, 1, 1)))
    return database


def test_geometry_reads_back_and_intersects(database: Database) -> None:
    insert_bursts(database, bursts())
    shape = shapely.Point(bursts()[0].footprint[0]).buffer(0.01)
    with database.read_scope() as session:
        hit = session.query(Burst).filter(Burst.geometry.intersects(shape)).all()
    assert [b.id for b in hit] == [bursts()[0].id]
    assert hit[0].geometry.equals(shapely.Polygon(bursts()[0].footprint))
    moved = shapely.affinity.translate(hit[0].geometry, 20, 0)
    with database.session_scope() as session:
        session.get_one(Burst, hit[0].id).geometry = moved
    with database.read_scope() as session:
        assert session.query(Burst).filter(Burst.geometry.intersects(shape)).all() == []
        assert len(session.query(Burst).filter(Burst.geometry.intersects(moved.buffer(-0.05))).all()) == 1
    database.delete(Burst, id=hit[0].id)
    with database.read_scope() as session:
        assert session.query(Burst).filter(Burst.geometry.intersects(moved)).all() == []


def test_times_are_utc_and_naive_ones_refused(database: Database) -> None:
    from datetime import timedelta, timezone

    when = datetime(2023, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    database.insert(example(start_utc=when))
    assert database.query(File)[0].start_utc == datetime(2022, 12, 31, 23, 30, tzinfo=UTC)
    with pytest.raises(Exception, match="time zone"):
        database.update(File, {"start_utc": datetime(2023, 1, 1)}, id="EXAMPLE_ID")


def test_databases_that_cannot_be(tmp_path: Path) -> None:
    from databases import make_settings

    with pytest.raises(ConfigError, match="expected a file"):
        Database(make_settings(tmp_path, "sqlite://"))
    shutil.rmtree(tmp_path / "data")


@pytest.mark.postgis
def test_geometry_columns_know_what_postgis_knows(postgres_cluster: Cluster, tmp_path: Path) -> None:
    with postgres_cluster.database() as url:
        database = Database(make_settings(tmp_path, url))
        database.insert([example(name, footprint=shapely.box(x, 0, x + 1, 1)) for name, x in (("WEST", 0.0), ("EAST", 10.0))])
        with database.session_scope() as session:
            names = session.query(File.id)
            assert names.filter(File.footprint << shapely.Point(5, 0)).scalar() == "WEST"
            assert names.order_by(File.footprint.distance_box(shapely.Point(9, 0))).first() == ("EAST",)
            assert session.query(File.footprint.ST_Area()).filter(File.id == "WEST").scalar() == pytest.approx(1.0)
            assert names.filter(File.footprint.intersects(shapely.Point(10.5, 0.5))).scalar() == "EAST"
        database.close()
