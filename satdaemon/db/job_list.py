"""Jobs as people look at them: in the queue, running, failed for good; and what happened to one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select

from satdaemon.db.models import FailedJob, JobEvent, PendingJob, Product, RunningJob
from satdaemon.db.store import Store
from satdaemon.domain import job_title
from satdaemon.errors import RequestError
from satdaemon.status import RowKind, Stage

MOST_EVENTS = 200


class JobPlace(StrEnum):
    """Where a job stands."""

    RUNNING = "running"
    PENDING = "pending"
    HELD = "held"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class JobLine:
    """One job, in words."""

    job_id: int
    title: str
    place: JobPlace
    machine: str | None
    attempt: int
    since_utc: datetime
    """When it was granted, queued, or failed."""
    what: str
    """How far it is, what it waits for, or why it failed."""
    log: str | None


@dataclass(frozen=True, slots=True)
class JobHistory:
    """What happened to a job, oldest first."""

    job_id: int
    job: JobLine | None
    """None once it has finished, or is not wanted any more."""
    traceback: str | None
    events: tuple[dict[str, Any], ...]


def listing(
    db: Store, *, frame_id: str | None = None, places: Collection[JobPlace] = tuple(JobPlace), most: int = 100
) -> list[JobLine]:
    """Jobs of a frame, or of all: the running ones, those that failed (newest first), then the queue in its order."""
    found: list[JobLine] = []
    with db.read_scope() as session:
        if JobPlace.RUNNING in places:
            oldest = _of(RunningJob, frame_id).order_by(RunningJob.granted_utc, RunningJob.job_id)
            found += [_running(job) for job in session.scalars(oldest.limit(most))]
        if JobPlace.FAILED in places:
            newest = _of(FailedJob, frame_id).order_by(FailedJob.finished_utc.desc(), FailedJob.job_id.desc())
            found += [_failed(job) for job in session.scalars(newest.limit(most))]
        held = {JobPlace.HELD: True, JobPlace.PENDING: False}
        wanted = [is_held for place, is_held in held.items() if place in places]
        if wanted:
            order = (PendingJob.priority.desc(), PendingJob.stage_rank.desc(), PendingJob.job_id)
            queue = _of(PendingJob, frame_id).where(PendingJob.held.in_(wanted)).order_by(*order)
            found += [_pending(job) for job in session.scalars(queue.limit(most))]
    return found[:most]


def history(db: Store, job_id: int) -> JobHistory:
    """One job with its events. RequestError for an id that no job ever had."""
    with db.read_scope() as session:
        newest = select(JobEvent).where(JobEvent.job_id == job_id).order_by(JobEvent.id.desc()).limit(MOST_EVENTS)
        events = tuple(_event(event) for event in reversed(session.scalars(newest).all()))
        running, failed = session.get(RunningJob, job_id), session.get(FailedJob, job_id)
        pending = session.get(PendingJob, job_id)
        if not events and not (running or failed or pending):
            raise RequestError(f"job {job_id}: expected the id of a job (satdaemon job list), found none that ever had it")
        line = _running(running) if running else _failed(failed) if failed else _pending(pending) if pending else None
        return JobHistory(job_id, line, failed.traceback if failed else None, events)


def product_of(db: Store, job_id: int) -> Product | None:
    """What a job made, where it is still there; found by its frame, as products are not looked up by their jobs."""
    frame = select(JobEvent.frame_id).where(JobEvent.job_id == job_id).limit(1).scalar_subquery()
    with db.read_scope() as session:
        return session.scalar(select(Product).where(Product.frame_id == frame, Product.job_id == job_id))


def _of(model: Any, frame_id: str | None) -> Any:
    return select(model) if frame_id is None else select(model).where(model.frame_id == frame_id)


def _title(job: Any) -> str:
    return job_title(RowKind(job.kind), Stage(job.stage), job.frame_id, job.date1, job.date2)


def _running(job: RunningJob) -> JobLine:
    said = f": {job.message}" if job.message else ""
    asked = f"; asked to stop by {job.cancel_by}" if job.cancel_by else ""
    what = f"{100 * (job.progress or 0):.0f} %{said}{asked}" if job.started_utc else f"not begun yet{asked}"
    return JobLine(job.job_id, _title(job), JobPlace.RUNNING, job.machine, job.attempt, job.granted_utc, what, job.log_path)


def _failed(job: FailedJob) -> JobLine:
    what = f"{job.error_class}: {job.message or 'no message'}"
    return JobLine(job.job_id, _title(job), JobPlace.FAILED, job.machine, job.attempt, job.finished_utc, what, job.log_path)


def _pending(job: PendingJob) -> JobLine:
    place = JobPlace.HELD if job.held else JobPlace.PENDING
    what = "; before: ".join(filter(None, (None if job.held else job.waits_for, job.reason))) or (job.why or "")
    return JobLine(job.job_id, _title(job), place, None, job.attempt, job.created_utc, what, None)


def _event(event: JobEvent) -> dict[str, Any]:
    names = ("at_utc", "event", "attempt", "machine", "who", "message", "wall_s", "cpu_s", "peak_memory_gb")
    return {name: value for name in names if (value := getattr(event, name)) is not None}
