"""What people changed: frames, jobs, machines, the daemon; the newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from satdaemon.db.events import among_newest
from satdaemon.db.models import JobEvent
from satdaemon.db.store import Store


@dataclass(frozen=True, slots=True)
class Change:
    """One action."""

    at_utc: datetime
    who: str
    event: str
    frame_id: str | None
    job_id: int | None
    message: str | None


def changes(db: Store, *, most: int = 200, frame_id: str | None = None) -> list[Change]:
    """Events that somebody made."""
    columns = (JobEvent.at_utc, JobEvent.who, JobEvent.event, JobEvent.frame_id, JobEvent.job_id, JobEvent.message)
    with db.read_scope() as session:
        wanted = select(*columns).where(among_newest(session), JobEvent.who.is_not(None))
        if frame_id is not None:
            wanted = wanted.where(JobEvent.frame_id == frame_id)
        rows = session.execute(wanted.order_by(JobEvent.id.desc()).limit(most))
        return [Change(at, str(who), event, frame, job, message) for at, who, event, frame, job, message in rows]
