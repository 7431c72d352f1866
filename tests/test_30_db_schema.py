"""Migrations make exactly what the models say, on both dialects, and run again without harm."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from databases import DIALECTS, MACHINES, make_settings
from sqlalchemy import Engine, text

from satdaemon.config import Settings
from satdaemon.config.sections import Parameters
from satdaemon.db import Database, Machine, MasterProcStage, init_database
from satdaemon.db.initialise import migrate
from satdaemon.db.models import Base
from satdaemon.db.session import open_engine

SPECIFIED = {
    "files", "bursts", "files2bursts", "frames", "frames2bursts", "frames2files", "master", "ifg", "rsar_ifg",
    "master_proc_stages", "ifg_proc_stages", "rsar_ifg_proc_stages", "daemon_tools",
    "pending_jobs", "running_jobs", "failed_jobs",
}  # fmt: skip
QUERIES = {
    "columns": "SELECT table_name, column_name, data_type, udt_name, character_maximum_length, is_nullable, column_default,"
    " is_identity FROM information_schema.columns WHERE table_schema = 'public'",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), condeferred FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace",
}


def described(engine: Engine) -> set[tuple[Any, ...]]:
    """All of a schema as text, apart from the order of columns."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            found = {(what, *row) for what, sql in QUERIES.items() for row in connection.execute(text(sql))}
            return {row for row in found if row[1] != "alembic_version"}
        rows = connection.execute(text("SELECT type, tbl_name, name, sql FROM sqlite_master WHERE sql IS NOT NULL")).all()
    found = set()
    for kind, table, name, sql in rows:
        if table == "alembic_version" or name.startswith("bursts_rtree_"):
            continue
        parts = re.split(r",(?![^()]*\))", re.sub(r"\s+", " ", sql).replace('"', ""))
        found |= {(kind, table, name, part.strip().removeprefix(f"CREATE TABLE {table} ( ").removesuffix(" )")) for part in parts}
    return found


@contextmanager
def empty(request: pytest.FixtureRequest, tmp_path: Path, dialect: str, name: str) -> Iterator[str]:
    if dialect == "sqlite":
        yield f"sqlite:///{tmp_path / name}.sqlite"
    else:
        with request.getfixturevalue("postgres_cluster").database(template=None) as url:
            yield url


@pytest.mark.parametrize("dialect", DIALECTS)
def test_migrations_make_what_the_models_say(request: pytest.FixtureRequest, tmp_path: Path, dialect: str) -> None:
    with empty(request, tmp_path, dialect, "by_models") as one, empty(request, tmp_path, dialect, "by_migrations") as other:
        by_models, by_migrations = open_engine(one), open_engine(other)
        if dialect == "postgresql":
            with by_models.begin() as connection:
                connection.execute(text("CREATE EXTENSION postgis"))
        Base.metadata.create_all(by_models)
        migrate(by_migrations)
        expected, found = described(by_models), described(by_migrations)
        by_models.dispose()
        by_migrations.dispose()
    assert len(expected) > 200
    assert found == expected


def test_all_tables_of_the_specification_are_there() -> None:
    assert set(Base.metadata.tables) >= SPECIFIED


@pytest.mark.parametrize("dialect", DIALECTS)
def test_init_creates_and_a_second_one_changes_nothing(request: pytest.FixtureRequest, tmp_path: Path, dialect: str) -> None:
    with empty(request, tmp_path, dialect, "new/place/db") as url:
        settings = make_settings(tmp_path, url)
        init_database(settings).close()
        db = init_database(settings)
        assert [stage.name for stage in db.query(MasterProcStage)] == [
            "download", "slc", "satsar", "coherence", "timeseries", "ingest"
        ]  # fmt: skip
        assert [(m.name, m.cpu, m.state) for m in db.query(Machine)] == [("large", 4.0, "enabled"), ("small", 2.0, "enabled")]
        db.close()


def test_init_keeps_a_machines_state_and_renews_its_capacity(database: Database) -> None:
    database.update(Machine, {"state": "draining"}, name="small")
    again = Settings(
        parameters=Parameters(database=database.settings.parameters.database),
        proc_machines=MACHINES.model_copy(update={"cpu": ("8", "4")}),
    )
    init_database(again).close()
    (small,) = database.query(Machine, name="small")
    assert (small.cpu, small.state) == (8.0, "draining")


def test_sqlite_is_opened_as_it_must_be(tmp_path: Path) -> None:
    db = init_database(make_settings(tmp_path, f"sqlite:///{tmp_path / 'a.sqlite'}"))
    with db.engine.connect() as connection:
        pragmas = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "foreign_keys")}
    db.close()
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1}
