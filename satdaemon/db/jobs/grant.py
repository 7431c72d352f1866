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
from satdaemon.db.rows import sources
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
    asked = (PendingJob.job_id, PendingJob.cpu, PendingJob.memory_gb, PendingJob.disk, PendingJob.reason, PendingJob.no_machine)
    rows = session.execute(ordered.with_only_columns(*asked, _age_s(db, PendingJob.waiting_since)).limit(MOST)).all()
    asks = [Ask(job_id, (cpu, memory_gb, disk), float(waited or 0.0)) for job_id, cpu, memory_gb, disk, _, _, waited in rows]
    packed = pack(asks, shelves, reserve_after_s=db.settings.parameters.reserve_after_s)
    _explain(session, {row[0]: (row[4], row[5]) for row in rows}, packed.reasons)
    return _give(session, dict(packed.given))


def _explain(session: Session, known: dict[int, tuple[str | None, bool]], reasons: dict[int, str]) -> None:
    """Write down which jobs no machine can take, and take it back where that has passed."""
    jobs_of: dict[str | None, list[int]] = {}
    for job_id, (reason, no_machine) in known.items():
        why = reasons.get(job_id)
        if (why is not None and (reason, no_machine) != (why, True)) or (why is None and no_machine):
            jobs_of.setdefault(why, []).append(job_id)
    for why, job_ids in jobs_of.items():
        values = {"reason": why, "no_machine": why is not None}
        session.execute(update(PendingJob).where(PendingJob.job_id.in_(job_ids)).values(**values))


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


def _give(session: Session, machine_of: dict[int, str]) -> list[Grant]:
    """Move jobs from pending to running, with their rows; those whose row went another way leave the queue."""
    if not machine_of:
        return []
    chosen = select(PendingJob).where(PendingJob.job_id.in_(machine_of)).with_for_update(skip_locked=True)
    jobs = {job.job_id: job for job in session.scalars(chosen)}
    wanted = _start_rows(session, list(jobs.values()))
    session.execute(delete(PendingJob).where(PendingJob.job_id.in_(jobs)).execution_options(synchronize_session=False))
    session.execute(delete(JobKey).where(JobKey.job_id.in_(jobs.keys() - wanted)))
    session.execute(update(JobKey).where(JobKey.job_id.in_(wanted)).values(place=RUNNING))
    now = session.execute(select(now_utc())).scalar_one()
    given: list[RunningJob] = []
    for job_id, machine in machine_of.items():
        job = jobs.get(job_id)
        if job is None:
            continue
        if job_id not in wanted:
            of_job(session, "unwanted", job, message="its row went another way since it was queued")
            continue
        work = {name: getattr(job, name) for name in _WORK}
        given.append(
            RunningJob(**work, attempt=job.attempt + 1, machine=machine, progress=0.0, granted_utc=now, heartbeat_utc=now)
        )
    for job in jobs.values():
        session.expunge(job)
    session.add_all(given)
    for live in given:
        of_job(session, "granted", live)
    session.flush()
    return [Grant(to_job(live, live.attempt), live.machine) for live in given]


def _start_rows(session: Session, jobs: list[PendingJob]) -> set[int]:
    """Make the rows of jobs RUNNING where they still want them; the ids of those jobs."""
    wanted: set[int] = set()
    for kind, stage in {(job.kind, job.stage) for job in jobs}:
        mine = {job.row_id: job.job_id for job in jobs if (job.kind, job.stage) == (kind, stage)}
        model, number = MODEL_OF[RowKind(kind)], stage_id(RowKind(kind), Stage(stage))
        wants = or_(
            and_(model.proc_stage == number, model.proc_status == 0),
            and_(model.proc_stage == number - 1, model.proc_status.in_((2, 3))),
            # Which stage of a stale row is next is the planner's to say; here it has only to have come so far.
            and_(model.proc_status == 6, model.proc_stage >= number - 1),
        )
        values = {"proc_stage": number, "reason": None, "waiting_for": None, "stale_from": None}
        moved = session.execute(
            update(model)
            .where(model.id.in_(mine), model.proc_status.in_(sources(ProcStatus.RUNNING)), wants)
            .values(proc_status=int(ProcStatus.RUNNING), **values)
            .returning(model.id)
            .execution_options(synchronize_session=False)
        )
        wanted |= {mine[row] for row in moved.scalars()}
    return wanted
