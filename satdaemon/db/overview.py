"""The whole system at a glance: parts, machines with what they give, jobs, frames, the last plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, case, func, or_, select
from sqlalchemy.orm import Session

from satdaemon.db import daemon, parts
from satdaemon.db.clock import now_utc
from satdaemon.db.daemon import Daemon
from satdaemon.db.models import FailedJob, Frame, Machine, MachineFailure, PendingJob, RunningJob
from satdaemon.db.store import Store
from satdaemon.domain import job_title
from satdaemon.status import RowKind, Stage


@dataclass(frozen=True, slots=True)
class PartView:
    """One part of the system that somebody has up."""

    name: str
    state: str
    message: str | None
    restarts: int
    host: str
    pid: int
    since_utc: datetime


@dataclass(frozen=True, slots=True)
class MachineView:
    """One machine: what it has, and what is granted of it."""

    name: str
    state: str
    """enabled, draining or quarantined."""
    reason: str | None
    is_seen: bool
    """Its worker says that it is alive."""
    jobs: int
    cpu: float
    cpu_used: float
    memory_gb: float
    memory_used_gb: float
    disk: float
    disk_used: float
    failing: int
    """Jobs that failed there in a row and may not be to blame."""


@dataclass(frozen=True, slots=True)
class JobCounts:
    """Jobs by where they stand."""

    running: int
    pending: int
    """In the queue, and could be granted now."""
    blocked: int
    """In the queue, but held, waiting for its next try, or too large for every machine."""
    failed: int


@dataclass(frozen=True, slots=True)
class RunningView:
    """One running job, in words."""

    title: str
    machine: str
    progress: float
    is_asked_to_stop: bool


@dataclass(frozen=True, slots=True)
class Overview:
    """What there is to see of a system now."""

    now_utc: datetime
    """The database's time."""
    daemon: Daemon
    parts: tuple[PartView, ...]
    machines: tuple[MachineView, ...]
    jobs: JobCounts
    running: tuple[RunningView, ...]
    """The first of the running jobs."""
    frames_on: int
    frames: int


def overview(db: Store, *, running: int = 8) -> Overview:
    """Read it, with the first `running` of the running jobs; a few counts, cheap enough for every second."""
    held = [PartView(p.name, p.state, p.message, p.restarts, p.host, p.pid, p.claimed_utc) for p in parts.live(db)]
    row = daemon.read(db)
    with db.read_scope() as session:
        on, known = session.execute(select(func.coalesce(func.sum(case((Frame.processing, 1), else_=0)), 0), func.count()).where(
            Frame.retired_utc.is_(None))).one()  # fmt: skip
        first = session.scalars(select(RunningJob).order_by(RunningJob.granted_utc, RunningJob.job_id).limit(running))
        return Overview(
            session.execute(select(now_utc())).scalar_one(),
            row,
            tuple(held),
            tuple(_machines(session, db.settings.parameters.lease_s)),
            _jobs(session),
            tuple(RunningView(_title(job), job.machine, job.progress or 0.0, job.cancel_by is not None) for job in first),
            int(on),
            int(known),
        )


def _machines(session: Session, lease_s: float) -> list[MachineView]:
    used = (
        select(
            RunningJob.machine.label("name"),
            func.count().label("jobs"),
            func.sum(RunningJob.cpu).label("cpu"),
            func.sum(RunningJob.memory_gb).label("memory_gb"),
            func.sum(RunningJob.disk).label("disk"),
        )
        .group_by(RunningJob.machine)
        .subquery()
    )
    failing = (
        select(func.count(func.distinct(MachineFailure.job_id))).where(MachineFailure.machine == Machine.name).scalar_subquery()
    )
    seen: ColumnElement[bool] = func.coalesce(Machine.last_seen_utc >= now_utc(-lease_s), False)
    rows = session.execute(
        select(Machine, seen, used.c.jobs, used.c.cpu, used.c.memory_gb, used.c.disk, failing)
        .outerjoin(used, used.c.name == Machine.name)
        .order_by(Machine.name)
    )
    return [
        MachineView(
            m.name, m.state, m.reason, bool(is_seen), jobs or 0,
            m.cpu, cpu or 0.0, m.memory_gb, memory_gb or 0.0, m.disk, disk or 0.0, failing,
        )
        for m, is_seen, jobs, cpu, memory_gb, disk, failing in rows
    ]  # fmt: skip


def _jobs(session: Session) -> JobCounts:
    stands = or_(PendingJob.held, PendingJob.no_machine, PendingJob.not_before > now_utc())
    waiting, blocked = session.execute(
        select(func.count(), func.coalesce(func.sum(case((stands, 1), else_=0)), 0)).select_from(PendingJob)
    ).one()
    running, failed = (session.scalar(select(func.count()).select_from(model)) or 0 for model in (RunningJob, FailedJob))
    return JobCounts(running, waiting - int(blocked), int(blocked), failed)


def _title(job: RunningJob) -> str:
    return job_title(RowKind(job.kind), Stage(job.stage), job.frame_id, job.date1, job.date2)
