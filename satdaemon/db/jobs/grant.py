"""The grant pass: pending jobs meet machines, in priority order, by best fit, one pass at a time.

What is free is counted from running_jobs and machines in the same transaction that moves the jobs, so that
no set of callers can give a machine more than it has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Float, Select, and_, case, delete, extract, func, or_, select, text, update
from sqlalchemy.orm import Session

from satdaemon.db.clock import now_utc
from satdaemon.db.events import of_job
from satdaemon.db.jobs.packing import Ask, Shelf, pack
from satdaemon.db.jobs.queue import to_job
from satdaemon.db.models import MODEL_OF, DaemonTools, FrameRun, JobKey, Machine, PendingJob, RunningJob, stage_id
from satdaemon.db.models.jobs import RUNNING, SCHEDULED
from satdaemon.db.rows import move
from satdaemon.db.store import Store
from satdaemon.domain import Job
from satdaemon.status import ProcStatus, RowKind, Stage

MOST = 5000
"""Pending jobs that one pass looks at."""
_GRANT_LOCK = 7_310_003
_WORK = (
    "job_id", "frame_id", "kind", "row_id", "stage", "date1", "date2", "priority", "stage_rank", "cpu", "memory_gb",
    "disk", "tries", "why", "created_utc",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Grant:
    """A machine given to a job. `job.attempt` is the attempt that is to run."""

    job: Job
    machine: str
    job_id: int = field(init=False)
    attempt: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "job_id", self.job.id)
        object.__setattr__(self, "attempt", self.job.attempt)


def grant_pass(db: Store) -> list[Grant]:
    """Give machines to pending jobs of claimed frames. Empty where another pass is under way, or nothing fits."""
    with db.read_scope() as session:
        if session.scalar(_grantable(db).with_only_columns(PendingJob.job_id).limit(1)) is None:
            return []
    return db.write(lambda session: _pass(db, session))


def _pass(db: Store, session: Session) -> list[Grant]:
    if db.on_postgresql and not session.scalar(text(f"SELECT pg_try_advisory_xact_lock({_GRANT_LOCK})")):
        return []
    if session.scalar(select(DaemonTools.command)) != SCHEDULED:
        return []
    shelves = _shelves(db, session)
    ordered = _grantable(db).order_by(PendingJob.priority.desc(), PendingJob.stage_rank.desc(), PendingJob.job_id)
    waited_s = _age_s(db, PendingJob.waiting_since)
    rows = session.execute(ordered.add_columns(waited_s).limit(MOST).with_for_update(of=PendingJob, skip_locked=True)).all()
    jobs = {row[0].job_id: row[0] for row in rows}
    asks = [Ask(j.job_id, (j.cpu, j.memory_gb, j.disk), float(waited or 0.0)) for j, waited in rows]
    packed = pack(asks, shelves, reserve_after_s=db.settings.parameters.reserve_after_s)
    for job in jobs.values():
        reason = packed.reasons.get(job.job_id)
        if reason is not None and (job.reason, job.no_machine) != (reason, True):
            job.reason, job.no_machine = reason, True
        elif reason is None and job.no_machine:
            job.reason, job.no_machine = None, False
    return [grant for job_id, machine in packed.given if (grant := _give(session, jobs[job_id], machine)) is not None]


def _grantable(db: Store) -> Select[PendingJob]:
    live = FrameRun.heartbeat_utc >= now_utc(-db.settings.parameters.lease_s)
    return (
        select(PendingJob)
        .join(FrameRun, and_(FrameRun.frame_id == PendingJob.frame_id, live))
        .where(PendingJob.held.is_(False), PendingJob.not_before <= now_utc())
    )


def _age_s(db: Store, column: Any) -> Any:
    if db.on_postgresql:
        return extract("epoch", now_utc() - column)
    return (func.julianday(now_utc(), type_=Float) - func.julianday(column, type_=Float)) * 86400.0


def _shelves(db: Store, session: Session) -> list[Shelf]:
    """Machines with what is free on them. One that used to be heard of, and is not now, takes nothing."""
    used = {
        name: amounts
        for name, *amounts in session.execute(
            select(RunningJob.machine, func.sum(RunningJob.cpu), func.sum(RunningJob.memory_gb), func.sum(RunningJob.disk))
            .group_by(RunningJob.machine)
        )
    }  # fmt: skip
    heard = or_(Machine.last_seen_utc.is_(None), Machine.last_seen_utc >= now_utc(-db.settings.parameters.lease_s))
    shelves = []
    for machine, alive in session.execute(select(Machine, case((heard, 1), else_=0)).order_by(Machine.name)):
        size = (machine.cpu, machine.memory_gb, machine.disk)
        taken = used.get(machine.name, (0.0, 0.0, 0.0))
        closed = machine.state if machine.state != "enabled" else "" if alive else "not heard of"
        shelves.append(Shelf(machine.name, size, [s - float(t) for s, t in zip(size, taken, strict=True)], closed))
    return shelves


def _give(session: Session, job: PendingJob, machine: str) -> Grant | None:
    kind, stage = RowKind(job.kind), Stage(job.stage)
    model, number = MODEL_OF[kind], stage_id(kind, stage)
    wants = or_(
        and_(model.proc_stage == number, model.proc_status == 0),
        and_(model.proc_stage == number - 1, model.proc_status.in_((2, 3))),
        # Which stage of a stale row is next is the planner's to say; here it has only to have come so far.
        and_(model.proc_status == 6, model.proc_stage >= number - 1),
    )
    values = {"proc_stage": number, "reason": None, "waiting_for": None, "stale_from": None}
    if not move(session, kind, job.row_id, ProcStatus.RUNNING, wants, **values):
        of_job(session, "unwanted", job, message="its row went another way since it was queued")
        session.delete(job)
        session.execute(delete(JobKey).where(JobKey.job_id == job.job_id))
        return None
    work = {name: getattr(job, name) for name in _WORK}
    live = RunningJob(
        **work, attempt=job.attempt + 1, machine=machine, granted_utc=now_utc(), heartbeat_utc=now_utc(), progress=0.0
    )
    session.delete(job)
    session.flush()
    session.execute(update(JobKey).where(JobKey.job_id == job.job_id).values(place=RUNNING))
    session.add(live)
    session.flush()
    of_job(session, "granted", live)
    return Grant(to_job(live, live.attempt), machine)
