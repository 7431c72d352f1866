"""The facade's calls on every table, and what it refuses of each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from databases import make_settings
from frames_made import FRAME, bursts
from sqlalchemy import inspect
from whole_database import fill_everything

import satdaemon.db
from satdaemon.db import Burst, Database, File, Frame, FrameRun, Ifg, Machine, Master, Point, Product, RsarIfg, RunningJob
from satdaemon.db.bursts import insert_bursts
from satdaemon.db.columns import MOST_VALUES
from satdaemon.db.models import Base
from satdaemon.errors import RequestError
from satdaemon.status import ProcStatus

MODELS = sorted((mapper.class_ for mapper in Base.registry.mappers), key=lambda model: model.__name__)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgis)])
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database with rows in every table; tests of this module leave it as it is."""
    place = tmp_path_factory.mktemp("full")
    if request.param == "postgresql":
        with request.getfixturevalue("postgres_cluster").database() as url:
            yield from _filled(place, url)
    else:
        import shutil

        shutil.copy(request.getfixturevalue("sqlite_template"), place / "full.sqlite")
        yield from _filled(place, f"sqlite:///{place / 'full.sqlite'}")


def _filled(place: Path, url: str) -> Iterator[Database]:
    db = Database(make_settings(place, url))
    fill_everything(db, place)
    yield db
    db.close()


def key_of(row: Any) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in inspect(type(row)).primary_key}


def test_every_table_is_offered() -> None:
    assert [model.__name__ for model in MODELS if model.__name__ not in satdaemon.db.__all__] == []


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_query_on_every_table(full: Database, model: type[Base]) -> None:
    rows = full.query(model)
    assert len(rows) >= 1
    for row in rows[:3]:
        (same,) = full.query(model, **key_of(row))
        for name in [*inspect(model).columns.keys(), *(link.key for link in inspect(model).relationships)]:
            one, two = getattr(row, name), getattr(same, name)  # usable though the session is closed
            assert type(one) is type(two)
            assert isinstance(one, Base | list) or one == two or (isinstance(one, float) and np.isnan(one) and np.isnan(two))
        first, value = next(iter(key_of(row).items()))
        assert (
            full.query(model, **{first: [value]})
            and full.query(model, **{first: {value}})
            and full.query(model, **{first: (value,)})
        )
        assert full.query(model, **{first: []}) == full.query(model, **{first: None}) == []
    assert [key_of(r) for r in full.iterate(model, batch=3)] == [key_of(r) for r in rows]
    with full.session_scope() as session:
        assert session.query(model).count() == len(rows)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_what_every_table_refuses(full: Database, model: type[Base]) -> None:
    first, value = next(iter(key_of(full.query(model)[0]).items()))
    wrong = {"colour": 1}
    for call in (
        lambda: full.query(model, **wrong),
        lambda: full.update(model, wrong, **{first: value}),
        lambda: full.update(model, {first: None}, **wrong),
        lambda: full.delete(model, **wrong),
        lambda: list(full.iterate(model, **wrong)),
    ):
        with pytest.raises(RequestError, match=f"expected columns of {model.__tablename__} .*got colour"):
            call()
    for call in (lambda: full.update(model, {first: value}), lambda: full.delete(model)):
        with pytest.raises(RequestError, match="expected at least one condition"):
            call()
    with pytest.raises(RequestError, match="expected columns to set"):
        full.update(model, {}, **{first: value})
    with pytest.raises(RequestError, match=f"{model.__name__}.{first}: expected"):
        full.query(model, **{first: object()})


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_the_same_row_twice_is_refused_by_every_table(full: Database, model: type[Base]) -> None:
    row = full.query(model)[0]
    given = {column.key: getattr(row, column.key) for column in inspect(model).columns}
    with pytest.raises(RequestError, match=f"insert of {model.__name__}"):
        full.insert(model(**given))
    assert len(full.query(model, **key_of(row))) == 1


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("JobEvent", "what happened is not removed"), ("AuditEntry", "what was done is not removed"),
        ("JobKey", "next plan by itself"), ("RunningJob", "next plan by itself"),
        ("DaemonTools", "exactly one row"), ("MasterProcStage", "belong to"), ("IfgProcStage", "belong to the program"),
        ("RsarIfgProcStage", "belong to"), ("PointsVersion", "points.prune"), ("Frame", r"running job \d+ .* needs it"),
        ("Master", "running job"), ("Machine", "running job"), ("FrameRun", "running job"), ("Burst", "other rows need it"),
    ],
)  # fmt: skip
def test_what_is_not_deleted(full: Database, model: str, message: str) -> None:
    (running,) = full.query(RunningJob)
    table = getattr(satdaemon.db, model, None) or next(m for m in MODELS if m.__name__ == model)
    known = {"Frame": {"id": running.frame_id}, "Master": {"frame_id": running.frame_id}, "Machine": {"name": running.machine},
             "FrameRun": {"frame_id": running.frame_id}}  # fmt: skip
    with pytest.raises(RequestError, match=message):
        full.delete(table, **known.get(model, key_of(full.query(table)[0])))


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        (Ifg, {"id": 99}, "it stays"),
        (RsarIfg, {"frame_id": "132A_OTHER"}, "it stays"),
        (Ifg, {"proc_status": 9}, "proc_status: expected one of 0 WAITING, .* got 9"),
        (Ifg, {"proc_status": 1}, "only a granted job makes a row RUNNING"),
        (Frame, {"priority": "high"}, "Frame.priority: expected an integer, got 'high'"),
        (Frame, {"priority": True}, "expected an integer, got True"),
        (Frame, {"processing": "yes"}, "expected True or False"),
        (Frame, {"start_date": "2023-01-01"}, "expected a date, got '2023-01-01'"),
        (Frame, {"start_date": datetime(2023, 1, 1, tzinfo=UTC)}, "expected a date"),
        (Frame, {"retired_utc": datetime(2023, 1, 1)}, "expected a datetime with a time zone"),
        (Frame, {"geometry": "POINT (1 2)"}, "expected a shapely geometry"),
        (Frame, {"orbit_direction": "AD"}, "expected at most 1 characters, got 2"),
        (Frame, {"orbit_direction": "X"}, "the database refused it"),
        (Frame, {"min_coverage": "all"}, "expected a number"),
        (Frame, {"track": None}, "the database refused it"),
    ],
)
def test_values_that_a_column_is_not_for(full: Database, model: type[Base], values: dict[str, Any], message: str) -> None:
    where = {"frame_id": "132A_WAITS"} if model is not Frame else {"id": "132A_WAITS"}
    with pytest.raises(RequestError, match=message):
        full.update(model, values, **where)
    name, value = next(iter(values.items()))
    if "expected a" in message and "expected at" not in message:
        with pytest.raises(RequestError, match=message):
            full.query(model, **{name: [value]})
        with pytest.raises(RequestError, match=message):
            full.insert(model(**{"id": "132A_NEW_ONE", "track": 1, "orbit_direction": "A", **values}))


def test_requests_that_are_no_requests(full: Database) -> None:
    with pytest.raises(RequestError, match=r"expected a model such as satdaemon.db.File, got 'files'"):
        full.query("files")  # type: ignore[type-var]
    with pytest.raises(RequestError, match="expected an object of a model"):
        full.insert([{"id": "x"}])  # type: ignore[list-item]
    with pytest.raises(RequestError, match=f"at most {MOST_VALUES:,} values at a time"):
        full.query(File, id=[str(n) for n in range(MOST_VALUES + 1)])
    assert len(full.query(File, track=list(range(MOST_VALUES)))) == len(full.query(File))
    with pytest.raises(RequestError, match="expected a status other than RUNNING"):
        full.insert(Ifg(frame_id=FRAME, date=date(2020, 1, 1), proc_status=1))
    with pytest.raises(RequestError, match="expected a status other than RUNNING"):
        row = Master(date=date(2020, 1, 1), proc_status=1)
        full.insert(Frame(id="132A_WITH_MASTER", track=132, orbit_direction="A", master=row))


def test_numbers_of_numpy_and_expressions(database: Database) -> None:
    database.insert([File(id=f"F{k}", track=np.int64(k), date=date(2023, 1, 1), size=np.int32(10)) for k in range(3)])
    assert [f.id for f in database.query(File, track=np.int16(2))] == ["F2"]
    assert database.update(File, {"size": File.size + 1, "track": np.int64(7)}, id="F2") == 1
    assert (database.query(File, id="F2")[0].size, database.query(File, id="F2")[0].track) == (11, 7)
    assert {f.id for f in database.query(File, track=[0, None])} == {"F0"}
    assert {f.id for f in database.query(File, checksum=["x", None])} == {"F0", "F1", "F2"}


def test_all_or_none_of_many(database: Database) -> None:
    files = [File(id=f"F{k % 9}", track=1, date=date(2023, 1, 1)) for k in range(10)]
    with pytest.raises(RequestError, match=r"insert of File.*and 7 more"):
        database.insert(files)
    assert database.query(File) == []


def test_many_files_are_linked_in_few_statements(database: Database) -> None:
    from sqlalchemy import event

    insert_bursts(database, bursts())
    database.make_new_frame_using_burstlist([b.id for b in bursts()], FRAME)
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    near = shapely.Point(bursts()[0].footprint[0]).buffer(0.01)
    files = [File(id=f"F{k}", track=132, orbit_direction="A", date=date(2023, 1, 1)) for k in range(1000)]
    files.append(File(id="SHOWS", track=132, orbit_direction="A", date=date(2023, 1, 1), footprint=near))
    database.insert(files)
    assert len(statements) < 60
    assert [f.id for f in files[-1].frames] == [FRAME] and len(files[-1].bursts) == 1 and files[0].bursts == []


def test_iterate_keeps_little_in_memory(database: Database) -> None:
    database.insert([File(id=f"F{k:04}", track=k % 2, date=date(2023, 1, 1)) for k in range(100)])
    rows = database.iterate(File, batch=10, track=1)
    first = next(rows)
    assert first.id == "F0001" and first.bursts == []
    assert database.update(File, {"track": 5}, id="F0099") == 1  # nobody waits for the reader
    assert len(list(rows)) == 48


def test_points_are_asked_for_where_they_are(database: Database, tmp_path: Path, sqlite_template: Path) -> None:
    import shutil

    shutil.copy(sqlite_template, tmp_path / "points.sqlite")
    url = f"sqlite:///{tmp_path / 'points.sqlite'}"
    db = Database(make_settings(tmp_path, database.settings.parameters.database, points_database=url))
    db.insert(Point(version_id=1, point_id=2, cell=3, lon=0.0, lat=0.0))
    assert [p.point_id for p in db.query(Point)] == [2] and database.query(Point) == []
    assert db.update(Point, {"velocity": 1.5}, point_id=2) == 1 and db.delete(Point, point_id=2) == 1
    db.close()


def test_rows_of_a_finished_job_can_be_reset(full: Database) -> None:
    row = next(r for r in full.query(Ifg, frame_id=FRAME) if r.status.is_done)
    assert full.query(Product, frame_id=FRAME) and full.query(FrameRun) and full.query(Machine) and full.query(Burst)
    assert full.update(Ifg, {"proc_status": ProcStatus.STALE}, id=row.id) == 1
    assert full.update(Ifg, {"proc_status": ProcStatus.WAITING}, id=row.id) == 1
