"""Dead space of the database, and what gives it back: hints, nothing is done."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from satdaemon.db.models import Base
from satdaemon.db.store import Store

LEAST_ROWS = 100_000
"""Fewer dead rows of a table are not worth a word."""
DEAD_SHARE = 0.2
LEAST_FREE_MB = 100.0
FREE_SHARE = 0.25
"""Of a SQLite file."""
_DEAD = text(
    "SELECT relname, n_dead_tup, n_live_tup, greatest(last_autovacuum, last_vacuum) FROM pg_stat_user_tables"
    " WHERE relname = ANY(:ours) AND n_dead_tup >= :rows AND n_dead_tup > :share * (n_live_tup + n_dead_tup)"
    " ORDER BY n_dead_tup DESC"
)


@dataclass(frozen=True, slots=True)
class Hint:
    """Space that is lost, and what gives it back."""

    found: str
    mend: str

    def __str__(self) -> str:
        return f"{self.found}: {self.mend}"


def vacuum_hints(db: Store, *, least_rows: int = LEAST_ROWS, least_free_mb: float = LEAST_FREE_MB) -> list[Hint]:
    """One for each table of ours that holds many dead rows, or for a SQLite file that is empty for a large part."""
    return _of_postgresql(db, least_rows) if db.on_postgresql else _of_sqlite(db, least_free_mb)


def _of_postgresql(db: Store, least_rows: int) -> list[Hint]:
    values = {"ours": list(Base.metadata.tables), "rows": least_rows, "share": DEAD_SHARE}
    with db.read_scope() as session:
        found = session.execute(_DEAD, values).all()
    hints = []
    for table, dead, live, when in found:
        last = f"last vacuumed {when:%Y-%m-%d %H:%M}" if when is not None else "never vacuumed"
        mend = f"VACUUM {table}; should it come again, autovacuum is off there, or an old transaction is open"
        hints.append(Hint(f"table {table} has {dead} dead rows beside {live} live ones, {last}", mend))
    return hints


def _of_sqlite(db: Store, least_free_mb: float) -> list[Hint]:
    with db.read_scope() as session:
        free, pages, size = (int(session.scalar(text(f"PRAGMA {n}")) or 0) for n in ("freelist_count", "page_count", "page_size"))
    free_mb, whole_mb = free * size / 1e6, pages * size / 1e6
    if free_mb < least_free_mb or free_mb < FREE_SHARE * whole_mb:
        return []
    return [Hint(f"{free_mb:.0f} MB of the {whole_mb:.0f} MB of the SQLite file are empty", "stop all parts, then VACUUM it")]
