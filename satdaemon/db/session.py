"""Engines: how each dialect is opened, and how its transactions begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from satdaemon.db.failures import tell_failures
from satdaemon.db.geometry import register_on_sqlite
from satdaemon.errors import ConfigError

BUSY_MS = 60_000
POSTGRESQL = "postgresql+psycopg2"
"""The driver; `postgresql://` alone means it too."""
READ_ONLY = "satdaemon_read"
"""Execution option: the transaction only reads, so that on SQLite it takes no write lock."""


def open_engine(url: str) -> Engine:
    """An engine for a database URL; nothing is connected yet.

    Where the database itself is what fails, its statements raise ConfigError or DatabaseUnavailable in words.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(f"database: expected an SQLAlchemy URL, got {url!r}") from error
    if parsed.get_backend_name() == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise ConfigError(f"database: expected a file (several processes share it), got {url!r}")
        engine = create_engine(parsed, connect_args={"timeout": BUSY_MS / 1000})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        tell_failures(engine)
        return engine
    if parsed.get_backend_name() != "postgresql":
        raise ConfigError(f"database: expected sqlite or postgresql, got {parsed.get_backend_name()!r}")
    if parsed.drivername not in ("postgresql", POSTGRESQL):
        raise ConfigError(f"database: expected {POSTGRESQL}://USER@HOST/NAME, got the driver {parsed.drivername!r}")
    engine = create_engine(
        parsed.set(drivername=POSTGRESQL),
        executemany_mode="values_plus_batch",
        pool_pre_ping=True,
        pool_size=5,
        max_overflow=20,
        connect_args={"connect_timeout": 15},
    )
    event.listen(engine, "connect", _prepare_postgresql)
    tell_failures(engine)
    return engine


def make_parent_directory(url: str) -> None:
    """SQLite makes its file but not the directory."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)


def sqlite_path(engine: Engine) -> Path:
    """The file of a SQLite database."""
    assert engine.url.database is not None
    return Path(engine.url.database)


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    """To compile our statements takes PostgreSQL longer than it saves: they read tens of thousands of rows at most."""
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET jit = off")
    connection.autocommit = False


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing; `_begin_sqlite` does
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA recursive_triggers = OFF")
    cursor.close()
    register_on_sqlite(connection)


def _begin_sqlite(connection: Any) -> None:
    # A transaction that reads first and writes later cannot wait for another writer: take the lock at once.
    reads = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
