"""Revisions of the schema: what a database has, what this program makes."""

from __future__ import annotations

from functools import cache

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from satdaemon.db.failures import shown
from satdaemon.db.initialise import MIGRATIONS, alembic_config
from satdaemon.errors import RequestError


def revision_of(connection: Connection) -> str | None:
    """The revision of a database's schema; None where it was never initialised."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


@cache
def known_revisions() -> tuple[str, ...]:
    """The revisions that this program can make, oldest first."""
    from alembic.script import ScriptDirectory  # takes most of a second to import

    return tuple(reversed([script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]))


def check_readable(connection: Connection) -> None:
    """RequestError unless the database has the schema that this program's models describe."""
    found = revision_of(connection)
    place = shown(connection.engine.url)
    head = known_revisions()[-1]
    if found is None:
        raise RequestError(f"database {place}: expected an initialised one, got no tables; run `satdaemon init-database`")
    if found not in known_revisions():
        raise RequestError(f"database {place}: its schema is at revision {found}, newer than {head}; update SatDaemon")
    if found != head:
        raise RequestError(
            f"database {place}: its schema is at revision {found}, expected {head}; run `satdaemon init-database` to migrate it"
        )


def upgrade_to(engine: Engine, revision: str) -> None:
    """Make the schema of an older revision in an empty database."""
    from alembic import command

    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), revision)
