"""Claims of frames: one flow run a frame, known by its holder, lost when it is not renewed."""

from __future__ import annotations

from sqlalchemy import delete, or_, select, update

from satdaemon.db.clock import now_utc
from satdaemon.db.models import Frame, FrameRun
from satdaemon.db.store import Store
from satdaemon.db.upsert import insert_ignore
from satdaemon.errors import RequestError


def claim_frame(db: Store, frame_id: str, holder: str) -> bool:
    """Claim a frame for `holder`; False while another holder's claim is live."""
    lease_s = db.settings.parameters.lease_s
    with db.session_scope() as session:
        if session.get(Frame, frame_id) is None:
            raise RequestError(f"frame {frame_id!r}: expected a frame of the database, found none")
        now = {"claimed_utc": now_utc(), "heartbeat_utc": now_utc()}
        if insert_ignore(session, FrameRun, {"frame_id": frame_id, "holder": holder, **now}):
            return True
        free = or_(FrameRun.holder == holder, FrameRun.heartbeat_utc < now_utc(-lease_s))
        taken = session.execute(
            update(FrameRun).where(FrameRun.frame_id == frame_id, free).values(holder=holder, **now).returning(FrameRun.frame_id)
        )
        return taken.first() is not None


def beat_frame(db: Store, frame_id: str, holder: str) -> bool:
    """Renew a claim; False where it was lost to another holder."""
    with db.session_scope() as session:
        mine = (FrameRun.frame_id == frame_id, FrameRun.holder == holder)
        renewed = session.execute(update(FrameRun).where(*mine).values(heartbeat_utc=now_utc()).returning(FrameRun.frame_id))
        return renewed.first() is not None


def release_frame(db: Store, frame_id: str, holder: str) -> bool:
    """Give a claim back; False where it was another's."""
    with db.session_scope() as session:
        mine = (FrameRun.frame_id == frame_id, FrameRun.holder == holder)
        return session.execute(delete(FrameRun).where(*mine).returning(FrameRun.frame_id)).first() is not None


def holder(db: Store, frame_id: str) -> str | None:
    """Who holds the live claim of a frame."""
    with db.read_scope() as session:
        live = FrameRun.heartbeat_utc >= now_utc(-db.settings.parameters.lease_s)
        return session.scalar(select(FrameRun.holder).where(FrameRun.frame_id == frame_id, live))


def live(db: Store) -> dict[str, str]:
    """Frames with a live claim, and their holders."""
    with db.read_scope() as session:
        claims = FrameRun.heartbeat_utc >= now_utc(-db.settings.parameters.lease_s)
        return {row.frame_id: row.holder for row in session.scalars(select(FrameRun).where(claims).order_by(FrameRun.frame_id))}
