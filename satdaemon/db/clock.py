"""Time as the database tells it: leases compare its clock with itself, never with a client's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Float, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC on every dialect; a naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Python -> database."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"expected a datetime with a time zone, got {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Database -> Python."""
        if value is None:
            return None
        aware: datetime = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return aware


class now_utc(FunctionElement[datetime]):  # noqa: N801 - reads as a SQL function
    """The database's time, plus `seconds`. One value within a statement."""

    type = UtcDateTime()
    inherit_cache = True
    name = "now_utc"

    def __init__(self, seconds: Any = 0.0) -> None:
        super().__init__(literal(seconds, Float) if isinstance(seconds, int | float) else seconds)


def now_sql(postgresql: bool) -> str:
    """The same as text, for statements that are written as text."""
    # On SQLite the same text as SQLAlchemy writes for a datetime, so that texts compare as times do.
    return "statement_timestamp()" if postgresql else "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"


def ago_sql(postgresql: bool, seconds: float) -> str:
    """The time so many seconds ago, as text."""
    if postgresql:
        return f"({now_sql(True)} - make_interval(secs => {float(seconds)!r}))"
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', '{-float(seconds)!r} seconds') || '000')"


class seconds_since(FunctionElement[float]):  # noqa: N801 - reads as a SQL function
    """Seconds between a time of the database and its time now; negative for one to come. Clients' clocks do not matter."""

    type = Float()
    inherit_cache = True
    name = "seconds_since"


def since_sql(postgresql: bool, moment: str) -> str:
    """The same as text."""
    now = now_sql(postgresql)
    if postgresql:
        return f"CAST(extract(epoch FROM {now} - {moment}) AS double precision)"
    return f"((julianday({now}) - julianday({moment})) * 86400.0)"


@compiles(seconds_since, "postgresql")
def _since_on_postgresql(element: seconds_since, compiler: Any, **options: Any) -> str:
    return since_sql(True, compiler.process(*element.clauses, **options))


@compiles(seconds_since, "sqlite")
def _since_on_sqlite(element: seconds_since, compiler: Any, **options: Any) -> str:
    return since_sql(False, compiler.process(*element.clauses, **options))


@compiles(now_utc, "postgresql")
def _on_postgresql(element: now_utc, compiler: Any, **options: Any) -> str:
    (seconds,) = list(element.clauses)
    return f"(statement_timestamp() + make_interval(secs => {compiler.process(seconds, **options)}))"


@compiles(now_utc, "sqlite")
def _on_sqlite(element: now_utc, compiler: Any, **options: Any) -> str:
    (seconds,) = list(element.clauses)
    # The same text as SQLAlchemy writes for a datetime, so that texts compare as times do.
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', ({compiler.process(seconds, **options)}) || ' seconds') || '000')"
