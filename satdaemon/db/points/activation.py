"""Which set of points of a frame is shown."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from satdaemon.db.clock import now_utc
from satdaemon.db.models import PointsVersion
from satdaemon.db.models.points import ACTIVE, LOADING, OLD
from satdaemon.db.store import Store


def activate(session: Session, version: int) -> None:
    """Show a version of a frame's points in place of the one before, from this transaction's commit on."""
    row = session.get_one(PointsVersion, version)
    shown = (PointsVersion.frame_id == row.frame_id, PointsVersion.state == ACTIVE, PointsVersion.id != version)
    session.execute(update(PointsVersion).where(*shown).values(state=OLD))
    session.execute(update(PointsVersion).where(PointsVersion.id == version).values(state=ACTIVE, activated_utc=now_utc()))


def activate_of_job(db: Store, session: Session, job_id: int, attempt: int) -> bool:
    """Show the version that this attempt loaded; False where it loaded none.

    Within `session` where the points are in the same database; else in a transaction of their own just before
    its commit, so that a crash in between shows points of a job that is tried again, and never none.
    """
    mine = (PointsVersion.job_id == job_id, PointsVersion.attempt == attempt, PointsVersion.state.in_((LOADING, ACTIVE)))
    if db.points_engine is not db.engine:
        with Session(db.points_engine) as points, points.begin():
            version = points.scalar(select(PointsVersion.id).where(*mine))
            if version is not None:
                activate(points, version)
        return version is not None
    version = session.scalar(select(PointsVersion.id).where(*mine))
    if version is not None:
        activate(session, version)
    return version is not None
