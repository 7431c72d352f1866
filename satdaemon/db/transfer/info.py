"""What a database is: dialect, version, revision, rows, size."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from satdaemon import __version__
from satdaemon.db.failures import shown
from satdaemon.db.session import READ_ONLY, sqlite_path
from satdaemon.db.store import Store
from satdaemon.db.transfer.revision import known_revisions, revision_of
from satdaemon.db.transfer.source import quoted
from satdaemon.db.transfer.tables import lacking_tables, model_tables, strange_tables


@dataclass(frozen=True, slots=True)
class Info:
    """A database as `satdaemon db info` shows it."""

    url: str
    """Without its password."""
    points_url: str | None
    """Of the points database, where there is one."""
    dialect: str
    version: str
    postgis: str | None
    satdaemon: str
    revision: str | None
    """None where it was never initialised."""
    expected_revision: str
    bytes: int
    rows: dict[str, int]
    lacking: list[str]
    """Tables that it should have."""
    strange: list[str]
    """Tables that SatDaemon does not know and does not touch."""


def info(db: Store) -> Info:
    """What the database is; works on one that was never initialised, too."""
    apart = db.points_engine if db.points_engine is not db.engine else None
    tables = model_tables()
    with db.engine.connect().execution_options(**{READ_ONLY: True}) as connection:
        revision, lacking, strange = revision_of(connection), lacking_tables(connection, tables), strange_tables(connection)
        here = [table.name for table in tables if table.name not in lacking and not (apart is not None and table.points)]
        rows = _counts(connection, here)
        version, postgis = _versions(connection)
        size = _bytes(connection)
    if apart is not None:
        with apart.connect().execution_options(**{READ_ONLY: True}) as connection:
            absent = lacking_tables(connection, tables)
            rows |= _counts(connection, [table.name for table in tables if table.points and table.name not in absent])
            size += _bytes(connection)
    return Info(
        shown(db.engine.url), None if apart is None else shown(apart.url), db.engine.dialect.name, version, postgis, __version__,
        revision, known_revisions()[-1], size, rows, lacking, strange,
    )  # fmt: skip


def _counts(connection: Connection, names: list[str]) -> dict[str, int]:
    return {name: int(connection.execute(text(f"SELECT count(*) FROM {quoted(name)}")).scalar_one()) for name in names}


def _versions(connection: Connection) -> tuple[str, str | None]:
    if connection.dialect.name == "sqlite":
        return str(connection.execute(text("SELECT sqlite_version()")).scalar_one()), None
    postgis = connection.execute(text("SELECT extversion FROM pg_extension WHERE extname = 'postgis'")).scalar_one_or_none()
    return str(connection.execute(text("SHOW server_version")).scalar_one()), postgis


def _bytes(connection: Connection) -> int:
    engine: Engine = connection.engine
    if connection.dialect.name == "sqlite":
        path = sqlite_path(engine)
        log = path.with_name(path.name + "-wal")
        return path.stat().st_size + (log.stat().st_size if log.exists() else 0)
    return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
