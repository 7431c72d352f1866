"""The grant pass: pending jobs meet machines, in priority order, by best fit, one pass at a time.

What is free is counted from running_jobs and machines in the same transaction that moves the jobs, so that
no set of callers can give a machine more than it has. Which job goes where is worked out in packing.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import and_, delete, or_, select, text, update
from sqlalchemy.orm import Session

from satdaemon.db import learned
from satdaemon.db.arrays import among, array
from satdaemon.db.clock import now_sql, now_utc
from satdaemon.db.events import of_job
from satdaemon.db.jobs.blame import machines_of
from satdaemon.db.jobs.budgets import Draws, Volume, budgets, volumes
from satdaemon.db.jobs.candidates import Candidate, Running, any_candidate, candidates, name_archives, running, shelves
from satdaemon.db.jobs.packing import Ask, Packing, pack
from satdaemon.db.jobs.queue import to_job
from satdaemon.db.jobs.rescue import is_lost, rescue
from satdaemon.db.jobs.reservation import Need
from satdaemon.db.models import MODEL_OF, DaemonTools, JobKey, PendingJob, RunningJob, stage_id
from satdaemon.db.models.jobs import RUNNING, SCHEDULED
from satdaemon.db.rows import sources
from satdaemon.db.store import Store
from satdaemon.domain import Job
from satdaemon.status import ProcStatus, RowKind, Stage

_GRANT_LOCK = 7_310_003
_PASSED = 100
"""Jobs that one pass writes down as passed over."""
_WORK = (
    "job_id", "frame_id", "kind", "row_id", "stage", "date1", "date2", "priority", "stage_rank", "cpu", "memory_gb",
    "disk", "space_gb", "predicted_s", "size_class", "archive", "tries", "why", "failed_on", "created_utc",
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


def grant_pass(db: Store, *, unless_within_s: float = 0.0) -> list[Grant]:
    """Give machines to pending jobs of claimed frames. Empty where another pass is under way, or nothing fits.

    Leases that were lost are put back first. `unless_within_s`: do nothing where somebody else's pass is not older.
    """
    with db.read_scope() as session:
        if unless_within_s > 0.0 and _is_recent(session, unless_within_s):
            return []
        has_lost, is_wanted = bool(session.scalar(select(is_lost(db)))), any_candidate(db, session)
    if has_lost:
        rescue(db)
    elif not is_wanted:
        return []
    volume_of = volumes(db.settings)
    return db.write(lambda session: _pass(db, session, volume_of))


def _is_recent(session: Session, seconds: float) -> bool:
    return session.scalar(select(DaemonTools.id).where(DaemonTools.last_grants_utc > now_utc(-seconds))) is not None


def _pass(db: Store, session: Session, volume_of: Mapping[Stage, Volume]) -> list[Grant]:
    if db.on_postgresql and not session.scalar(text(f"SELECT pg_try_advisory_xact_lock({_GRANT_LOCK})")):
        return []
    if session.scalar(select(DaemonTools.command)) != SCHEDULED:
        return []
    live = running(session)
    found = candidates(db, session)
    common = budgets(db.settings, volume_of, live)
    packed = pack(
        _asks(db, session, found, Draws(common, volume_of)),
        shelves(db, session, live),
        reserve_after_s=db.settings.parameters.reserve_after_s,
        budgets=common,
        holds=_holds(live),
    )
    _explain(db, session, found, packed)
    granted = _give(session, dict(packed.given))
    session.execute(update(DaemonTools).values(last_grants_utc=now_utc()))
    return granted


def _asks(db: Store, session: Session, found: list[Candidate], draws: Draws) -> list[Ask]:
    download = db.settings.download
    archives = name_archives(db, session, found) if download.sessions or download.is_far else {}
    return [
        Ask(
            c.job_id, (c.cpu, c.memory_gb, c.disk), c.priority, c.frame_id, c.stage_rank, c.passed_s, c.predicted_s,
            draws.of(c.stage, c.space_gb, archives.get(c.job_id)), frozenset(machines_of(c.failed_on)),
        )
        for c in found
    ]  # fmt: skip


def _holds(live: Iterable[Running]) -> dict[str, Need]:
    """What each frame holds on all machines together."""
    found: dict[str, Need] = {}
    for job in live:
        cpu, memory_gb, disk = found.get(job.frame_id, (0.0, 0.0, 0.0))
        found[job.frame_id] = (cpu + job.need[0], memory_gb + job.need[1], disk + job.need[2])
    return found


def _explain(db: Store, session: Session, found: list[Candidate], packed: Packing) -> None:
    """Write down why jobs wait, and take it back where that has passed; and who was passed over."""
    jobs_of: dict[tuple[str | None, bool], list[int]] = {}
    given = {job_id for job_id, _ in packed.given}
    for c in found:
        stuck, waits = packed.stuck.get(c.job_id), packed.waits.get(c.job_id)
        is_as_it_was = (stuck or waits) == c.waits_for and (stuck is not None) == c.no_machine
        if not is_as_it_was and c.job_id not in given:
            jobs_of.setdefault((stuck or waits, stuck is not None), []).append(c.job_id)
    chosen = among(db.on_postgresql, "job_id", "jobs")
    for (why, is_stuck), job_ids in jobs_of.items():
        sql = f"UPDATE pending_jobs SET waits_for = :why, no_machine = :stuck WHERE {chosen}"
        session.execute(text(sql), {"why": why, "stuck": is_stuck, "jobs": array(db.on_postgresql, job_ids)})
    if packed.passed:
        sql = f"UPDATE pending_jobs SET passed_over_utc = {now_sql(db.on_postgresql)} WHERE {chosen}"
        session.execute(text(sql), {"jobs": array(db.on_postgresql, packed.passed[:_PASSED])})


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
    predicted_s = learned.predicted_s(session, jobs.values(), machine_of)
    given: list[RunningJob] = []
    for job_id, machine in machine_of.items():
        job = jobs.get(job_id)
        if job is None:
            continue
        if job_id not in wanted:
            of_job(session, "unwanted", job, message="its row went another way since it was queued")
            continue
        work = {name: getattr(job, name) for name in _WORK}
        work["predicted_s"] = predicted_s.get(job_id, job.predicted_s)
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
