"""Moves of a job out of running_jobs, and what they do to its row."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from satdaemon.archive.names import LOCAL
from satdaemon.db import learned
from satdaemon.db.clock import now_utc
from satdaemon.db.events import of_job
from satdaemon.db.messages import occasions
from satdaemon.db.models import FailedJob, JobKey, PendingJob, RunningJob
from satdaemon.db.models.jobs import PENDING
from satdaemon.db.models.rows import stage_id
from satdaemon.db.rows import move, network_due
from satdaemon.db.store import Store
from satdaemon.db.upsert import insert_ignore
from satdaemon.domain import Failure, Usage
from satdaemon.errors import Cancelled, CredentialsError, DiskFull, Disposition, NotReady, OutOfMemory, Throttled
from satdaemon.status import ProcStatus, RowKind, Stage

NEVER_BEGAN = 10
"""A job that is granted so many times its tries, and never begins, has failed."""
_WORK = (
    "frame_id",
    "kind",
    "row_id",
    "stage",
    "date1",
    "date2",
    "priority",
    "stage_rank",
    "cpu",
    "disk",
    "space_gb",
    "predicted_s",
    "size_class",
    "archive",
    "attempt",
    "failed_on",
    "created_utc",
)
_OF_ITS_ARCHIVE = (Throttled.__name__, CredentialsError.__name__)
"""Errors that all downloads from an archive share."""
_LEASE = ("machine", "granted_utc", "started_utc", "heartbeat_utc", "progress", "pid", "host", "log_path")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job that did not finish."""

    kind: Literal["retry", "failed", "waiting", "excluded", "discarded"]
    not_before: datetime | None = None
    reason: str = ""


def locked(session: Session, job_id: int, attempt: int) -> RunningJob | None:
    """The running job, if this attempt still holds it; no other transaction may touch it meanwhile."""
    fence = (RunningJob.job_id == job_id, RunningJob.attempt == attempt)
    return session.scalar(select(RunningJob).where(*fence).with_for_update())


def end_unfinished(db: Store, session: Session, job: RunningJob, failure: Failure, usage: Usage) -> Outcome:
    """Decide by the failure's disposition what becomes of a running job, and do it."""
    reason = f"{failure.error_class}: {failure.message}"
    match failure.disposition:
        case Disposition.DISCARD if failure.error_class == Cancelled.__name__ or job.cancel_by is not None:
            return _cancelled(session, job, usage)
        case Disposition.DISCARD:
            return _drop(session, job, reason, usage)
        case Disposition.EXCLUDE:
            _row(session, job, ProcStatus.EXCLUDED, reason=failure.message, automatic=False)
            network_due(session, job.frame_id)
            of_job(session, "excluded", job, message=failure.message, usage=usage)
            forget(session, job)
            return Outcome("excluded", reason=failure.message)
        case Disposition.WAIT:
            return _wait(db, session, job, failure, usage)
        case Disposition.RETRY if not _last_try(db, job, failure):
            return _retry(db, session, job, failure, usage)
        case _:
            return _failed(db, session, job, failure, usage)


def forget(session: Session, job: RunningJob) -> None:
    """Take a job out of running_jobs and out of the live jobs."""
    session.execute(delete(RunningJob).where(RunningJob.job_id == job.job_id))
    session.execute(delete(JobKey).where(JobKey.job_id == job.job_id))


def again(session: Session, failed: FailedJob, *, who: str, tries: int = 0, failed_on: str | None = None) -> int:
    """Put a failed job back into the queue under its id, with so many tries behind it; 0 where its row has gone another way."""
    if not move(session, RowKind(failed.kind), failed.row_id, ProcStatus.WAITING, reason=None, waiting_for=None):
        # Done by another job since, or removed: the failure is history.
        session.execute(delete(FailedJob).where(FailedJob.job_id == failed.job_id))
        return 0
    key = {name: getattr(failed, name) for name in ("job_id", "kind", "row_id", "stage")}
    if insert_ignore(session, JobKey, key):
        work: dict[str, Any] = {name: getattr(failed, name) for name in _WORK} | {"failed_on": failed_on}
        session.add(
            PendingJob(
                job_id=failed.job_id, **work, memory_gb=failed.memory_gb, tries=tries, why=failed.why, held=False,
                not_before=now_utc(), waiting_since=now_utc(),
            )
        )  # fmt: skip
    of_job(session, "retried", failed, who=who)
    session.delete(failed)
    session.flush()
    return 1


def _last_try(db: Store, job: RunningJob, failure: Failure) -> bool:
    tries = db.settings.stage(Stage(job.stage)).tries
    if job.started_utc is None:
        return job.attempt >= NEVER_BEGAN * tries
    return job.tries + 1 - _was_misjudged(db, job, failure) >= tries


def _was_misjudged(db: Store, job: RunningJob, failure: Failure) -> bool:
    """It ran out of less memory than is configured: what was learned did not hold for it, which costs it no try."""
    is_less = job.memory_gb < db.settings.stage(Stage(job.stage)).memory_gb
    return is_less and job.started_utc is not None and failure.error_class == OutOfMemory.__name__


def _retry(db: Store, session: Session, job: RunningJob, failure: Failure, usage: Usage) -> Outcome:
    # A grant that never began says nothing about the job: it costs no try.
    tries = job.tries + (job.started_utc is not None)
    memory_gb = job.memory_gb
    if failure.error_class == OutOfMemory.__name__:
        memory_gb = learned.more_memory(db, session, job)
        tries -= _was_misjudged(db, job, failure)
    reason = f"{failure.error_class}: {failure.message}; tried {tries} of {db.settings.stage(Stage(job.stage)).tries} times"
    at = _to_pending(session, job, delay_s=_delay_s(db, tries), tries=tries, reason=reason, memory_gb=memory_gb)
    _row(session, job, ProcStatus.WAITING, reason=reason)
    of_job(session, "retry", job, message=reason, usage=usage)
    return Outcome("retry", at, reason)


def _delay_s(db: Store, tries: int) -> float:
    """Until a job is tried again after so many tries: doubled by each, up to a limit, and never the same for all."""
    parameters = db.settings.parameters
    return min(parameters.retry_first_s * 2.0 ** min(max(tries - 1, 0), 30), parameters.retry_most_s) * random.uniform(0.75, 1.25)


def _wait(db: Store, session: Session, job: RunningJob, failure: Failure, usage: Usage) -> Outcome:
    delay_s = failure.retry_after_s or 0.0
    if failure.error_class == DiskFull.__name__:
        delay_s = _delay_s(db, job.attempt)
    # Only what does not exist yet is awaited, and holds nothing else up; a job given back was merely interrupted.
    is_awaited = failure.error_class == NotReady.__name__ and delay_s > 0
    waiting_for = failure.message if is_awaited else None
    at = _to_pending(session, job, delay_s=delay_s, tries=job.tries, reason=failure.message, memory_gb=job.memory_gb)
    _row(session, job, ProcStatus.WAITING, reason=failure.message, waiting_for=waiting_for)
    if failure.error_class in _OF_ITS_ARCHIVE:
        _hold_back(session, job, at, failure.message)
    if failure.error_class == CredentialsError.__name__:
        occasions.login_refused(session, job, failure)
    of_job(session, "waiting", job, message=failure.message, usage=usage)
    return Outcome("waiting", at, failure.message)


def _hold_back(session: Session, job: RunningJob, until: datetime, why: str) -> None:
    """What one download heard from its archive holds for the others that wait for it: none asks before it may."""
    if job.archive in (None, LOCAL):
        return
    same = (PendingJob.stage == job.stage, PendingJob.archive == job.archive, PendingJob.not_before < until)
    values = {"not_before": until, "reason": f"{job.archive} is left alone: {why}"}
    session.execute(update(PendingJob).where(*same).values(**values).execution_options(synchronize_session=False))


def _failed(db: Store, session: Session, job: RunningJob, failure: Failure, usage: Usage) -> Outcome:
    reason = f"{failure.error_class}: {failure.message}"
    is_oom = failure.error_class == OutOfMemory.__name__
    memory_gb = learned.more_memory(db, session, job) if is_oom else job.memory_gb
    session.execute(delete(FailedJob).where(*same_work(FailedJob, job)))
    session.add(
        FailedJob(
            job_id=job.job_id,
            **{name: getattr(job, name) for name in (*_WORK, *_LEASE)},
            memory_gb=memory_gb,
            tries=job.tries + 1,
            why=job.why,
            flow_run_id=job.flow_run_id,
            task_run_id=job.task_run_id,
            error_class=failure.error_class,
            message=failure.message,
            traceback=failure.traceback,
            return_code=failure.return_code,
            signal=failure.signal,
            wall_s=usage.wall_s,
            cpu_s=usage.cpu_s,
            peak_memory_gb=usage.peak_memory_gb,
        )
    )
    _row(session, job, ProcStatus.FAILED, reason=reason, waiting_for=None)
    network_due(session, job.frame_id)
    occasions.job_failed(session, job, failure)
    of_job(session, "failed", job, message=reason, usage=usage)
    forget(session, job)
    return Outcome("failed", reason=reason)


def _cancelled(session: Session, job: RunningJob, usage: Usage) -> Outcome:
    reason = f"cancelled by {job.cancel_by or 'its worker'}" + (f": {job.cancel_reason}" if job.cancel_reason else "")
    if not job.cancel_hold:
        return _drop(session, job, reason, usage)
    _to_pending(session, job, delay_s=0.0, tries=job.tries, reason=reason, memory_gb=job.memory_gb, held=True)
    _row(session, job, ProcStatus.WAITING, reason=reason)
    of_job(session, "cancelled", job, message=reason, who=job.cancel_by, usage=usage)
    return Outcome("discarded", reason=reason)


def _drop(session: Session, job: RunningJob, reason: str, usage: Usage) -> Outcome:
    _row(session, job, ProcStatus.WAITING, reason=reason)
    of_job(session, "cancelled", job, message=reason, who=job.cancel_by, usage=usage)
    forget(session, job)
    return Outcome("discarded", reason=reason)


def _to_pending(
    session: Session, job: RunningJob, *, delay_s: float, tries: int, reason: str, memory_gb: float, held: bool = False
) -> datetime:
    at: datetime = session.execute(select(now_utc(delay_s))).scalar_one()
    session.execute(delete(RunningJob).where(RunningJob.job_id == job.job_id))
    session.execute(update(JobKey).where(JobKey.job_id == job.job_id).values(place=PENDING))
    work: dict[str, Any] = {name: getattr(job, name) for name in _WORK}
    session.add(
        PendingJob(
            job_id=job.job_id, **work, memory_gb=memory_gb, tries=tries, why=job.why, held=held, reason=reason, not_before=at,
            waiting_since=at,
        )
    )  # fmt: skip
    session.flush()
    return at


def _row(session: Session, job: RunningJob, status: ProcStatus, **values: Any) -> None:
    kind = RowKind(job.kind)
    values = {"proc_stage": stage_id(kind, Stage(job.stage)), **values}
    if not move(session, kind, job.row_id, status, of_job=True, **values):
        # The row is gone or was changed by hand; the job still has to end.
        of_job(session, "row_lost", job, message=f"its row could not become {status.name}")


def same_work(model: Any, job: Any) -> tuple[Any, ...]:
    """Condition: another table's row for the same piece of work."""
    return model.kind == job.kind, model.row_id == job.row_id, model.stage == job.stage
