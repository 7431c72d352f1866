"""Leases that were lost: the worker, its machine or its flow is gone."""

from __future__ import annotations

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from satdaemon.db.clock import now_utc
from satdaemon.db.jobs.moves import end_unfinished
from satdaemon.db.models import RunningJob
from satdaemon.db.store import Store
from satdaemon.domain import Failure, Usage
from satdaemon.errors import Disposition, MachineLost


def rescue(db: Store) -> list[int]:
    """Put back every job that has not beaten for `lease_s`; fail those that have no try left. Returns their ids."""
    lost = _silent(db)
    with db.read_scope() as session:
        if not session.scalar(select(is_lost(db))):
            return []

    def work(session: Session) -> list[int]:
        jobs = session.scalars(select(RunningJob).where(lost).order_by(RunningJob.job_id).with_for_update(skip_locked=True)).all()
        for job in jobs:
            end_unfinished(db, session, job, _failure(job, db.settings.parameters.lease_s), Usage())
        return [job.job_id for job in jobs]

    return db.write(work)


def is_lost(db: Store) -> ColumnElement[bool]:
    """SQL: some job has not beaten for `lease_s`."""
    return select(RunningJob.job_id).where(_silent(db)).exists()


def _silent(db: Store) -> ColumnElement[bool]:
    return RunningJob.heartbeat_utc < now_utc(-db.settings.parameters.lease_s)


def _failure(job: RunningJob, lease_s: float) -> Failure:
    silent = f"{job.machine} has not been heard of for {lease_s:g} s"
    if job.started_utc is None:
        silent = f"it was granted {job.machine} and did not begin within {lease_s:g} s"
    disposition = Disposition.DISCARD if job.cancel_by is not None else Disposition.RETRY
    return Failure(MachineLost.__name__, silent, "", disposition)
