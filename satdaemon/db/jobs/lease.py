"""A worker's hold on its job: start, beat, orders. Every write is fenced by (job_id, attempt)."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from satdaemon.db.clock import now_utc
from satdaemon.db.events import of_job
from satdaemon.db.jobs.moves import locked
from satdaemon.db.models import RunningJob
from satdaemon.db.store import Store


class Orders(StrEnum):
    """What a worker is to do with its job."""

    CONTINUE = "continue"
    CANCEL = "cancel"
    LOST = "lost"


def start(
    db: Store,
    job_id: int,
    attempt: int,
    *,
    pid: int | None,
    host: str | None,
    log_path: str | None,
    flow_run_id: str | None = None,
    task_run_id: str | None = None,
) -> bool:
    """The job's body begins. False: another attempt holds it, or this one was started already; do nothing then."""

    def work(session: Session) -> bool:
        job = locked(session, job_id, attempt)
        if job is None or job.started_utc is not None:
            return False
        job.pid, job.host, job.log_path = pid, host, log_path
        job.flow_run_id, job.task_run_id = flow_run_id, task_run_id
        times = {"started_utc": now_utc(), "heartbeat_utc": now_utc()}
        session.execute(update(RunningJob).where(RunningJob.job_id == job_id).values(**times))
        of_job(session, "started", job)
        return True

    return db.write(work)


def beat(db: Store, job_id: int, attempt: int, *, progress: float | None = None, message: str | None = None) -> Orders:
    """Renew the lease; the answer says whether to go on."""
    values = {"heartbeat_utc": now_utc(), "message": func.coalesce(message, RunningJob.message)}
    if progress is not None:
        values["progress"] = min(max(float(progress), 0.0), 1.0)
    fence = (RunningJob.job_id == job_id, RunningJob.attempt == attempt)
    renew = update(RunningJob).where(*fence).values(**values).returning(RunningJob.cancel_by)
    statement = renew.execution_options(synchronize_session=False)
    return _answer(db.write(lambda session: session.execute(statement).first()))


def orders(db: Store, job_id: int, attempt: int) -> Orders:
    """The answer that `beat` would give, without renewing the lease."""
    with db.read_scope() as session:
        fence = (RunningJob.job_id == job_id, RunningJob.attempt == attempt)
        return _answer(session.execute(select(RunningJob.cancel_by).where(*fence)).first())


def _answer(found: object) -> Orders:
    if found is None:
        return Orders.LOST
    return Orders.CONTINUE if found[0] is None else Orders.CANCEL  # type: ignore[index]
