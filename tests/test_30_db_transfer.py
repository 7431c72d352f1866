"""The whole database from one place to another, within a dialect and between both: nothing lost, nothing added."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from databases import DIALECTS, make_settings
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from sqlalchemy import inspect, make_url, text
from whole_database import DATES, FRAME, ODD, POINTS, WHEN, fill_everything

from satdaemon.db import Database, File, Frame, Ifg, Machine, Point, init_database
from satdaemon.db.planning import plan
from satdaemon.db.points import activate, in_box, prune, series, version_of
from satdaemon.db.transfer import compare, copy, dump, info, restore
from satdaemon.db.transfer.source import DatabaseSource, database_source
from satdaemon.db.transfer.tables import model_tables
from satdaemon.db.transfer.target import database_target
from satdaemon.errors import DataError, RequestError

NewUrl = Callable[[str], str]


@pytest.fixture
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewUrl]:
    """Makes URLs of databases that are initialised and empty, of the dialect asked for."""
    with ExitStack() as stack:

        def make(dialect: str, *, initialised: bool = True) -> str:
            if dialect == "postgresql":
                cluster = request.getfixturevalue("postgres_cluster")
                return str(stack.enter_context(cluster.database() if initialised else cluster.database(template=None)))
            path = tmp_path / f"other{len(list(tmp_path.glob('other*.sqlite')))}.sqlite"
            if initialised:
                shutil.copy(request.getfixturevalue("sqlite_template"), path)
            return f"sqlite:///{path}"

        yield make


@pytest.fixture
def filled(database: Database, tmp_path: Path) -> Database:
    fill_everything(database, tmp_path)
    assert min(info(database).rows.values()) >= 1
    return database


def at(url: str, tmp_path: Path, **parameters: object) -> Database:
    return Database(make_settings(tmp_path, url, **parameters))


def triggers(db: Database) -> set[str]:
    on_postgresql = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'O'"
    on_sqlite = "SELECT sql FROM sqlite_master WHERE type = 'trigger'"
    with db.engine.connect() as connection:
        return set(connection.execute(text(on_postgresql if db.on_postgresql else on_sqlite)).scalars())


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_copy_is_equal_and_lives(filled: Database, new_url: NewUrl, dialect: str, tmp_path: Path) -> None:
    url = new_url(dialect)
    with closing(at(url, tmp_path)) as other:
        before = triggers(other)
        done = copy(filled, url)
        assert done.rows == info(filled).rows == info(other).rows
        assert any("1 jobs ran" in note for note in done.notes)
        assert compare(filled, url).equal
        assert triggers(other) == before and len(before) > 3
        (frame,) = other.query(Frame, id=FRAME)
        assert (frame.notes, frame.min_coverage, frame.retired_utc) == (ODD, 0.1 + 0.2, WHEN)
        assert frame.stage_settings == {"slc": {"words": ODD, "share": 0.1, "none": None}}
        assert len(frame.files) == 4 and frame.geometry.equals(filled.query(Frame, id=FRAME)[0].geometry)
        other.update(Frame, {"priority": 9}, id=FRAME)
        found = {d.table: d for d in compare(filled, url).differences}
        assert set(found) == {"frames", "frame_changes"} and found["frame_changes"].only_in_second == 1
        plan(other, everything=True)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_points_arrive_as_they_were(filled: Database, new_url: NewUrl, dialect: str, tmp_path: Path) -> None:
    url = new_url(dialect)
    copy(filled, url)
    shown_here, shown_there = [], []
    with closing(at(url, tmp_path)) as other:
        for db, seen in ((filled, shown_here), (other, shown_there)):
            with db.session_scope() as session:
                activate(session, 1)
            version = version_of(db, FRAME)
            assert version is not None and version.points == POINTS
            points = in_box(db, FRAME, -180, -90, 180, 90)
            seen += [points.point_id, points.lon, *points.values.values()]
            seen += [series(db, FRAME, int(points.point_id[k])).displacement_mm for k in (0, 11, POINTS - 1)]
        for one, two in zip(shown_here, shown_there, strict=True):
            np.testing.assert_array_equal(one, two)
        assert len(shown_here[-1]) == DATES
        with other.session_scope() as session:
            session.execute(text("UPDATE points_versions SET state = 'old'"))
        assert prune(other, FRAME, keep=0) == 1
        assert other.query(Point) == []


def test_there_and_back_again(filled: Database, new_url: NewUrl, tmp_path: Path) -> None:
    other = "sqlite" if filled.on_postgresql else "postgresql"
    there, back = new_url(other), new_url("postgresql" if filled.on_postgresql else "sqlite")
    copy(filled, there)
    with closing(at(there, tmp_path)) as db:
        dump(db, tmp_path / "there.zip", form="portable")
    with closing(at(back, tmp_path)) as db:
        restore(db, tmp_path / "there.zip")
    assert compare(filled, back).differences == []


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dump_is_restored_all_or_nothing(filled: Database, new_url: NewUrl, dialect: str, tmp_path: Path) -> None:
    file, told = tmp_path / "whole.zip", []
    done = dump(filled, file, form="portable", progress=lambda *row: told.append(row))
    assert done.rows == info(filled).rows and done.bytes == file.stat().st_size
    assert told[-1][1:] == (sum(done.rows.values()),) * 2
    assert compare(filled, str(file)).equal
    assert [p.name for p in tmp_path.iterdir() if "part" in p.name] == []
    with closing(at(new_url(dialect), tmp_path)) as other:
        empty = info(other).rows
        assert restore(other, file, dry_run=True).rows == done.rows
        assert info(other).rows == empty
        assert restore(other, file).rows == done.rows
        again = restore(other, file)
        assert again.equal_already and again.rows == done.rows
        other.update(Machine, {"state": "draining"}, name="small")
        with pytest.raises(RequestError, match=r"there are rows: .*ifg 6.*they differ in: machines\."):
            restore(other, file)
        assert other.query(Machine, name="small")[0].state == "draining"


def test_without_points(filled: Database, new_url: NewUrl, tmp_path: Path) -> None:
    done = dump(filled, tmp_path / "lean.zip", form="portable", points=False)
    assert done.rows is not None and not [name for name in done.rows if name.startswith("points")]
    with closing(at(new_url("sqlite"), tmp_path)) as other:
        assert "without points" in restore(other, tmp_path / "lean.zip").notes[0]
        assert compare(filled, str(other.engine.url), points=False).equal
        assert [d.table for d in compare(filled, str(other.engine.url)).differences] == [
            "points_versions", "points", "points_series",
        ]  # fmt: skip


def test_points_in_a_database_of_their_own(database: Database, new_url: NewUrl, tmp_path: Path) -> None:
    dialect = "postgresql" if database.on_postgresql else "sqlite"
    main, apart = str(database.settings.parameters.database), new_url(dialect)
    with closing(at(main, tmp_path, points_database=apart)) as db:
        fill_everything(db, tmp_path)
        assert info(db).rows["points"] == POINTS and info(db).points_url is not None
        url = new_url(dialect)
        copy(db, url)
        assert compare(db, url).equal
        one, two = new_url(dialect), new_url(dialect)
        assert copy(db, one, points_url=two).rows["points"] == POINTS
        assert compare(db, one, points_url=two).equal and not compare(db, one).equal


@pytest.fixture
def sqlite_only(new_url: NewUrl, tmp_path: Path) -> Iterator[Database]:
    with closing(at(new_url("sqlite"), tmp_path)) as db:
        yield db


@pytest.mark.postgis
def test_what_postgresql_refuses_is_told_and_nothing_is_written(sqlite_only: Database, new_url: NewUrl, tmp_path: Path) -> None:
    url = new_url("postgresql")
    sqlite_only.insert([File(id=f"F{i}", track=1, date=date(2023, 1, 1)) for i in range(3)])
    with sqlite_only.session_scope() as session:
        session.execute(text("UPDATE files SET platform = 'far too long' WHERE id = 'F1'"))
    with pytest.raises(RequestError, match=r"table files: .*too long for type character varying\(3\).*line 2, column platform"):
        copy(sqlite_only, url)
    with sqlite_only.session_scope() as session:
        session.execute(text("UPDATE files SET platform = NULL, track = 'seven' WHERE id = 'F1'"))
    with pytest.raises(DataError, match=r"table files, column track: expected integer"):
        copy(sqlite_only, url)
    with closing(at(url, tmp_path)) as other:
        assert info(other).rows["files"] == 0 and len(triggers(other)) > 3
        with sqlite_only.session_scope() as session:
            session.execute(text("UPDATE files SET track = 7"))
        copy(sqlite_only, url)
        assert compare(sqlite_only, url).equal


@pytest.mark.postgis
def test_json_that_is_none_becomes_json(sqlite_only: Database, new_url: NewUrl, tmp_path: Path) -> None:
    """Python writes NaN into JSON, SQLite keeps it, PostgreSQL refuses it."""
    odd = {"slc": {"x": float("nan"), "y": [float("inf"), 1.5], "words": "NaN is a word"}}
    sqlite_only.insert(Frame(id=FRAME, track=132, orbit_direction="A", stage_settings=odd))
    url = new_url("postgresql")
    assert copy(sqlite_only, url).notes == ["1 JSON values held NaN or infinity, which PostgreSQL does not know: null now"]
    with closing(at(url, tmp_path)) as other:
        assert other.query(Frame)[0].stage_settings == {"slc": {"x": None, "y": [None, 1.5], "words": "NaN is a word"}}
    assert compare(sqlite_only, url).equal


def test_each_difference_is_found(filled: Database, new_url: NewUrl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("satdaemon.db.transfer.source.BATCH", 7)
    url = new_url("sqlite")
    copy(filled, url)
    assert compare(filled, url).equal
    with sqlite3.connect(make_url(url).database or "") as other:
        other.execute("DELETE FROM points WHERE point_id IN (SELECT point_id FROM points ORDER BY point_id LIMIT 1 OFFSET 9)")
        other.execute("UPDATE points SET velocity = velocity + 1 WHERE point_id = (SELECT max(point_id) FROM points)")
        same = "host, port, cpu, memory_gb, disk, state, reason, last_seen_utc, last_updated"
        other.execute(f"INSERT INTO machines (name, {same}) SELECT 'zz', {same} FROM machines LIMIT 1")
        other.execute("UPDATE products SET inputs = replace(inputs, '{', '{ ')")  # the same JSON
        other.execute("UPDATE sqlite_sequence SET seq = seq + 5 WHERE name = 'ifg'")
        other.execute("UPDATE points_series SET series = zeroblob(4) WHERE point_id = (SELECT min(point_id) FROM points_series)")
    other.close()
    found = {d.table: d for d in compare(filled, url).differences}
    assert set(found) == {"points", "machines", "ifg", "points_series", "frame_changes"}  # the triggers are back
    assert (found["points"].only_in_first, found["points"].only_in_second, found["points"].changed) == (1, 0, 1)
    assert "velocity" in found["points"].examples[-1]
    assert found["machines"].only_in_second == 1 and found["machines"].examples == ["zz: only in second"]
    assert found["ifg"].examples[0].startswith("last number given: 6 and 11")
    assert found["points_series"].changed == 1


def test_a_copy_does_not_stop_others(filled: Database, new_url: NewUrl) -> None:
    with database_source(filled) as source:
        table = next(t for t in source.tables if t.name == "machines")
        filled.update(Machine, {"reason": "changed meanwhile"}, name="small")
        rows = [row for batch in source.batches(table) for row in batch.to_pylist()]
    assert all(row["reason"] is None for row in rows) and len(rows) == 2


def test_databases_that_do_not_suit(database: Database, new_url: NewUrl, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="expected another database"):
        copy(database, str(database.settings.parameters.database))
    with pytest.raises(RequestError, match="expected a database's URL"):
        copy(database, "no URL: at all")
    fresh = new_url("sqlite", initialised=False)
    assert copy(database, fresh, dry_run=True).notes == ["would be initialised first"]
    with closing(at(fresh, tmp_path)) as db:
        assert info(db).revision is None and info(db).rows == {}
        with pytest.raises(RequestError, match="run `satdaemon init-database`"):
            dump(db, tmp_path / "none.zip")
        with db.engine.begin() as connection:
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR)"))
            connection.execute(text("INSERT INTO alembic_version VALUES ('9999')"))
        with pytest.raises(RequestError, match="revision 9999, newer than"):
            dump(db, tmp_path / "none.zip")
    assert not (tmp_path / "none.zip").exists()
    copy(database, new_url("sqlite", initialised=False))


def test_strange_tables_are_left_alone(database: Database, new_url: NewUrl, tmp_path: Path) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE of_somebody (x INTEGER)"))
        connection.execute(text("INSERT INTO of_somebody VALUES (1)"))
    assert info(database).strange == ["of_somebody"] and info(database).lacking == []
    url = new_url("sqlite")
    copy(database, url)
    with closing(at(url, tmp_path)) as other:
        assert not inspect(other.engine).has_table("of_somebody")


finite = st.floats(allow_nan=False, allow_infinity=True)
VALUES = st.fixed_dictionaries(
    {
        "message": st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
        "who": st.none() | st.sampled_from(["", "\\N", "\\", "\t", "\r\n", "\\.", "{}", '"', "NULL", ODD]),
        "wall_s": st.none() | finite,
        "at_utc": st.datetimes(datetime(1900, 1, 1), datetime(2300, 1, 1), timezones=st.just(UTC)),
        "date1": st.none() | st.dates(date(1000, 1, 1)),
        "read_bytes": st.none() | st.integers(-(2**63), 2**63 - 1),
    }
)


@given(rows=st.lists(VALUES, min_size=1, max_size=8))
@profile(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_comes_back(database: Database, rows: list[dict[str, Any]]) -> None:
    table = next(t for t in model_tables() if t.name == "job_events")
    full = [{**dict.fromkeys(table.schema.names), "id": n + 1, "event": "x", **row} for n, row in enumerate(rows)]
    batch = pa.RecordBatch.from_pylist(full, schema=table.schema)
    with database_target(database, keep=False) as target:
        target.put(table, batch)
        here = DatabaseSource(database, target._main, target._points, [table], "now")
        (found,) = list(here.batches(table))
    assert found.to_pylist() == batch.to_pylist()


def test_real_numbers_of_32_bits_and_nan(database: Database) -> None:
    table = next(t for t in model_tables() if t.name == "points")
    values = [0.1, float("nan"), 3.4e38, 1e-45, -0.0, None]
    rows = [{**dict.fromkeys(table.schema.names, 1), "point_id": n, "velocity": v} for n, v in enumerate(values)]
    batch = pa.RecordBatch.from_pylist(rows, schema=table.schema)
    with database_target(database) as target:
        target.put(table, batch)
    with database_source(database) as source:
        (found,) = list(source.batches(table))
    expected, got = (b.column("velocity").to_numpy(zero_copy_only=False) for b in (batch, found))
    np.testing.assert_array_equal(expected, got)


def test_a_file_that_others_would_lose(database: Database, tmp_path: Path) -> None:
    taken = tmp_path / "taken.zip"
    taken.write_text("mine")
    with pytest.raises(RequestError, match=r"exists already.*--force"):
        dump(database, taken)
    with pytest.raises(RequestError, match="expected its directory"):
        dump(database, tmp_path / "none" / "x.zip")
    with pytest.raises(RequestError, match="got a directory"):
        dump(database, tmp_path)
    assert taken.read_text() == "mine"
    dump(database, taken, form="portable", force=True)
    assert compare(database, str(taken)).equal
    with pytest.raises(RequestError, match="expected one of auto, pg, portable"):
        dump(database, tmp_path / "x", form="tar")


def test_the_last_number_survives_a_delete(database: Database, new_url: NewUrl, tmp_path: Path) -> None:
    database.insert(Frame(id=FRAME, track=132, orbit_direction="A"))
    database.insert([Ifg(frame_id=FRAME, date=date(2023, 1, d)) for d in (1, 2, 3)])
    database.delete(Ifg, frame_id=FRAME)
    for dialect in ("sqlite", "postgresql"):
        url = new_url(dialect)
        copy(database, url)
        with closing(init_database(make_settings(tmp_path, url))) as other:
            other.insert(Ifg(frame_id=FRAME, date=date(2023, 2, 1)))
            assert [row.id for row in other.query(Ifg)] == [4]
