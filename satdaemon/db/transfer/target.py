"""Where rows go: an initialised database that has none yet, filled all or not at all."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, text

from satdaemon.db.failures import explain, shown
from satdaemon.db.points.partitions import make_partitions
from satdaemon.db.store import Store
from satdaemon.db.transfer.arrays import to_copy, to_sqlite
from satdaemon.db.transfer.kinds import Kind
from satdaemon.db.transfer.revision import check_readable
from satdaemon.db.transfer.source import quoted
from satdaemon.db.transfer.tables import MADE_BY_INIT, OUTBOX, VERSIONS, Table, model_tables
from satdaemon.errors import RequestError

_NOT_FINITE = r"\b(NaN|Infinity)\b"


class DatabaseTarget:
    """A database within the transaction that fills it; what its triggers do is off meanwhile."""

    def __init__(self, db: Store, main: Connection, points: Connection) -> None:
        self.name = shown(db.engine.url)
        self.not_finite = 0
        """JSON values that were NaN or infinite, which PostgreSQL's json does not know: they became null."""
        self._main = main
        self._points = points

    def rows_of_users(self) -> dict[str, int]:
        """Table -> rows, of those that have rows beyond what initialising makes."""
        found = {}
        for table in model_tables():
            if table.name not in MADE_BY_INIT | OUTBOX:
                count = self._of(table).execute(text(f"SELECT count(*) FROM {quoted(table.name)}")).scalar_one()
                found[table.name] = int(count)
        return {name: count for name, count in found.items() if count}

    def empty(self, table: Table) -> None:
        """Take away what initialising made."""
        self._of(table).execute(text(f"DELETE FROM {quoted(table.name)}"))

    def put(self, table: Table, batch: pa.RecordBatch) -> None:
        """Add rows; RequestError where the table refuses one, saying which."""
        connection = self._of(table)
        driver: Any = connection.connection.dbapi_connection
        try:
            with _cursor(driver) as cursor:
                if connection.dialect.name == "sqlite":
                    cursor.executemany(_insert(table), to_sqlite(table, batch))
                else:
                    data = io.BytesIO(to_copy(table, self._finite(table, batch)))
                    cursor.copy_expert(_copy(table), data)
        except connection.dialect.loaded_dbapi.Error as error:
            told = explain(error, connection.engine.url)
            if told is not None:
                raise told from error
            raise RequestError(f"table {table.name}: {self.name} refused rows: {' '.join(str(error).split())}") from error

    def make_partitions(self) -> None:
        """A table for each version of points, as loading makes it; its rows come next."""
        versions = self._points.execute(text(f"SELECT id FROM {VERSIONS}")).scalars().all()
        make_partitions(self._points, versions)

    def set_last_number(self, table: Table, number: int) -> None:
        """The next row that gets its number by itself gets the one after this."""
        connection = self._of(table)
        if connection.dialect.name == "sqlite":
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
            if number:
                row = {"name": table.name, "number": number}
                connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :number)"), row)
            return
        connection.execute(
            text("SELECT setval(pg_get_serial_sequence(:table, :column), :number, :called)"),
            {"table": table.name, "column": table.numbered, "number": max(number, 1), "called": number > 0},
        )

    def _finite(self, table: Table, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = list(batch.columns)
        for place, column in enumerate(table.columns):
            if column.kind is Kind.JSON and pc.any(pc.match_substring_regex(columns[place], _NOT_FINITE)).as_py():
                values = columns[place].to_pylist()
                columns[place] = pa.array([self._without_nan(v) for v in values], pa.string())
        return pa.RecordBatch.from_arrays(columns, schema=batch.schema)

    def _without_nan(self, value: str | None) -> str | None:
        if value is None or not re.search(_NOT_FINITE, value):
            return value
        found = json.loads(value)
        kept = finite(found)
        if kept == found:  # the words stand within a string
            return value
        self.not_finite += 1
        return json.dumps(kept)

    def _of(self, table: Table) -> Connection:
        return self._points if table.points else self._main


def finite(value: Any) -> Any:
    """A JSON value with null in place of NaN and infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(v) for key, v in value.items()}
    return [finite(v) for v in value] if isinstance(value, list) else value


@contextmanager
def database_target(db: Store, *, keep: bool = True) -> Iterator[DatabaseTarget]:
    """Fill a database within one transaction, undone where anything fails, or where not `keep`.

    Where the points have a database of their own, it is committed first: points without a frame are seen by nobody.
    """
    with ExitStack() as stack:
        main = stack.enter_context(_transaction(db.engine, keep))
        apart = stack.enter_context(_transaction(db.points_engine, keep)) if db.points_engine is not db.engine else main
        quiet = [stack.enter_context(_without_triggers(connection)) for connection in dict.fromkeys((main, apart))]
        assert quiet
        yield DatabaseTarget(db, main, apart)


@contextmanager
def _transaction(engine: Any, keep: bool) -> Iterator[Connection]:
    with engine.connect() as connection:
        check_readable(connection)
        connection.rollback()
        with connection.begin() as transaction:
            yield connection
            if not keep:
                transaction.rollback()


@contextmanager
def _without_triggers(connection: Connection) -> Iterator[None]:
    """Nothing is written but what is put: no outbox, no dates of change. Other writers wait."""
    if connection.dialect.name == "postgresql":
        names = [quoted(table.name) for table in model_tables()]
        for name in names:
            connection.execute(text(f"ALTER TABLE {name} DISABLE TRIGGER USER"))
        yield
        connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))  # checked now: no trigger event may be left behind
        for name in names:
            connection.execute(text(f"ALTER TABLE {name} ENABLE TRIGGER USER"))
        return
    own = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND sql NOT LIKE '%\\_rtree%' ESCAPE '\\'"
    triggers = connection.execute(text(own)).all()
    for name, _ in triggers:
        connection.execute(text(f"DROP TRIGGER {quoted(name)}"))
    yield
    for _, sql in triggers:
        connection.exec_driver_sql(sql)


@contextmanager
def _cursor(driver: Any) -> Iterator[Any]:
    cursor = driver.cursor()
    try:
        yield cursor
    finally:
        cursor.close()


def _names(table: Table) -> Sequence[str]:
    return [quoted(column.name) for column in table.columns]


def _insert(table: Table) -> str:
    names = _names(table)
    return f"INSERT INTO {quoted(table.name)} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"


def _copy(table: Table) -> str:
    return f"COPY {quoted(table.name)} ({', '.join(_names(table))}) FROM STDIN (ENCODING 'UTF8')"
