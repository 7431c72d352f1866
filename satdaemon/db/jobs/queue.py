"""Reading the queue."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import exists, or_, select

from satdaemon.db.clock import now_utc, seconds_since
from satdaemon.db.models import FailedJob, Frame, FrameRun, PendingJob, RunningJob
from satdaemon.db.store import Store
from satdaemon.domain import Job, Resources
from satdaemon.status import RowKind, Stage


@dataclass(frozen=True, slots=True)
class JobState:
    """Where a job stands."""

    status: Literal["pending", "granted", "running", "gone", "failed"]
    """granted: a machine is given, the body has not begun; gone: finished, or not wanted any more."""
    attempt: int = 0
    machine: str | None = None
    wait_s: float = 0.0
    """Until it may be granted, by the database's clock."""
    reason: str | None = None
    held: bool = False
    """Cancelled by a person: it is not granted until it is released."""


def to_job(row: PendingJob | RunningJob, attempt: int) -> Job:
    """A row of the queue as a value."""
    return Job(
        id=row.job_id,
        frame_id=row.frame_id,
        stage=Stage(row.stage),
        kind=RowKind(row.kind),
        date1=row.date1,
        date2=row.date2,
        priority=row.priority,
        attempt=attempt,
        resources=Resources(row.cpu, row.memory_gb, row.disk),
        machine=getattr(row, "machine", None),
    )


_P = PendingJob.__table__.c
_JOB = (
    _P.job_id, _P.frame_id, _P.stage, _P.kind, _P.date1, _P.date2, _P.priority, _P.attempt, _P.cpu, _P.memory_gb, _P.disk,
)  # fmt: skip


_STAGES = {stage.value: stage for stage in Stage}
_KINDS = {kind.value: kind for kind in RowKind}


def pending_of_frame(db: Store, frame_id: str, limit: int) -> list[Job]:
    """The jobs of a frame that somebody has to attend to, the first to be granted first.

    Jobs that were granted and have not begun come first (`machine` set); then the queue, whether `not_before`
    has passed or not. `attempt` is the attempt that is to run. Held jobs are left out.
    """
    with db.read_scope() as session:
        granted = session.scalars(
            select(RunningJob)
            .where(RunningJob.frame_id == frame_id, RunningJob.started_utc.is_(None))
            .order_by(RunningJob.priority.desc(), RunningJob.stage_rank.desc(), RunningJob.job_id)
            .limit(limit)
        ).all()
        pending = session.scalars(
            select(PendingJob)
            .where(PendingJob.frame_id == frame_id, PendingJob.held.is_(False))
            .order_by(PendingJob.priority.desc(), PendingJob.stage_rank.desc(), PendingJob.job_id)
            .limit(max(limit - len(granted), 0))
        ).all()
        return [to_job(j, j.attempt) for j in granted] + [to_job(j, j.attempt + 1) for j in pending]


def first(db: Store, limit: int = 1000) -> list[Job]:
    """The queue's first jobs in the order of granting: all that is ready, by priority; held and delayed ones left out."""
    free = (_P.held.is_(False), _P.no_machine.is_(False), _P.not_before <= now_utc())
    order = (_P.priority.desc(), _P.stage_rank.desc(), _P.job_id)
    with db.read_scope() as session:
        rows = session.execute(select(*_JOB).where(*free).order_by(*order).limit(limit)).all()
    asked: dict[tuple[float, float, float], Resources] = {}  # few different ones among many jobs
    return [
        Job(
            job_id, frame_id, _STAGES[stage], _KINDS[kind], date1, date2, priority, attempt + 1,
            asked.get((cpu, gb, disk)) or asked.setdefault((cpu, gb, disk), Resources(cpu, gb, disk)),
        )
        for job_id, frame_id, stage, kind, date1, date2, priority, attempt, cpu, gb, disk in rows
    ]  # fmt: skip


def frames_to_start(db: Store) -> list[str]:
    """Frames with a job that could go now, and nobody to attend to it (no live claim), by priority."""
    live = exists().where(FrameRun.frame_id == Frame.id, FrameRun.heartbeat_utc >= now_utc(-db.settings.parameters.lease_s))
    due = exists().where(PendingJob.frame_id == Frame.id, PendingJob.held.is_(False), PendingJob.not_before <= now_utc())
    granted = exists().where(RunningJob.frame_id == Frame.id, RunningJob.started_utc.is_(None))
    with db.read_scope() as session:
        wanted = select(Frame.id).where(or_(due, granted), ~live).order_by(Frame.priority.desc(), Frame.created_utc, Frame.id)
        return list(session.scalars(wanted))


def states(db: Store, job_ids: Collection[int]) -> dict[int, JobState]:
    """Where each of these jobs stands."""
    wanted = list(job_ids)
    found: dict[int, JobState] = {job_id: JobState("gone") for job_id in wanted}
    if not wanted:
        return found
    with db.read_scope() as session:
        for failed in session.scalars(select(FailedJob).where(FailedJob.job_id.in_(wanted))):
            reason = f"{failed.error_class}: {failed.message}"
            found[failed.job_id] = JobState("failed", failed.attempt, failed.machine, reason=reason)
        pending = select(PendingJob, seconds_since(PendingJob.not_before)).where(PendingJob.job_id.in_(wanted))
        for p, since_s in session.execute(pending):
            why = p.reason if p.held else p.waits_for or p.reason
            found[p.job_id] = JobState("pending", p.attempt, wait_s=max(-since_s, 0.0), reason=why, held=p.held)
        for r in session.scalars(select(RunningJob).where(RunningJob.job_id.in_(wanted))):
            found[r.job_id] = JobState("granted" if r.started_utc is None else "running", r.attempt, r.machine, reason=r.message)
    return found
