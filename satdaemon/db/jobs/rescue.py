"""Leases that were lost: the worker, its machine or its flow is gone."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from satdaemon.db.clock import now_utc
from satdaemon.db.jobs import blame
from satdaemon.db.models import DaemonTools, Machine, RunningJob
from satdaemon.db.store import Store
from satdaemon.domain import Failure, Usage
from satdaemon.errors import Disposition, MachineLost, WorkerLost


def rescue(db: Store) -> list[int]:
    """Put back every job that has not beaten for `lease_s`; fail those that have no try left. Returns their ids."""
    lost = _silent(db)
    with db.read_scope() as session:
        if not session.scalar(select(is_lost(db))):
            return []

    def work(session: Session) -> list[int]:
        jobs = session.scalars(select(RunningJob).where(lost).order_by(RunningJob.job_id).with_for_update(skip_locked=True)).all()
        for job in jobs:
            blame.end(db, session, job, _failure(db, session, job), Usage())
        return [job.job_id for job in jobs]

    return db.write(work)


def is_lost(db: Store) -> ColumnElement[bool]:
    """SQL: some job has not beaten for `lease_s`."""
    return select(RunningJob.job_id).where(_silent(db)).exists()


def _silent(db: Store) -> ColumnElement[bool]:
    return RunningJob.heartbeat_utc < now_utc(-db.settings.parameters.lease_s)


def _failure(db: Store, session: Session, job: RunningJob) -> Failure:
    lease_s = db.settings.parameters.lease_s
    kind: type[MachineLost] = WorkerLost
    silent = f"{job.machine} has not been heard of for {lease_s:g} s"
    if job.started_utc is None:
        silent = f"it was granted {job.machine} and did not begin within {lease_s:g} s"
    elif _hangs(session, job, lease_s):
        kind, silent = MachineLost, f"its worker on {job.machine} lives, but the job has not beaten for {lease_s:g} s: it hangs"
    disposition = Disposition.DISCARD if job.cancel_by is not None else Disposition.RETRY
    return Failure(kind.__name__, silent, "", disposition)


def _hangs(session: Session, job: RunningJob, lease_s: float) -> bool:
    """Whether the worker that the job ran in was heard of well after the job's last beat, while beats could be taken.

    After a time without a database nobody has beaten: no grant pass was recorded meanwhile.
    """
    machine, passed_utc = session.get(Machine, job.machine), session.scalar(select(DaemonTools.last_grants_utc))
    if machine is None or machine.last_seen_utc is None or machine.up_since_utc is None or passed_utc is None:
        return False
    late_utc = job.heartbeat_utc + timedelta(seconds=lease_s / 2)
    return machine.last_seen_utc > late_utc and passed_utc > late_utc and machine.up_since_utc < job.granted_utc
