"""What is wrong with the database is said in words, without a stack trace, and what may pass is tried again."""

from __future__ import annotations

import sqlite3
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from databases import make_settings
from postgres import Cluster
from sqlalchemy import make_url, text

from satdaemon.db import Database, File, init_database
from satdaemon.db.failures import explain, shown
from satdaemon.db.session import open_engine
from satdaemon.errors import ConfigError, DatabaseUnavailable, SatDaemonError


def failure(tmp_path: Path, url: str) -> SatDaemonError:
    db = Database(make_settings(tmp_path, url))
    try:
        with pytest.raises(SatDaemonError) as caught:
            db.query(File)
    finally:
        db.close()
    return caught.value


def test_a_server_that_is_down(tmp_path: Path) -> None:
    error = failure(tmp_path, f"postgresql+psycopg2://me:secret@/x?host={tmp_path}")
    assert isinstance(error, DatabaseUnavailable) and "is it running" in str(error)
    assert "secret" not in str(error) and "me:***@" in str(error)
    assert isinstance(failure(tmp_path, "postgresql+psycopg2://me@127.0.0.1:1/x"), DatabaseUnavailable)
    assert open_engine("postgresql://me@127.0.0.1:1/x").driver == "psycopg2"
    with pytest.raises(ConfigError, match="got the driver 'postgresql\\+asyncpg'"):
        open_engine("postgresql+asyncpg://me@127.0.0.1:1/x")


@pytest.mark.postgis
def test_databases_that_are_not_there(tmp_path: Path, postgres_cluster: Cluster) -> None:
    error = failure(tmp_path, postgres_cluster.url("nothing_there"))
    assert isinstance(error, ConfigError) and "createdb" in str(error)
    wrong = postgres_cluster.url("postgres").replace("satdaemon@", "stranger@")
    assert "refuses this user" in str(failure(tmp_path, wrong))
    with postgres_cluster.database(template=None) as url:
        assert "satdaemon init-database" in str(failure(tmp_path, url))


def test_files_that_are_no_database(tmp_path: Path) -> None:
    (tmp_path / "text.sqlite").write_text("this is not a database " * 100)
    assert "another kind of file" in str(failure(tmp_path, f"sqlite:///{tmp_path / 'text.sqlite'}"))
    assert "cannot be opened" in str(failure(tmp_path, f"sqlite:///{tmp_path / 'none' / 'x.sqlite'}"))
    assert "satdaemon init-database" in str(failure(tmp_path, f"sqlite:///{tmp_path / 'empty.sqlite'}"))


@pytest.mark.parametrize(
    ("words", "kind", "told"),
    [
        ('FATAL:  password authentication failed for user "me"', ConfigError, "right password"),
        ("fe_sendauth: no password supplied", ConfigError, "right password"),
        ("FATAL:  sorry, too many clients already", DatabaseUnavailable, "max_connections"),
        ("server closed the connection unexpectedly", DatabaseUnavailable, "does not answer"),
        ('could not translate host name "db9" to address', DatabaseUnavailable, "host and port"),
    ],
)
def test_what_postgresql_says_without_a_code(words: str, kind: type[SatDaemonError], told: str) -> None:
    error = explain(RuntimeError(words), make_url("postgresql+psycopg2://me:secret@db9/x"))
    assert type(error) is kind and told in str(error) and words.split()[0] in str(error)


def test_an_error_of_a_statement_is_left_alone(database: Database) -> None:
    with database.read_scope() as session, pytest.raises(Exception, match="syntax error") as caught:
        session.execute(text("SELEC 1"))
    assert not isinstance(caught.value, SatDaemonError)


def test_a_locked_and_a_full_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("satdaemon.db.session.BUSY_MS", 50)
    path = tmp_path / "a.sqlite"
    db = init_database(make_settings(tmp_path, f"sqlite:///{path}"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable, match="kept it locked"):
        db.update(File, {"track": 1}, id="x")
    other.execute("ROLLBACK")
    other.close()
    with db.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    before = db.query(File)
    with pytest.raises(DatabaseUnavailable, match="disk is full"):
        db.insert([File(id=f"F{i}", track=1, date=date(2023, 1, 1), reason="x" * 5000) for i in range(50)])
    assert db.query(File) == before == []
    db.close()


def test_a_file_that_may_not_be_written(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.sqlite'}"
    init_database(make_settings(tmp_path, url)).close()
    connection = sqlite3.connect(f"file:{tmp_path / 'a.sqlite'}?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("DELETE FROM files")
    connection.close()
    assert "expected write permission" in str(explain(caught.value, make_url(url)))


def test_work_goes_on_when_the_server_comes_back(tmp_path: Path) -> None:
    db = init_database(make_settings(tmp_path, f"sqlite:///{tmp_path / 'a.sqlite'}"))
    calls: list[int] = []

    def work(session: Any) -> str:
        calls.append(1)
        if len(calls) < 3:
            raise DatabaseUnavailable("gone")
        return str(session.execute(text("SELECT 'here'")).scalar_one())

    assert db.write(work) == "here" and len(calls) == 3
    with pytest.raises(DatabaseUnavailable):
        db.write(lambda _: (_ for _ in ()).throw(DatabaseUnavailable("gone")), tries=2)
    assert shown(make_url("postgresql://a:b@c/d")) == "postgresql://a:***@c/d"
    db.close()
