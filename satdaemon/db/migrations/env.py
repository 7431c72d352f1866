"""Alembic's entry: the connection is handed in by `satdaemon.db.initialise`, which also owns the transaction."""

from __future__ import annotations

import geoalchemy2  # noqa: F401 - teaches SQLAlchemy to read PostGIS columns back
from alembic import context

from satdaemon.db.models import Base


def run() -> None:
    """Migrate on the connection that the caller has open."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        include_object=is_ours,
        transactional_ddl=False,
    )
    context.run_migrations()


def is_ours(thing: object, name: str | None, kind: str, reflected: bool, _compared: object) -> bool:
    """False for tables that PostGIS and SQLite's R*Tree keep for themselves."""
    return not (kind == "table" and reflected and name is not None and (name == "spatial_ref_sys" or "_rtree" in name))


run()
