"""Creates and migrates a database. Never destroys anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from satdaemon import __version__
from satdaemon.config import Settings
from satdaemon.db import daemon, derived
from satdaemon.db.database import Database
from satdaemon.db.failures import shown
from satdaemon.db.machines import register
from satdaemon.db.models import DaemonTools, IfgProcStage, MasterProcStage, RsarIfgProcStage
from satdaemon.db.session import make_parent_directory, open_engine, sqlite_path
from satdaemon.errors import RequestError
from satdaemon.status import STAGES_OF, RowKind

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).resolve().parent / "migrations"
_LOCK = 7_310_001
_STAGE_TABLES: dict[RowKind, Any] = {
    RowKind.MASTER: MasterProcStage,
    RowKind.IFG: IfgProcStage,
    RowKind.RSAR_IFG: RsarIfgProcStage,
}


@dataclass(frozen=True, slots=True)
class Schema:
    """The revision of a database's tables, and the one that this program makes."""

    revision: str | None
    """None where there are no tables yet."""
    head: str
    url: str
    """Of the database, without the password."""


def schema_of(settings: Settings) -> Schema:
    """How old a database is; changes nothing and creates nothing. Raises as `init_database`."""
    from alembic.script import ScriptDirectory

    directory = ScriptDirectory(str(MIGRATIONS))
    head = directory.get_current_head()
    assert head is not None
    engine = open_engine(settings.parameters.database)
    if engine.dialect.name == "sqlite" and not sqlite_path(engine).exists():
        return Schema(None, head, shown(engine.url))
    try:
        with engine.connect() as connection:
            return Schema(_revision(connection, directory), head, shown(engine.url))
    finally:
        engine.dispose()


def init_database(settings: Settings) -> Database:
    """Create what is missing, migrate what is old, insert stages, the daemon row and the machines.

    Raises
    ------
    RequestError
        PostGIS is lacking and this user may not create it (the message says the psql line), or the tables were made by
        a newer SatDaemon.
    DatabaseUnavailable, ConfigError
        The database does not answer, does not exist, or this user may not enter.
    """
    database = Database(settings)
    for engine in dict.fromkeys((database.engine, database.points_engine)):
        make_parent_directory(engine.url.render_as_string(hide_password=False))
        migrate(engine)
    with database.session_scope() as session:
        _insert_stages(session)
        if session.get(DaemonTools, 1) is None:
            session.add(DaemonTools(id=1, version=__version__))
        else:
            session.get_one(DaemonTools, 1).version = __version__
        session.flush()
        daemon.keep_defaults(session, settings)
    register(database, settings.machines)
    return database


def migrate(engine: Engine) -> str:
    """Bring the schema to head, whatever it was; returns the revision. Several callers take turns."""
    # Alembic takes most of a second to import, which every worker would pay for.
    from alembic import command
    from alembic.script import ScriptDirectory

    with _migrating(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            _create_postgis(connection)
        config = alembic_config(connection)
        directory = ScriptDirectory.from_config(config)
        head = directory.get_current_head()
        is_old = _revision(connection, directory) != head
        if is_old or not derived.is_current(connection):
            derived.drop(connection)
            if is_old:
                command.upgrade(config, "head")
            derived.create(connection)
    assert head is not None
    return head


@contextmanager
def _migrating(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        if connection.dialect.name != "sqlite" or raw is None:
            with connection.begin():
                yield connection
            return
        # SQLite changes a table by making it anew: dropping the old one must not cascade.
        raw.execute("PRAGMA foreign_keys = OFF")
        try:
            with connection.begin():
                yield connection
        finally:
            raw.execute("PRAGMA foreign_keys = ON")


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration, made here: there is no ini file to find."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _revision(connection: Connection, directory: ScriptDirectory) -> str | None:
    """The revision of the tables; RequestError where this program does not know it."""
    from alembic.migration import MigrationContext

    revision = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in directory.walk_revisions()}
    if revision is not None and revision not in known:
        raise RequestError(
            f"database {connection.engine.url.database}: expected tables of revision {directory.get_current_head()} or older, "
            f"got {revision}: a newer SatDaemon made them; install that version"
        )
    return revision


def _create_postgis(connection: Connection) -> None:
    if connection.scalar(text("SELECT 1 FROM pg_extension WHERE extname = 'postgis'")):
        return
    try:
        with connection.begin_nested():
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS postgis"))
    except DBAPIError as error:
        name = connection.engine.url.database
        raise RequestError(
            f"database {name}: expected the PostGIS extension, found none, and this user may not create it "
            f"({str(error.orig).strip()}). As a superuser: psql -d {name} -c 'CREATE EXTENSION postgis'"
        ) from error


def _insert_stages(session: Session) -> None:
    for kind, table in _STAGE_TABLES.items():
        known = set(session.scalars(select(table.id)))
        for number, stage in enumerate(STAGES_OF[kind], start=1):
            if number not in known:
                session.add(table(id=number, name=stage.value, order=number))
