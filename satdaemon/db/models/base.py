"""What all models share: naming of constraints, keys that grow, times in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from sqlalchemy import BigInteger, Index, Integer, MetaData, text
from sqlalchemy.orm import DeclarativeBase, mapped_column

from satdaemon.db.clock import UtcDateTime, now_utc


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )

    def __repr__(self) -> str:
        keys = ", ".join(f"{c.name}={getattr(self, c.name)!r}" for c in self.__table__.primary_key)
        return f"{type(self).__name__}({keys})"


BigKey = BigInteger().with_variant(Integer, "sqlite")
"""SQLite's row ids only grow by themselves in a column declared INTEGER."""

NEVER_AGAIN = {"sqlite_autoincrement": True}
"""Table argument: the id of a row that was deleted is not given again (PostgreSQL never does)."""

RowId = Annotated[int, mapped_column(BigKey, primary_key=True)]
Updated = Annotated[datetime, mapped_column(UtcDateTime, default=now_utc(), onupdate=now_utc())]
Created = Annotated[datetime, mapped_column(UtcDateTime, default=now_utc())]
Time = Annotated[datetime | None, mapped_column(UtcDateTime)]


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index over the rows that meet a condition, on both dialects."""
    condition: Any = text(where)
    return Index(name, *columns, unique=unique, postgresql_where=condition, sqlite_where=condition)
