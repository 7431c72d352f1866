"""Fixtures: settings and an initialised database, on SQLite and on PostgreSQL + PostGIS."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres import TEMPLATE, Cluster, cluster

from satdaemon.config import Machine, Settings
from satdaemon.config.sections import MachineTable, Parameters
from satdaemon.db import Database, init_database

DIALECTS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgis)]
MACHINES = MachineTable(names=("small", "large"), cpu=("2", "4"), memory_gb=("4", "16"), disk=("100",), hosts=("127.0.0.1",))


def make_settings(root: Path, url: str, **parameters: object) -> Settings:
    """Settings with all places below `root`."""
    places = {f"{name}_path": root / name for name in ("data", "processing", "log", "orbit")}
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
    values = {**places, "database": url, "lease_s": 30.0, "heartbeat_s": 5.0, "retry_first_s": 0.0, **parameters}
    return Settings(parameters=Parameters.model_validate(values), proc_machines=MACHINES)


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Cluster]:
    """One private cluster for the whole run, with a template that has the schema."""
    with cluster() as server:
        server.sql(f"CREATE DATABASE {TEMPLATE}")
        settings = Settings(parameters=Parameters(database=server.url(TEMPLATE)), proc_machines=MACHINES)
        init_database(settings).close()
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with the schema, to be copied."""
    path = tmp_path_factory.mktemp("template") / "template.sqlite"
    init_database(Settings(parameters=Parameters(database=f"sqlite:///{path}"), proc_machines=MACHINES)).close()
    return path


@pytest.fixture(params=DIALECTS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database that has the schema; once for each dialect."""
    if request.param == "postgresql":
        with request.getfixturevalue("postgres_cluster").database() as url:
            yield url
    else:
        path = tmp_path / "satdaemon.sqlite"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings of a test, on each dialect."""
    return make_settings(tmp_path, database_url)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """An initialised, empty database, on each dialect."""
    db = Database(settings)
    yield db
    db.close()


__all__ = ["DIALECTS", "MACHINES", "Machine", "make_settings"]
