"""Which tables a database has, in an order in which rows can be put in."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from satdaemon.db.models import (
    Base,
    DaemonPart,
    DaemonTools,
    FrameChange,
    IfgProcStage,
    Machine,
    MasterProcStage,
    Point,
    PointSeries,
    PointsVersion,
    RsarIfgProcStage,
)
from satdaemon.db.session import sqlite_path
from satdaemon.db.transfer.kinds import ARROW, Kind, kind_of

MADE_BY_INIT = frozenset(m.__tablename__ for m in (MasterProcStage, IfgProcStage, RsarIfgProcStage, DaemonTools, Machine))
"""Tables that have rows as soon as a database is initialised; a restore replaces them."""
OUTBOX = frozenset({FrameChange.__tablename__, DaemonPart.__tablename__})
"""Notes to the planner, and who has which part up: without frames they say nothing, and a restore replaces them."""
POINTS = frozenset(m.__tablename__ for m in (PointsVersion, Point, PointSeries))
"""Tables that stand in the points database, where there is one."""
VERSIONS = PointsVersion.__tablename__
_LEAF = re.compile(r"(points|points_series)_(v\d+|default)")
"""Parts of the points tables on PostgreSQL: read and written through the whole."""
_NOT_OURS = ("alembic_version", "spatial_ref_sys")


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Table:
    """One table of rows."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    """Columns of the primary key; rows are read and compared in their order."""
    numbered: str | None = None
    """The column whose value the database gives by itself and never twice."""

    @property
    def schema(self) -> pa.Schema:
        """The rows as Arrow carries them."""
        return pa.schema([(column.name, ARROW[column.kind]) for column in self.columns])

    @property
    def points(self) -> bool:
        """True for a table of the points database."""
        return self.name in POINTS


def model_tables(*, points: bool = True) -> list[Table]:
    """All tables of the models, those that others refer to first."""
    found = [of_model(table) for table in Base.metadata.sorted_tables if not table.info.get("is_view")]
    found.sort(key=lambda table: table.points and table.name != VERSIONS)  # versions first: each has a table on PostgreSQL
    return [table for table in found if points or not table.points]


def of_model(table: sa.Table) -> Table:
    """A table of the models."""
    columns = tuple(Column(c.name, kind_of(c.type)) for c in table.columns)
    own = table.autoincrement_column
    grows = own is not None and own.autoincrement in (True, "auto") and table.dialect_options["sqlite"]["autoincrement"]
    return Table(table.name, columns, tuple(c.name for c in table.primary_key), own.name if grows and own is not None else None)


def strange_tables(connection: Connection) -> list[str]:
    """Tables of the database that SatDaemon does not know; nothing here touches them."""
    return sorted(name for name in _names(connection) if name not in Base.metadata.tables and not _is_kept_by_others(name))


def lacking_tables(connection: Connection, tables: Collection[Table]) -> list[str]:
    """Names of those that the database does not have."""
    return sorted({table.name for table in tables} - _names(connection))


def has_schema(engine: Engine) -> bool:
    """True where the database was initialised. A file that is not there is not made by asking."""
    if engine.dialect.name == "sqlite" and not sqlite_path(engine).exists():
        return False
    with engine.connect() as connection:
        return "alembic_version" in _names(connection)


def _names(connection: Connection) -> set[str]:
    return set(sa.inspect(connection).get_table_names())


def _is_kept_by_others(name: str) -> bool:
    return name in _NOT_OURS or "_rtree" in name or _LEAF.fullmatch(name) is not None or name.startswith("sqlite_")
