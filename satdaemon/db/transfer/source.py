"""Where rows come from: a database as it stood at one moment. Dumps (portable.py) are read the same way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import pyarrow as pa
from sqlalchemy import Connection, text

from satdaemon.db.failures import shown
from satdaemon.db.session import READ_ONLY
from satdaemon.db.store import Store
from satdaemon.db.transfer.arrays import from_database
from satdaemon.db.transfer.kinds import Kind
from satdaemon.db.transfer.revision import check_readable, revision_of
from satdaemon.db.transfer.tables import Table, model_tables

BATCH = 10_000
"""Rows held in memory at a time."""


class Source(Protocol):
    """Tables that can be read, each in the order of its key."""

    @property
    def name(self) -> str:
        """How messages call it."""

    @property
    def revision(self) -> str:
        """Of the schema."""

    @property
    def tables(self) -> Sequence[Table]:
        """In an order in which rows can be put in."""

    def count(self, table: Table) -> int:
        """How many rows."""

    def last_number(self, table: Table) -> int | None:
        """The last number that the database gave by itself to a row of this table."""

    def batches(self, table: Table) -> Iterator[pa.RecordBatch]:
        """The rows."""


class DatabaseSource:
    """A database; other programs go on writing meanwhile, unseen."""

    def __init__(self, db: Store, main: Connection, points: Connection, tables: Sequence[Table], revision: str) -> None:
        self.name = shown(db.engine.url)
        self.revision = revision
        self.tables = tables
        self._main = main
        self._points = points
        self._counts: dict[str, int] = {}

    def count(self, table: Table) -> int:
        """How many rows."""
        if table.name not in self._counts:  # one snapshot: it does not change
            counted = self._of(table).execute(text(f"SELECT count(*) FROM {quoted(table.name)}"))
            self._counts[table.name] = int(counted.scalar_one())
        return self._counts[table.name]

    def last_number(self, table: Table) -> int | None:
        """The last number that the database gave by itself to a row of this table; 0 where none was given yet."""
        if table.numbered is None:
            return None
        connection = self._of(table)
        if connection.dialect.name == "sqlite":
            found = connection.execute(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
            return int(found.scalar_one_or_none() or 0)
        sequence = connection.execute(
            text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": table.name, "column": table.numbered}
        ).scalar_one()
        last = f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}"
        return int(connection.execute(text(last)).scalar_one())

    def batches(self, table: Table) -> Iterator[pa.RecordBatch]:
        """The rows, in the order of the key (text by its bytes, so that both dialects agree)."""
        connection = self._of(table)
        on_postgresql = connection.dialect.name == "postgresql"
        options = {"stream_results": True, "max_row_buffer": BATCH}
        result = connection.exec_driver_sql(_select(table, on_postgresql), execution_options=options)
        try:
            while rows := result.fetchmany(BATCH):
                yield from_database(table, rows, on_postgresql)
        finally:
            result.close()

    def _of(self, table: Table) -> Connection:
        return self._points if table.points else self._main


@contextmanager
def database_source(db: Store, *, points: bool = True) -> Iterator[DatabaseSource]:
    """Read a database within one transaction (two, where the points have a database of their own)."""
    tables = model_tables(points=points)
    with ExitStack() as stack:
        main = stack.enter_context(_snapshot(db.engine))
        apart = stack.enter_context(_snapshot(db.points_engine)) if points and db.points_engine is not db.engine else main
        for connection in dict.fromkeys((main, apart)):
            check_readable(connection)
        yield DatabaseSource(db, main, apart, tables, revision_of(main) or "")


@contextmanager
def _snapshot(engine: Any) -> Iterator[Connection]:
    options: dict[str, Any] = {READ_ONLY: True}
    if engine.dialect.name == "postgresql":
        options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as connection:
        yield connection


def _select(table: Table, on_postgresql: bool) -> str:
    kinds = {column.name: column.kind for column in table.columns}
    columns = [_readable(column.name, column.kind) if on_postgresql else quoted(column.name) for column in table.columns]
    order = [f'{quoted(k)} COLLATE "C"' if on_postgresql and kinds[k] is Kind.TEXT else quoted(k) for k in table.key]
    return f"SELECT {', '.join(columns)} FROM {quoted(table.name)} ORDER BY {', '.join(order)}"


def _readable(name: str, kind: Kind) -> str:
    """PostgreSQL: what the driver reads fast and exactly."""
    column = quoted(name)
    forms = {
        Kind.JSON: f"{column}::text",
        Kind.GEOMETRY: f"ST_AsEWKB({column}, 'NDR')",
        Kind.DATE: f"({column} - DATE '1970-01-01')",
        Kind.TIME: f"(extract(epoch FROM {column}) * 1000000)::bigint",
        Kind.INTEGERS16: f"array_send({column})",
    }
    return forms.get(kind, column)


def quoted(name: str) -> str:
    """An identifier (`order` is a column)."""
    return '"' + name.replace('"', '""') + '"'
