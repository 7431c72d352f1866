"""The append-only record of what happened."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from satdaemon.db.models import FailedJob, JobEvent, PendingJob, RunningJob
from satdaemon.domain import Usage

NEWEST = 200_000
"""Events that a look at what happened of late goes through at most: times are not indexed, ids grow with them."""


def among_newest(session: Session) -> ColumnElement[bool]:
    """True of those."""
    return JobEvent.id > (session.scalar(select(func.max(JobEvent.id))) or 0) - NEWEST


def record(session: Session, event: str, **columns: Any) -> JobEvent:
    """Add one event; `columns` as in job_events."""
    row = JobEvent(event=event, **columns)
    session.add(row)
    return row


def of_job(
    session: Session,
    event: str,
    job: PendingJob | RunningJob | FailedJob,
    *,
    message: str | None = None,
    who: str | None = None,
    usage: Usage | None = None,
) -> JobEvent:
    """Add one event of a job, with what it cost where it ended."""
    cost: dict[str, Any] = {}
    if usage is not None:
        cost = {
            "wall_s": usage.wall_s,
            "cpu_s": usage.cpu_s,
            "peak_memory_gb": usage.peak_memory_gb,
            "read_bytes": usage.read_bytes,
            "written_bytes": usage.written_bytes,
        }
    return record(
        session,
        event,
        job_id=job.job_id,
        attempt=job.attempt,
        frame_id=job.frame_id,
        kind=job.kind,
        stage=job.stage,
        date1=job.date1,
        date2=job.date2,
        machine=getattr(job, "machine", None),
        message=message,
        who=who,
        **cost,
    )
