"""How a job ends by its worker's word: finished, or failed one way or another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from satdaemon.db import learned, products
from satdaemon.db.clock import now_utc
from satdaemon.db.events import of_job
from satdaemon.db.jobs import blame
from satdaemon.db.jobs.moves import Outcome, forget, locked, same_work
from satdaemon.db.jobs.queue import to_job
from satdaemon.db.messages import occasions
from satdaemon.db.models import FailedJob, Frame, Ifg, JobEvent, Orbit, RunningJob, stage_id
from satdaemon.db.points import activate_of_job
from satdaemon.db.rows import move
from satdaemon.db.store import Store
from satdaemon.db.upsert import upsert
from satdaemon.domain import Failure, StageResult, Usage
from satdaemon.errors import RequestError
from satdaemon.status import ProcStatus, RowKind, Stage

FINISHED = "finished"


def finish(
    db: Store,
    job_id: int,
    attempt: int,
    result: StageResult,
    usage: Usage,
    product: Path | None,
    publish: Callable[[], None] | None = None,
    out_dir: Path | None = None,
) -> bool:
    """A job's work is done: row, product, files, cost and event in one transaction. False: the lease was lost.

    Parameters
    ----------
    product
        Where the product stands, or will stand once `publish` has run; None for none.
    publish
        Called once, after the fence matched and while no other attempt can take the job, before the
        commit; what it raises undoes everything and reaches the caller.
    out_dir
        Where the product stands before `publish`: it is then measured before the transaction, not within.

    Asking again after the answer was lost gives True again.
    """
    stands = out_dir if out_dir is not None else product if publish is None else None
    measured = products.measure(stands) if stands is not None and product is not None else None
    arrived = None
    if result.scenes or result.partial:  # of a download: it alone reads products
        from satdaemon.db import arrived as arrivals

        arrived = arrivals.read_arrived(db, result.scenes, result.partial)
    published: list[bool] = []

    def work(session: Session) -> bool:
        job = locked(session, job_id, attempt)
        if job is None:
            return _finished_before(session, job_id, attempt)
        if publish is not None and not published:
            publish()
            published.append(True)
        warnings = [*result.warnings, *_keep(db, session, job, result, usage, product, measured)]
        if arrived is not None:
            arrivals.put_on_disk(session, result.scenes)
            warnings += arrivals.enter_arrived(session, arrived)
        _row_done(session, job, result, warnings)
        session.execute(delete(FailedJob).where(*same_work(FailedJob, job)))
        of_job(session, FINISHED, job, message="; ".join(warnings) or None, usage=usage)
        forget(session, job)
        blame.succeeded(db, session, job)
        learned.learn(db, session, job, usage, 0 if measured is None else measured.bytes)
        return True

    return db.write(work)


def fail(db: Store, job_id: int, attempt: int, failure: Failure, usage: Usage) -> Outcome:
    """A job ended without finishing; the outcome says what becomes of it."""

    def work(session: Session) -> Outcome:
        job = locked(session, job_id, attempt)
        if job is None:
            return Outcome("discarded", reason="another attempt holds the job, or it has ended")
        return blame.end(db, session, job, failure, usage)

    return db.write(work)


@dataclass(frozen=True, slots=True)
class Finish:
    """By which attempt a job was finished."""

    attempt: int
    machine: str | None
    wall_s: float | None
    """Seconds."""


def finish_of(db: Store, job_id: int) -> Finish | None:
    """How a job was finished; None where it was not, or is forgotten by age."""
    columns = (JobEvent.attempt, JobEvent.machine, JobEvent.wall_s)
    with db.read_scope() as session:
        found = session.execute(select(*columns).where(JobEvent.job_id == job_id, JobEvent.event == FINISHED)).first()
    return None if found is None else Finish(found.attempt or 0, found.machine, found.wall_s)


def _finished_before(session: Session, job_id: int, attempt: int) -> bool:
    same = (JobEvent.job_id == job_id, JobEvent.attempt == attempt, JobEvent.event == FINISHED)
    return session.scalar(select(JobEvent.id).where(*same)) is not None


def _row_done(session: Session, job: RunningJob, result: StageResult, warnings: list[str]) -> None:
    kind, stage = RowKind(job.kind), Stage(job.stage)
    status = ProcStatus.DONE_WITH_WARNINGS if warnings else ProcStatus.DONE
    values = {
        "proc_stage": stage_id(kind, stage),
        "reason": "; ".join(warnings) or None,
        "waiting_for": None,
        "stale_from": None,
        "automatic": False,
    }
    if not move(session, kind, job.row_id, status, of_job=True, **values):
        raise RequestError(f"job {job.job_id}: its {kind} row {job.row_id} is not RUNNING; it was changed past the engine")
    bperp_m = result.metrics.get("bperp_m")
    if kind is RowKind.IFG and stage is Stage.SATSAR and isinstance(bperp_m, int | float):
        session.execute(update(Ifg).where(Ifg.id == job.row_id).values(bperp_m=float(bperp_m)))


def _keep(
    db: Store,
    session: Session,
    job: RunningJob,
    result: StageResult,
    usage: Usage,
    product: Path | None,
    measured: products.Measured | None,
) -> list[str]:
    """Enter what the job made; returns warnings of our own."""
    stage = Stage(job.stage)
    warnings: list[str] = []
    if product is not None:
        found = measured or products.measure(product)
        made = products.record(session, job, to_job(job, job.attempt), result, usage, product, found)
        warnings += products.made_in_vain(session, made)
    if stage is Stage.DOWNLOAD and product is not None:
        _orbits(session, product)
    if stage is Stage.INGEST:
        if not activate_of_job(db, session, job.job_id, job.attempt):
            warnings.append("no points were loaded by this job: the points database keeps what it had")
        _initial_done(session, job.frame_id)
        occasions.frame_ingested(session, job.frame_id, result)
    return warnings


def _orbits(session: Session, product: Path) -> None:
    orbit = products.orbit_of(product)
    for text in orbit.get("paths", []):
        path = Path(text)
        words = path.stem.split("_V")
        start, stop = (datetime.strptime(t, "%Y%m%dT%H%M%S").replace(tzinfo=UTC) for t in words[-1].split("_"))
        row = {
            "id": path.stem, "path": str(path), "platform": path.stem[:3], "kind": str(orbit.get("type", "")),
            "start_utc": start, "stop_utc": stop, "last_updated": now_utc(),
        }  # fmt: skip
        upsert(session, Orbit, row, ["id"])


def _initial_done(session: Session, frame_id: str) -> None:
    last = select(func.max(Ifg.date)).where(Ifg.frame_id == frame_id).scalar_subquery()
    first_time = (Frame.id == frame_id, Frame.initial_last_date.is_(None))
    session.execute(update(Frame).where(*first_time).values(initial_last_date=last))
