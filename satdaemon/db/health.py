"""What can be asked of the database about itself, for `satdaemon doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select, text

from satdaemon.db.clock import now_utc
from satdaemon.db.store import Store


@dataclass(frozen=True, slots=True)
class Health:
    """A database that answers."""

    kind: str
    """`PostgreSQL 15.4` or `SQLite 3.40.1`."""
    major: int
    postgis: str | None
    """Version of PostGIS; None where it lacks, and on SQLite."""
    clock_offset_s: float
    """This host's clock minus the database's."""
    connections: tuple[int, int] | None
    """In use, and the most there can be; None on SQLite."""


def health(db: Store) -> Health:
    """Ask; raises DatabaseUnavailable or ConfigError where it does not answer."""
    with db.read_scope() as session:
        theirs: datetime = session.execute(select(now_utc())).scalar_one()
        offset_s = (datetime.now(UTC) - theirs).total_seconds()
        if not db.on_postgresql:
            version = str(session.scalar(text("SELECT sqlite_version()")))
            return Health(f"SQLite {version}", int(version.split(".")[0]), None, offset_s, None)
        version = str(session.scalar(text("SHOW server_version")))
        number = int(session.scalar(text("SHOW server_version_num")) or 0)
        postgis = session.scalar(text("SELECT extversion FROM pg_extension WHERE extname = 'postgis'"))
        used = int(session.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")) or 0)
        most = int(session.scalar(text("SHOW max_connections")) or 0)
        return Health(f"PostgreSQL {version}", number // 10000, postgis, offset_s, (used, most))
