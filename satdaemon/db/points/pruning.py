"""What nobody needs any more is found and removed: replaced versions, loads that came to nothing, rows of no version."""

from __future__ import annotations

import time
from collections.abc import Iterable

from sqlalchemy import Connection, Engine, delete, func, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from satdaemon.db.models import Point, PointSeries, PointsVersion, RunningJob
from satdaemon.db.models.points import LOADING, OLD
from satdaemon.db.points import removal
from satdaemon.db.points.partitions import PARENTS, leaves
from satdaemon.db.session import READ_ONLY
from satdaemon.db.store import Store

WAIT_MS = 500
"""For how long a table that somebody reads is waited for: new readers queue behind us meanwhile."""
LOCK_TIMEOUT = "55P03"
CHUNK = 20_000
BREATH_S = 0.02


def prune(db: Store, frame_id: str | None = None, *, keep: int = 1, job_id: int | None = None) -> int:
    """Remove replaced versions but the `keep` latest a frame, and loads that came to nothing; returns how many.

    A load came to nothing where no live job and no live connection holds it, or where it is of `job_id`, which begins
    anew. A version that somebody reads at this moment stays until the next time. What deleted frames left is removed too,
    and, without a frame, rows that belong to no version; each counts as the version it was of.
    """
    given_up = removal.finish(db)
    doomed = [version.id for version in removable(db, frame_id, keep=keep, job_id=job_id)]
    orphans = given_up if frame_id is not None else sorted({*given_up, *orphaned(db)})
    return remove(db, [*doomed, *orphans])


def remove(db: Store, versions: Iterable[int]) -> int:
    """Remove versions with their rows; returns how many. One that somebody reads at this moment is left for `prune`."""
    return sum(_remove(db.points_engine, version) for version in versions)


def removable(db: Store, frame_id: str | None = None, *, keep: int = 1, job_id: int | None = None) -> list[PointsVersion]:
    """The versions that `prune` would remove, newest first."""
    with db.read_scope() as session:
        live = set(session.scalars(select(RunningJob.job_id)))
    wanted = select(PointsVersion).where(PointsVersion.state.in_((OLD, LOADING))).order_by(PointsVersion.id.desc())
    if frame_id is not None:
        wanted = wanted.where(PointsVersion.frame_id == frame_id)
    with Session(db.points_engine.execution_options(**{READ_ONLY: True})) as session:
        # On PostgreSQL a loader holds its row; SQLite knows no such locks.
        free = session.scalars(wanted.with_for_update(skip_locked=True)).all()
        session.expunge_all()
    seen: dict[str, int] = {}
    doomed = []
    for version in free:
        if version.state == LOADING:
            if version.job_id == job_id or version.job_id not in live:
                doomed.append(version)
            continue
        seen[version.frame_id] = seen.get(version.frame_id, 0) + 1
        if seen[version.frame_id] > keep:
            doomed.append(version)
    return doomed


def orphaned(db: Store) -> list[int]:
    """Versions of which there are rows or tables, but no entry."""
    with db.points_engine.execution_options(**{READ_ONLY: True}).connect() as connection:
        found: set[int] = set()
        if connection.dialect.name == "postgresql":
            found |= set(leaves(connection))
        for parent in PARENTS:
            found |= set(_stored(connection, parent))
        # Entries last: a load that began meanwhile has its entry before its rows.
        known = set(connection.scalars(select(PointsVersion.id)))
    return sorted(found - known)


def _stored(connection: Connection, parent: str) -> Iterable[int]:
    """Distinct versions of a table that has no tables a version: one look into the index for each."""
    table = f"{parent}_default" if connection.dialect.name == "postgresql" else parent
    version = connection.scalar(text(f"SELECT min(version_id) FROM {table}"))
    while version is not None:
        yield version
        version = connection.scalar(text(f"SELECT min(version_id) FROM {table} WHERE version_id > :last"), {"last": version})


def _remove(engine: Engine, version: int) -> bool:
    """Remove a version; False where somebody reads it, or it is gone or shown by now."""
    return (_drop if engine.dialect.name == "postgresql" else _delete)(engine, version)


def _drop(engine: Engine, version: int) -> bool:
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {WAIT_MS}")
            if not _release(connection, version):
                return False
            own = leaves(connection).get(version, [])
            for leaf in own:
                connection.exec_driver_sql(f"DROP TABLE {leaf}")
            if len(own) < len(PARENTS):
                for parent in PARENTS:
                    connection.execute(text(f"DELETE FROM {parent}_default WHERE version_id = :v"), {"v": version})
    except OperationalError as error:
        if getattr(error.orig, "pgcode", None) == LOCK_TIMEOUT:
            return False
        raise
    return True


def _delete(engine: Engine, version: int) -> bool:
    """By pieces, the entry first: what a kill leaves belongs to no version, and is found again."""
    with engine.begin() as connection:
        if not _release(connection, version):
            return False
    for table in (PointSeries, Point):
        gone = select(table.point_id).where(table.version_id == version).limit(CHUNK)
        while True:
            with engine.begin() as connection:
                left = connection.execute(
                    delete(table).where(table.version_id == version, table.point_id.in_(gone.scalar_subquery()))
                ).rowcount
            if left < CHUNK:
                break
            time.sleep(BREATH_S)
    return True


def _release(connection: Connection, version: int) -> bool:
    """Delete the entry; False where it is shown by now. An entry that is gone already is no hindrance."""
    mine = PointsVersion.id == version
    connection.execute(delete(PointsVersion).where(mine, PointsVersion.state.in_((OLD, LOADING))))
    return not connection.scalar(select(func.count()).select_from(PointsVersion).where(mine))
