"""The points of a frame that is deleted go with it, also where they stand in a database of their own.

Points are reached only through the entries of their versions. Where those stand beside the frame, they go in its transaction;
where they do not, that transaction records that they are to go, and the record stays until they are gone. What a crash leaves
of the rows themselves belongs to no version, and `prune` finds it.
"""

from __future__ import annotations

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from satdaemon.db.models import DeletedFrame, PointsVersion
from satdaemon.db.store import Store
from satdaemon.db.upsert import upsert


def give_up(db: Store, session: Session, frame_id: str) -> list[int]:
    """In the transaction that deletes a frame: its points go with it, or are recorded as to be removed.

    Returns the versions whose rows nobody can reach any more, for `pruning.remove`.
    """
    mine = PointsVersion.frame_id == frame_id
    if db.points_engine is db.engine:
        return list(session.scalars(delete(PointsVersion).where(mine).returning(PointsVersion.id)))
    last = session.scalar(select(func.max(PointsVersion.id)).where(mine))
    if last is not None:
        upsert(session, DeletedFrame, {"frame_id": frame_id, "last_version": last}, ["frame_id"])
    return []


def finish(db: Store) -> list[int]:
    """Delete the entries that are recorded as to be removed; returns their versions, whose rows are then to be removed."""
    with db.read_scope() as session:
        recorded = {row.frame_id: row.last_version for row in session.scalars(select(DeletedFrame))}
    gone: list[int] = []
    for frame_id, last in recorded.items():
        with Session(db.points_engine) as session, session.begin():
            mine = (PointsVersion.frame_id == frame_id, PointsVersion.id <= last)
            gone += session.scalars(delete(PointsVersion).where(*mine).returning(PointsVersion.id))
        with db.session_scope() as session:
            session.execute(delete(DeletedFrame).where(DeletedFrame.frame_id == frame_id, DeletedFrame.last_version == last))
    return gone
