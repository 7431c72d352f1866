"""What follows from the tables and the code, and holds no data: the view `ledger` and the triggers on `frame_changes`.

Dropped before a migration and made again after it, and whenever the code says something else than the database has: so
migrations may change the tables below as they like.
"""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import Connection, event, text

from satdaemon.db import changes
from satdaemon.db.ledger_view import ledger_sql
from satdaemon.db.models import Base


def is_current(connection: Connection) -> bool:
    """True where the database has what the code says."""
    postgresql = connection.dialect.name == "postgresql"
    if postgresql:
        found = connection.scalar(text("SELECT obj_description(to_regclass('ledger'), 'pg_class')"))
        return bool(found == digest(postgresql))
    found = connection.scalar(text("SELECT sql FROM sqlite_master WHERE type = 'view' AND name = 'ledger'"))
    return digest(postgresql) in str(found)


def digest(postgresql: bool) -> str:
    """Of all that is made here."""
    parts = [ledger_sql(postgresql), *changes.functions(), *(sql for _, sql in changes.triggers(postgresql))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def drop(connection: Connection) -> None:
    """Take view and triggers away; without harm where there are none."""
    postgresql = connection.dialect.name == "postgresql"
    connection.exec_driver_sql("DROP VIEW IF EXISTS ledger")
    if postgresql:
        sql = (
            "SELECT format('DROP TRIGGER %I ON %s', t.tgname, t.tgrelid::regclass) FROM pg_trigger t"
            " WHERE t.tgname LIKE '%\\_changes\\_frame' AND NOT t.tgisinternal"
            " AND t.tgrelid IN (SELECT c.oid FROM pg_class c WHERE pg_table_is_visible(c.oid))"
        )
    else:
        sql = "SELECT 'DROP TRIGGER ' || name FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%_changes_frame'"
    for statement in connection.execute(text(sql)).scalars().all():
        connection.exec_driver_sql(statement)


def create(connection: Connection) -> None:
    """Make view and triggers; they must not be there."""
    postgresql = connection.dialect.name == "postgresql"
    if postgresql:
        _run(connection, *changes.functions(), f"CREATE VIEW ledger AS {ledger_sql(postgresql)}")
        _run(connection, f"COMMENT ON VIEW ledger IS '{digest(postgresql)}'")
    else:
        _run(connection, f"CREATE VIEW ledger AS /* {digest(postgresql)} */ {ledger_sql(postgresql)}")
    _run(connection, *(sql for _, sql in changes.triggers(postgresql)))


def _run(connection: Connection, *statements: str) -> None:
    for statement in statements:
        # The statements are complete: a percent sign in them is no parameter.
        connection.execution_options(no_parameters=True).exec_driver_sql(statement)


@event.listens_for(Base.metadata, "after_create")
def _after_create(_metadata: Any, connection: Connection, **_options: Any) -> None:
    drop(connection)
    create(connection)
