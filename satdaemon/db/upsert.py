"""Inserts that give way to a row that is there already, on both dialects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

CHUNK = 5000


def insert_into(session: Session, table: Any) -> Any:
    """An insert of this session's dialect, which knows ON CONFLICT."""
    return (postgresql if session.get_bind().dialect.name == "postgresql" else sqlite).insert(table)


def insert_ignore(session: Session, table: Any, row: Mapping[str, Any]) -> bool:
    """Insert one row; False where a unique constraint says that it is there."""
    key = (table if isinstance(table, Table) else table.__table__).primary_key.columns.values()[0]
    statement = insert_into(session, table).values(**row).on_conflict_do_nothing().returning(key)
    return session.execute(statement).first() is not None


def insert_many(session: Session, table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows in bulk, leaving out those that are there already."""
    statement = insert_into(session, table).on_conflict_do_nothing()
    for start in range(0, len(rows), CHUNK):
        session.execute(statement, list(rows[start : start + CHUNK]))


def upsert_many(session: Session, table: Any, rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> None:
    """Insert rows in bulk, or give those with the same `keys` their other values. All rows name the same columns."""
    if not rows:
        return
    statement = insert_into(session, table)
    new = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    statement = statement.on_conflict_do_update(index_elements=list(keys), set_=new)
    for start in range(0, len(rows), CHUNK):
        session.execute(statement, list(rows[start : start + CHUNK]))


def upsert(session: Session, table: Any, row: Mapping[str, Any], keys: Sequence[str]) -> None:
    """Insert a row, or give the one with the same `keys` its other values."""
    statement = insert_into(session, table).values(**row)
    new = {name: statement.excluded[name] for name in row if name not in keys}
    session.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=new))
