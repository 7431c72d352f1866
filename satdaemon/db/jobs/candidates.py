"""What a grant pass looks at: the first pending jobs of every claimed frame, what runs, and the machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import case, func, select, text
from sqlalchemy.orm import Session

from satdaemon.archive.names import LOCAL, archive_of
from satdaemon.db.arrays import among, array
from satdaemon.db.clock import ago_sql, now_sql, seconds_since, since_sql
from satdaemon.db.jobs.reservation import Need, Shelf
from satdaemon.db.machines import ENABLED, is_heard_of
from satdaemon.db.models import Machine, RunningJob
from satdaemon.db.models.catalogue import ON_DISK
from satdaemon.db.store import Store
from satdaemon.status import Stage

MOST = 5000
"""Pending jobs that one pass looks at."""
_COLUMNS = (
    "q.job_id, q.frame_id, q.stage, q.priority, q.stage_rank, q.cpu, q.memory_gb, q.disk, q.space_gb, q.predicted_s, q.archive,"
    " q.waits_for, q.no_machine, q.failed_on"
)


class Candidate(NamedTuple):
    """A pending job that could be granted. One of thousands in a pass: a bare tuple."""

    job_id: int
    frame_id: str
    stage: str
    priority: int
    stage_rank: int
    cpu: float
    memory_gb: float
    disk: float
    space_gb: float
    predicted_s: float | None
    archive: str | None
    waits_for: str | None
    no_machine: bool
    failed_on: str | None
    passed_s: float | None


@dataclass(frozen=True, slots=True)
class Running:
    """What a running job holds."""

    machine: str
    frame_id: str
    stage: str
    archive: str | None
    need: Need
    unwritten_gb: float
    """What it is predicted to write yet."""
    left_s: float | None
    """Until it is predicted to end."""


def candidates(db: Store, session: Session, limit: int = MOST) -> list[Candidate]:
    """Pending jobs of claimed frames, of each the first that its flow run attends to; by priority, then by stage."""
    sql, values = _statement(db)
    rows = session.execute(text(f"{sql} ORDER BY priority DESC, stage_rank DESC, job_id LIMIT {limit:d}"), values).all()
    return [Candidate._make(row) for row in rows]


def any_candidate(db: Store, session: Session) -> bool:
    """True where a pass would have something to look at."""
    sql, values = _statement(db)
    return session.execute(text(f"SELECT 1 FROM ({sql}) c LIMIT 1"), values).first() is not None


def _statement(db: Store) -> tuple[str, dict[str, Any]]:
    parameters = db.settings.parameters
    now = now_sql(db.on_postgresql)
    first = (
        f"FROM pending_jobs q WHERE q.frame_id = r.frame_id AND NOT q.held AND q.not_before <= {now}"
        " ORDER BY q.stage_rank DESC, q.job_id LIMIT :window"
    )
    columns = f"{_COLUMNS}, {since_sql(db.on_postgresql, 'q.passed_over_utc')}"
    where = f"r.heartbeat_utc >= {ago_sql(db.on_postgresql, parameters.lease_s)}"
    if db.on_postgresql:
        sql = f"SELECT p.* FROM frame_runs r CROSS JOIN LATERAL (SELECT {columns} {first}) p WHERE {where}"
    else:
        join = f"q.job_id IN (SELECT q.job_id {first})"
        sql = f"SELECT {columns} FROM frame_runs r JOIN pending_jobs q ON {join} WHERE {where}"
    return sql, {"window": parameters.frame_concurrency}


def running(session: Session) -> list[Running]:
    """All running jobs."""
    since = func.coalesce(RunningJob.started_utc, RunningJob.granted_utc)
    rows = session.execute(
        select(
            RunningJob.machine, RunningJob.frame_id, RunningJob.stage, RunningJob.archive, RunningJob.cpu, RunningJob.memory_gb,
            RunningJob.disk, RunningJob.space_gb, RunningJob.progress, RunningJob.predicted_s, seconds_since(since),
        )
    )  # fmt: skip
    return [
        Running(
            machine, frame, stage, archive, (cpu, memory_gb, disk), space_gb * (1.0 - (progress or 0.0)),
            None if predicted_s is None else max(predicted_s - float(age_s), 0.0),
        )
        for machine, frame, stage, archive, cpu, memory_gb, disk, space_gb, progress, predicted_s, age_s in rows
    ]  # fmt: skip


def shelves(db: Store, session: Session, live: list[Running]) -> list[Shelf]:
    """Machines with what is free on them. One that used to be heard of, and is not now, takes nothing."""
    found: dict[str, Shelf] = {}
    for machine, alive in session.execute(select(Machine, case((is_heard_of(db), 1), else_=0)).order_by(Machine.name)):
        size = (machine.cpu, machine.memory_gb, machine.disk)
        closed = machine.state if machine.state != ENABLED else "" if alive else "not heard of"
        found[machine.name] = Shelf(machine.name, size, list(size), closed)
    for job in live:
        if job.machine in found:
            found[job.machine].take(job.need, job.left_s)
    return list(found.values())


def name_archives(db: Store, session: Session, found: list[Candidate]) -> dict[int, str]:
    """The archive of each download: the preferred one of its products; kept with the job once looked up.

    A product that is on disk already needs no session.
    """
    downloads = [c for c in found if c.stage == Stage.DOWNLOAD]
    known = {c.job_id: c.archive for c in downloads if c.archive is not None}
    missing = [c.job_id for c in downloads if c.archive is None]
    if missing:
        new = dict.fromkeys(missing, LOCAL) | _preferred(db, session, missing)
        for name in set(new.values()):
            write = f"UPDATE pending_jobs SET archive = :name WHERE {among(db.on_postgresql, 'job_id', 'jobs')}"
            mine = [job_id for job_id, archive in new.items() if archive == name]
            session.execute(text(write), {"name": name, "jobs": array(db.on_postgresql, mine)})
        known |= new
    return known


def _preferred(db: Store, session: Session, job_ids: list[int]) -> dict[int, str]:
    """Of each job the first archive that is none of our disks: by the order of the configuration, else by the address."""
    sql = (
        "SELECT p.job_id, f.id, f.url, s.archive FROM pending_jobs p"
        " JOIN frames2files l ON l.frame_id = p.frame_id AND l.date = p.date1 JOIN files f ON f.id = l.file_id"
        f" LEFT JOIN file_sources s ON s.file_id = f.id WHERE {among(db.on_postgresql, 'p.job_id', 'jobs')}"
        " AND f.state <> :there AND f.url IS NOT NULL AND coalesce(l.valid, 1) = 1 ORDER BY p.job_id, f.id"
    )
    hosts = db.settings.archives.hosts
    ranks = {name: rank for rank, name in enumerate(db.settings.download.order)}
    by_file: dict[tuple[int, str], str] = {}
    for job_id, file_id, url, archive in session.execute(text(sql), {"jobs": array(db.on_postgresql, job_ids), "there": ON_DISK}):
        best = by_file.get((job_id, file_id))
        one = archive if archive in ranks else archive_of(url, hosts)
        if best is None or ranks.get(one, len(ranks)) < ranks.get(best, len(ranks)):
            by_file[job_id, file_id] = one
    chosen: dict[int, str] = {}
    for (job_id, _), one in by_file.items():
        if one != LOCAL:
            chosen.setdefault(job_id, one)
    return chosen
