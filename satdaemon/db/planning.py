"""The planner: puts right what was lost, works out what is owed, and keeps the queue in step with it."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.orm import Session

from satdaemon.db import network, staleness
from satdaemon.db.clock import now_utc
from satdaemon.db.jobs.rescue import rescue
from satdaemon.db.models import DaemonTools, PendingJob, RunningJob
from satdaemon.db.needs import RANK, STEPS, for_dialect
from satdaemon.db.session import sqlite_path
from satdaemon.db.store import Store

MANY = 5000
"""Jobs queued at once, after which PostgreSQL's statistics are renewed."""
_PLANNER_LOCK = 7_310_002
_NOW = {"postgresql": "statement_timestamp()", "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now')"}
_OWED_TABLE = {
    "postgresql": "CREATE TEMP TABLE IF NOT EXISTS owed (kind text, row_id bigint, stage text, frame_id text,"
    " date1 date, date2 date, priority integer, stage_rank smallint, created_utc timestamptz) ON COMMIT DELETE ROWS",
    "sqlite": "CREATE TEMP TABLE IF NOT EXISTS owed (kind text, row_id integer, stage text, frame_id text,"
    " date1 date, date2 date, priority integer, stage_rank integer, created_utc text, PRIMARY KEY (kind, row_id, stage))",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a plan found and did."""

    added: int
    removed: int
    ready: int
    """Pieces of work whose needs are met and that are not running: the queue as it is now."""
    blocked: int
    running: int
    rescued: int
    wall_s: float


def plan(db: Store, frame_ids: Sequence[str] | None = None) -> Plan:
    """Bring `pending_jobs` in step with what is owed; of `frame_ids` only, where given.

    Lost leases are put back, rows that claim to run without a job are reset, pairs of dates that fell out or
    came back are adjusted, finished series with new inputs become stale. Idempotent, and safe to call from
    several processes at once: the constraints of `job_keys` keep work single, and a grant looks at the row again.
    """
    began = time.perf_counter()
    frames = None if frame_ids is None else sorted(set(frame_ids))
    lost = rescue(db)
    db.write(lambda session: _reconcile(session, frames))
    network.follow_dates(db, frames)
    staleness.mark(db, frames)
    counts = db.write(lambda session: _queue(db, session, frames, began))
    return Plan(rescued=len(lost), wall_s=time.perf_counter() - began, **counts)


@contextmanager
def planner_lock(db: Store) -> Iterator[bool]:
    """Yields True to one holder at a time. Given up by a dead process on its own."""
    if db.on_postgresql:
        with db.engine.connect() as connection:
            got = bool(connection.scalar(text(f"SELECT pg_try_advisory_lock({_PLANNER_LOCK})")))
            connection.commit()
            try:
                yield got
            finally:
                if got:
                    connection.scalar(text(f"SELECT pg_advisory_unlock({_PLANNER_LOCK})"))
                    connection.commit()
        return
    path = sqlite_path(db.engine)
    with path.with_name(path.name + ".planner").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _reconcile(session: Session, frames: list[str] | None) -> None:
    """Rows RUNNING without a live job wait again; live jobs without a row in either table are forgotten."""
    only = "" if frames is None else " AND frame_id IN :frames"
    for table in ("master", "ifg", "rsar_ifg"):
        _run(
            session,
            f"UPDATE {table} SET proc_status = 0, reason = 'was marked running without a job' WHERE proc_status = 1"
            f" AND NOT EXISTS (SELECT 1 FROM running_jobs j WHERE j.kind = '{table}' AND j.row_id = {table}.id){only}",
            frames,
        )
    _run(
        session,
        "DELETE FROM job_keys WHERE NOT EXISTS (SELECT 1 FROM pending_jobs p WHERE p.job_id = job_keys.job_id)"
        " AND NOT EXISTS (SELECT 1 FROM running_jobs j WHERE j.job_id = job_keys.job_id)",
        None,
    )


def _queue(db: Store, session: Session, frames: list[str] | None, began: float) -> dict[str, int]:
    dialect = db.engine.dialect.name
    newest = session.scalar(text("SELECT coalesce(max(job_id), 0) FROM job_keys")) or 0
    counter = session.scalar(select(DaemonTools.change_counter))
    session.execute(text(_OWED_TABLE[dialect]))
    session.execute(text("DELETE FROM owed"))
    blocked = _owe(db, session, frames)
    if db.on_postgresql:
        session.execute(text("ANALYZE owed"))
    removed = _remove(session, frames, newest)
    added = _add(session, db)
    _follow_frames(session, frames)
    scope = () if frames is None else (PendingJob.frame_id.in_(frames),)
    ready = session.scalar(select(func.count()).select_from(PendingJob).where(*scope)) or 0
    scope = () if frames is None else (RunningJob.frame_id.in_(frames),)
    running = session.scalar(select(func.count()).select_from(RunningJob).where(*scope)) or 0
    if frames is None:
        done = {"last_plan_utc": now_utc(), "last_plan_s": time.perf_counter() - began}
        session.execute(update(DaemonTools).values(planned_counter=counter, replan=False, **done))
    return {"added": added, "removed": removed, "ready": ready, "blocked": blocked, "running": running}


def _owe(db: Store, session: Session, frames: list[str] | None) -> int:
    """Fill `owed` with all that is ready; returns how much is switched on and blocked."""
    sources = [(step, step.source(frames is not None)) for step in STEPS]
    wanted = " UNION ALL ".join(f"SELECT 1 {source}" for _, source in sources)
    ready = " UNION ALL ".join(
        f"SELECT '{step.kind.value}', r.id, '{step.stage.value}', r.frame_id, {', '.join(step.dates)}, f.priority,"
        f" {RANK[step.stage]}, f.created_utc {source} AND {step.ready}"
        for step, source in sources
    )
    columns = "kind, row_id, stage, frame_id, date1, date2, priority, stage_rank, created_utc"
    owed = _run(session, for_dialect(f"INSERT INTO owed ({columns}) {ready}", db.on_postgresql), frames, db)
    return _run(session, f"SELECT count(*) FROM ({wanted}) w", frames) - owed


def _remove(session: Session, frames: list[str] | None, newest: int) -> int:
    """Take out of the queue what is not owed any more. Jobs queued since the plan began are not looked at."""
    only = "" if frames is None else " AND pending_jobs.frame_id IN :frames"
    removed = _run(
        session,
        f"DELETE FROM pending_jobs WHERE job_id <= {int(newest)} AND NOT EXISTS (SELECT 1 FROM owed o"
        f" WHERE o.kind = pending_jobs.kind AND o.row_id = pending_jobs.row_id AND o.stage = pending_jobs.stage){only}",
        frames,
    )
    if removed:
        _run(
            session,
            "DELETE FROM job_keys WHERE place = 'pending'"
            " AND NOT EXISTS (SELECT 1 FROM pending_jobs p WHERE p.job_id = job_keys.job_id)",
            None,
        )
    return removed


def _add(session: Session, db: Store) -> int:
    """Queue what is owed and is neither queued nor running."""
    newest = session.scalar(text("SELECT coalesce(max(job_id), 0) FROM job_keys")) or 0
    new = _run(
        session,
        "INSERT INTO job_keys (kind, row_id, stage, place) SELECT o.kind, o.row_id, o.stage, 'pending' FROM owed o"
        " WHERE NOT EXISTS (SELECT 1 FROM job_keys k WHERE k.kind = o.kind AND k.row_id = o.row_id AND k.stage = o.stage)"
        " ORDER BY o.priority DESC, o.stage_rank DESC, o.created_utc, o.frame_id, o.date1, o.date2 ON CONFLICT DO NOTHING",
        None,
    )
    if not new:
        return 0
    now = _NOW[db.engine.dialect.name]
    asked = {stage: db.settings.stage(stage).resources for stage in RANK}
    cases = ", ".join(
        "CASE o.stage "
        + " ".join(f"WHEN '{stage.value}' THEN {float(getattr(r, name))!r}" for stage, r in asked.items())
        + " END"
        for name in ("cpu", "memory_gb", "disk")
    )
    columns = (
        "job_id, place, frame_id, kind, row_id, stage, date1, date2, priority, stage_rank,"
        " cpu, memory_gb, disk, attempt, tries, why, created_utc, not_before, waiting_since, held"
    )
    added = _run(
        session,
        f"INSERT INTO pending_jobs ({columns})"
        " SELECT k.job_id, 'pending', o.frame_id, o.kind, o.row_id, o.stage, o.date1, o.date2, o.priority, o.stage_rank,"
        f" {cases}, 0, 0, 'all it needs is done', {now}, {now}, {now}, 1 = 0"
        " FROM owed o JOIN job_keys k ON k.kind = o.kind AND k.row_id = o.row_id AND k.stage = o.stage"
        f" WHERE k.place = 'pending' AND k.job_id > {int(newest)} ON CONFLICT DO NOTHING",
        None,
    )
    if db.on_postgresql and added > MANY:
        session.execute(text("ANALYZE job_keys, pending_jobs"))
    return added


def _follow_frames(session: Session, frames: list[str] | None) -> None:
    """A frame's new priority reaches the jobs that wait."""
    only = "" if frames is None else " AND pending_jobs.frame_id IN :frames"
    _run(
        session,
        "UPDATE pending_jobs SET priority = (SELECT f.priority FROM frames f WHERE f.id = pending_jobs.frame_id)"
        " WHERE EXISTS (SELECT 1 FROM frames f WHERE f.id = pending_jobs.frame_id AND f.priority <> pending_jobs.priority)"
        + only,
        frames,
    )


def _run(session: Session, sql: str, frames: list[str] | None, db: Store | None = None) -> int:
    """Run a statement; its row count, or the number that it selects."""
    statement = text(sql)
    values: dict[str, object] = {}
    if ":frames" in sql:
        statement = statement.bindparams(bindparam("frames", expanding=True))
        values["frames"] = frames
    if db is not None:
        defaults = {
            "initial_stack": db.settings.network.initial_stack,
            "accept_failed_share": db.settings.timeseries.accept_failed_share,
        }
        values |= {name: value for name, value in defaults.items() if f":{name}" in sql}
    result = session.execute(statement, values)
    return int(result.scalar_one()) if result.returns_rows else int(result.rowcount)  # type: ignore[attr-defined]
