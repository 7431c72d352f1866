"""Dumps as files: damaged, foreign, older and newer ones; and PostgreSQL's own."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from databases import make_settings
from postgres import Cluster, _libraries, binaries
from sqlalchemy import inspect, text
from whole_database import fill_everything

from satdaemon.db import Database, Frame, Ifg, Machine, init_database
from satdaemon.db.initialise import migrate
from satdaemon.db.models import FrameChange
from satdaemon.db.session import open_engine
from satdaemon.db.transfer import compare, dump, info, postgresql, restore
from satdaemon.db.transfer.portable import MANIFEST, write_portable
from satdaemon.db.transfer.revision import known_revisions, upgrade_to
from satdaemon.db.transfer.source import DatabaseSource
from satdaemon.db.transfer.tables import Table, model_tables
from satdaemon.errors import CorruptProduct, RequestError, SatDaemonError

FRAME = "132A_OLD_ONE"


@pytest.fixture
def whole(tmp_path: Path, sqlite_template: Path) -> Iterator[Path]:
    """A dump with something in it."""
    path = tmp_path / "source.sqlite"
    shutil.copy(sqlite_template, path)
    with closing(Database(make_settings(tmp_path, f"sqlite:///{path}"))) as db:
        db.insert(Frame(id=FRAME, track=132, orbit_direction="A"))
        db.insert([Ifg(frame_id=FRAME, date=date(2023, 1, d)) for d in range(1, 29)])
        dump(db, tmp_path / "whole.zip")
    yield tmp_path / "whole.zip"


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The dump with another manifest."""
    out = path.with_name("rewritten.zip")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        manifest = json.loads(old.read(MANIFEST))
        change(manifest)
        for name in old.namelist():
            new.writestr(name, json.dumps(manifest) if name == MANIFEST else old.read(name))
    return out


def truncated(path: Path) -> Path:
    out = path.with_name("truncated.zip")
    out.write_bytes(path.read_bytes()[:-100])
    return out


def flipped(path: Path) -> Path:
    """One bit of a table is another."""
    out = path.with_name("flipped.zip")
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("tables/ifg.parquet").header_offset + 200
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    out.write_bytes(data)
    return out


def foreign(path: Path) -> Path:
    out = path.with_name("foreign.zip")
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(MANIFEST, "{}")
    return out


def no_zip(path: Path) -> Path:
    out = path.with_name("text.zip")
    out.write_text("something else")
    return out


def directory(path: Path) -> Path:
    return path.parent


def without_a_table(path: Path) -> Path:
    return rewritten(path, lambda m: m.update(tables=[table for table in m["tables"] if table["name"] != "bursts"]))


def miscounted(path: Path) -> Path:
    return rewritten(path, lambda m: next(t for t in m["tables"] if t["name"] == "ifg").update(rows=3))


def of_a_newer_schema(path: Path) -> Path:
    return rewritten(path, lambda m: m.update(revision="0999"))


def of_a_newer_format(path: Path) -> Path:
    return rewritten(path, lambda m: m.update(format_version=2))


def with_a_new_kind(path: Path) -> Path:
    return rewritten(path, lambda m: m["tables"][0]["columns"][0].update(kind="complex"))


def with_other_columns(path: Path) -> Path:
    return rewritten(path, lambda m: m["tables"][0]["columns"].pop())


@pytest.mark.parametrize(
    ("damage", "kind", "message"),
    [
        (truncated, CorruptProduct, "another kind of file, or part of one"),
        (flipped, CorruptProduct, r"tables/ifg.parquet: expected \d+ bytes with SHA-256 .* damaged, use another copy"),
        (foreign, CorruptProduct, "got another zip"),
        (no_zip, CorruptProduct, "another kind of file"),
        (directory, RequestError, "expected a dump, found no such file"),
        (without_a_table, CorruptProduct, "expected all tables of its schema, these are not in it: bursts"),
        (miscounted, CorruptProduct, "table ifg: expected 3 rows, got 28"),
        (of_a_newer_schema, RequestError, "revision 0999, expected one of 0001, .* update SatDaemon"),
        (of_a_newer_format, RequestError, "in format 2, this program knows up to 1; update SatDaemon"),
        (with_a_new_kind, RequestError, "from a newer SatDaemon; update this one"),
        (with_other_columns, SatDaemonError, "columns"),
    ],
)
def test_a_dump_that_cannot_be_used(
    database: Database, whole: Path, damage: Callable[[Path], Path], kind: type[SatDaemonError], message: str
) -> None:
    before = info(database).rows
    with pytest.raises(kind, match=message):
        restore(database, damage(whole))
    assert info(database).rows == before
    restore(database, whole)
    assert len(database.query(Ifg)) == 28 and compare(database, str(whole)).equal


def older_dump(tmp_path: Path, revision: str) -> Path:
    """A dump as it was written when the schema was at `revision`."""
    path = tmp_path / "older.sqlite"
    with closing(Database(make_settings(tmp_path, f"sqlite:///{path}"))) as db:
        upgrade_to(db.engine, revision)
        with sqlite3.connect(path) as old:
            old.execute("PRAGMA foreign_keys = OFF")
            for kind, names in (("master", 6), ("ifg", 3), ("rsar_ifg", 2)):
                for n in range(1, names + 1):
                    old.execute(f"INSERT INTO {kind}_proc_stages (id, name, \"order\") VALUES ({n}, 'stage{n}', {n})")
            now = "2023-01-01 00:00:00.000000"
            switches = ", ".join(f"do_{s}" for s in ("download", "slc", "satsar", "coherence", "unwrap", "timeseries", "ingest"))
            old.execute(
                f"INSERT INTO frames (id, track, orbit_direction, priority, processing, {switches}, do_update, reprocess,"
                " stage_settings, network_due, created_utc, last_updated)"
                f" VALUES ('{FRAME}', 132, 'A', 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, '{{}}', 0, '{now}', '{now}')"
            )
            old.execute(
                "INSERT INTO ifg (id, date, proc_stage, frame_id, proc_status, automatic, created_utc, last_updated)"
                f" VALUES (7, '2023-01-01', 2, '{FRAME}', 2, 0, '{now}', '{now}')"
            )
            old.execute(
                "INSERT INTO daemon_tools (id, command, replan, change_counter, planned_counter, version, last_updated)"
                f" VALUES (1, 'pause', 0, 5, 5, '0.0.9', '{now}')"
            )
        old.close()
        with db.engine.connect() as connection:
            there = inspect(connection)
            known = [t for t in model_tables() if there.has_table(t.name)]
            tables = [as_it_was(t, {c["name"] for c in there.get_columns(t.name)}) for t in known]
            source = DatabaseSource(db, connection, connection, tables, revision)
            write_portable(source, tmp_path / "older.zip")
    return tmp_path / "older.zip"


def as_it_was(table: Table, columns: set[str]) -> Table:
    return Table(table.name, tuple(c for c in table.columns if c.name in columns), table.key, table.numbered)


@pytest.mark.parametrize("revision", [r for r in known_revisions()[:-1] if r >= "0002"])
def test_an_older_dump_is_migrated(database: Database, tmp_path: Path, revision: str) -> None:
    file = older_dump(tmp_path, revision)
    done = restore(database, file)
    assert done.notes[0] == f"the schema of revision {revision} was migrated to {known_revisions()[-1]}"
    (row,) = database.query(Ifg)
    assert (row.id, row.frame_id, row.proc_stage, row.date) == (7, FRAME, 2, date(2023, 1, 1))
    assert database.query(Frame)[0].priority == 3
    database.insert(Ifg(frame_id=FRAME, date=date(2023, 2, 1)))
    assert {r.id for r in database.query(Ifg)} == {7, 8}
    assert FRAME in {r.frame_id for r in database.query(FrameChange)}
    with pytest.raises(RequestError, match="differ in"):
        restore(database, file)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's programs, also where its packages are only unpacked."""
    monkeypatch.setenv("PATH", f"{binaries()}:{os.environ['PATH']}")
    for name, value in _libraries().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def pair(postgres_cluster: Cluster, tmp_path: Path, programs: None) -> Iterator[tuple[Database, Database]]:
    """A PostgreSQL database with something in every table, and one that is initialised."""
    with postgres_cluster.database() as one, postgres_cluster.database() as two:
        dbs = Database(make_settings(tmp_path, one)), Database(make_settings(tmp_path, two))
        fill_everything(dbs[0], tmp_path)
        yield dbs
        for db in dbs:
            db.close()


def state(db: Database) -> dict[str, int]:
    with db.engine.connect() as connection:
        sql = "SELECT 'triggers', count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'O'"
        return {**info(db).rows, **{str(k): int(n) for k, n in connection.execute(text(sql))}}


@pytest.mark.postgis
def test_pg_dump_there_and_back(pair: tuple[Database, Database], tmp_path: Path) -> None:
    one, two = pair
    done = dump(one, tmp_path / "whole.pgdump")
    assert done.format == "pg" and done.bytes > 1000 and (tmp_path / "whole.pgdump").read_bytes()[:5] == b"PGDMP"
    assert "frames" in restore(two, tmp_path / "whole.pgdump", dry_run=True).notes[0]
    assert two.query(Frame) == []
    restore(two, tmp_path / "whole.pgdump")
    assert compare(one, str(two.settings.parameters.database)).equal and state(one) == state(two)
    two.update(Frame, {"priority": 4}, processing=True)
    with pytest.raises(RequestError, match=r"expected an initialised database without rows, there are: .*frames 2.*Nothing was"):
        restore(two, tmp_path / "whole.pgdump")


@pytest.mark.postgis
def test_pg_dump_without_points(pair: tuple[Database, Database], tmp_path: Path) -> None:
    one, two = pair
    dump(one, tmp_path / "lean.pgdump", form="pg", points=False)
    restore(two, tmp_path / "lean.pgdump")
    assert compare(one, str(two.settings.parameters.database), points=False).equal
    assert {name for name, n in info(two).rows.items() if n == 0} == {"points", "points_series", "points_versions"}


@pytest.mark.postgis
def test_a_damaged_pg_dump_changes_nothing(pair: tuple[Database, Database], tmp_path: Path) -> None:
    one, two = pair
    file = tmp_path / "whole.pgdump"
    dump(one, file)
    before, whole = state(two), file.read_bytes()
    for size in (len(whole) // 2, len(whole) - 50, 20):
        file.write_bytes(whole[:size])
        with pytest.raises((CorruptProduct, RequestError)):
            restore(two, file)
        assert state(two) == before
    with two.session_scope() as session:
        session.execute(text("CREATE VIEW of_somebody AS SELECT * FROM frames"))
    file.write_bytes(whole)
    with pytest.raises(RequestError, match=r"nothing was changed: .*of_somebody"):
        restore(two, file)
    assert state(two) == before


@pytest.mark.postgis
def test_points_apart_by_pg_dump(postgres_cluster: Cluster, tmp_path: Path, programs: None) -> None:
    with (
        postgres_cluster.database() as a, postgres_cluster.database() as b,
        postgres_cluster.database() as c, postgres_cluster.database() as d,
        closing(Database(make_settings(tmp_path, a, points_database=b))) as one,
        closing(Database(make_settings(tmp_path, c, points_database=d))) as two,
    ):  # fmt: skip
        fill_everything(one, tmp_path)
        done = dump(one, tmp_path / "x.pgdump")
        assert done.files == [str(tmp_path / "x.pgdump"), str(tmp_path / "x.pgdump.points")]
        restore(two, tmp_path / "x.pgdump")
        assert compare(one, c, points_url=d).equal


@pytest.mark.postgis
def test_a_pg_dump_is_for_postgresql(pair: tuple[Database, Database], tmp_path: Path, sqlite_template: Path) -> None:
    dump(pair[0], tmp_path / "whole.pgdump")
    shutil.copy(sqlite_template, tmp_path / "a.sqlite")
    with closing(Database(make_settings(tmp_path, f"sqlite:///{tmp_path / 'a.sqlite'}"))) as db:
        with pytest.raises(RequestError, match="which only PostgreSQL reads; dump with --format portable"):
            restore(db, tmp_path / "whole.pgdump")
        with pytest.raises(RequestError, match="format pg: expected PostgreSQL, got sqlite"):
            dump(db, tmp_path / "x", form="pg")


@pytest.mark.postgis
def test_programs_that_do_not_suit(pair: tuple[Database, Database], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "bin"
    old.mkdir()
    (old / "pg_dump").write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n")
    (old / "pg_dump").chmod(0o755)
    monkeypatch.setenv("PATH", f"{old}:/usr/bin:/bin")
    monkeypatch.setattr(postgresql, "_PLACES", ())
    with pytest.raises(RequestError, match=r"expected pg_dump of PostgreSQL \d+ or later, found .*pg_dump of 9; install"):
        dump(pair[0], tmp_path / "x", form="pg")
    assert dump(pair[0], tmp_path / "x").format == "portable"


@pytest.mark.postgis
def test_a_password_is_in_no_command_line(postgres_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "pg_dump"
    fake.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo "pg_dump (PostgreSQL) 99.1" && exit\n'
        f'echo "$@ / $PGPASSWORD" > {tmp_path}/seen\necho "no way: server closed" >&2\nexit 1\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(postgresql, "_PLACES", ())
    with postgres_cluster.database() as url:
        secret = url.replace("satdaemon@", "satdaemon:s%40cret@")
        told = pytest.raises(RequestError, match="no way: server closed")
        with closing(Database(make_settings(tmp_path, secret))) as db, told as caught:
            dump(db, tmp_path / "x", form="pg")
    arguments, _, password = (tmp_path / "seen").read_text().partition(" / ")
    assert "cret" not in arguments + str(caught.value) and password == "s@cret\n"
    assert not (tmp_path / "x").exists()


@pytest.mark.postgis
def test_a_pg_dump_of_an_older_schema_is_migrated(postgres_cluster: Cluster, tmp_path: Path, programs: None) -> None:
    with postgres_cluster.database(template=None) as old, postgres_cluster.database() as new:
        engine = open_engine(old)
        with engine.begin() as connection:
            connection.execute(text("CREATE EXTENSION postgis"))
        upgrade_to(engine, "0002")
        with engine.begin() as connection:
            connection.execute(
                text("INSERT INTO machines (name, host, port, cpu, memory_gb, disk, state, last_updated)"
                     " VALUES ('old', 'there', 1, 1, 1, 1, 'enabled', now())")
            )  # fmt: skip
        postgresql.write_dump(engine, tmp_path / "old.pgdump")
        engine.dispose()
        with closing(Database(make_settings(tmp_path, new))) as db:
            restore(db, tmp_path / "old.pgdump")
            assert info(db).revision == known_revisions()[-1] and [m.name for m in db.query(Machine)] == ["old"]
            assert migrate(db.engine) == known_revisions()[-1]
        init_database(make_settings(tmp_path, new)).close()
