"""What operators do to jobs: stop them, try them again."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from satdaemon.db.clock import now_utc
from satdaemon.db.daemon import changed
from satdaemon.db.events import of_job
from satdaemon.db.jobs.moves import again
from satdaemon.db.models import FailedJob, JobKey, PendingJob, RunningJob
from satdaemon.db.store import Store
from satdaemon.status import Stage


def cancel(
    db: Store,
    *,
    job_id: int | None = None,
    frame_id: str | None = None,
    who: str,
    reason: str = "",
    hold: bool = True,
    running: bool = True,
) -> int:
    """Stop one job, the jobs of one frame, or all jobs; returns how many.

    A running job is asked to stop (`running=False` leaves those alone). With `hold` the work stays in the
    queue, held, until `retry` or until the frame is switched off; without, it leaves the queue, and the next
    plan queues it again if it is still owed.
    """

    def work(session: Session) -> int:
        count = 0
        text = f"cancelled by {who}" + (f": {reason}" if reason else "")
        for job in session.scalars(_select(PendingJob, job_id, frame_id).with_for_update()):
            of_job(session, "cancelled", job, message=reason or None, who=who)
            if hold:
                job.held, job.reason = True, text
            else:
                session.delete(job)
                session.execute(delete(JobKey).where(JobKey.job_id == job.job_id))
            count += 1
        for live in session.scalars(_select(RunningJob, job_id, frame_id).with_for_update()) if running else ():
            live.cancel_by, live.cancel_reason, live.cancel_hold = who, reason or None, hold
            of_job(session, "cancel_asked", live, message=reason or None, who=who)
            count += 1
        if count:
            changed(session, who=who, what=f"{text} ({count} jobs)", frame_id=frame_id, replan=False)
        return count

    return db.write(work)


def retry(
    db: Store,
    *,
    job_id: int | Collection[int] | None = None,
    frame_id: str | None = None,
    stage: Stage | None = None,
    who: str,
) -> int:
    """Put failed jobs back into the queue under their ids, with all tries, and release held ones; returns how many.

    `job_id`: one or several, all in one go.
    """

    def work(session: Session) -> int:
        count = 0
        for failed in session.scalars(_select(FailedJob, job_id, frame_id, stage).with_for_update()):
            count += again(session, failed, who=who)
        held = _select(PendingJob, job_id, frame_id, stage).where(PendingJob.held.is_(True))
        for job in session.scalars(held.with_for_update()):
            of_job(session, "released", job, who=who)
            job.held, job.reason = False, None
            count += 1
        # A retry is also impatience: what waits for its next try or for an orbit is looked at now.
        delayed = _select(PendingJob, job_id, frame_id, stage).where(PendingJob.not_before > now_utc())
        for job in session.scalars(delayed):
            of_job(session, "hurried", job, who=who)
            now = {"not_before": now_utc(), "reason": None}
            session.execute(update(PendingJob).where(PendingJob.job_id == job.job_id).values(**now))
            count += 1
        if count:
            changed(session, who=who, what=f"retry of {count} jobs", frame_id=frame_id)
        return count

    return db.write(work)


def _select(model: Any, job_id: int | Collection[int] | None, frame_id: str | None, stage: Stage | None = None) -> Any:
    statement = select(model).order_by(model.job_id)
    if job_id is not None:
        statement = statement.where(model.job_id.in_([job_id] if isinstance(job_id, int) else job_id))
    if frame_id is not None:
        statement = statement.where(model.frame_id == frame_id)
    if stage is not None:
        statement = statement.where(model.stage == stage.value)
    return statement
