"""What there is, what is owed, and what holds it up: read-only views for people and pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import bindparam, func, select, text
from sqlalchemy.orm import Session

from satdaemon.db import daemon as daemon_row
from satdaemon.db.models import MODEL_OF, FrameRun, PendingJob, RunningJob, stage_of
from satdaemon.db.needs import STEPS, Step, for_dialect
from satdaemon.db.store import Store
from satdaemon.errors import RequestError
from satdaemon.status import STAGES_OF, ProcStatus, RowKind, Stage

daemon = daemon_row.read


@dataclass(slots=True)
class StageCounts:
    """Rows of one kind at one stage."""

    stage: Stage
    kind: RowKind
    waiting: int = 0
    """Not done and not under way: ready, blocked, or switched off."""
    ready: int = 0
    """In the queue."""
    blocked: int = 0
    running: int = 0
    done: int = 0
    warnings: int = 0
    failed: int = 0
    excluded: int = 0
    stale: int = 0

    @property
    def total(self) -> int:
        """All rows of the kind."""
        return self.waiting + self.running + self.done + self.warnings + self.failed + self.excluded + self.stale


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One row of a frame: where it stands, and why."""

    kind: RowKind
    date1: date
    date2: date | None
    stage: Stage
    """The stage that is next where the row waits, else the furthest one tried."""
    status: ProcStatus
    state: str
    """ready, blocked, delayed, held, running, off, done, warnings, failed, excluded, stale."""
    reason: str
    progress: float | None = None
    job_id: int | None = None


@dataclass(frozen=True, slots=True)
class _Next:
    stage: Stage
    off: bool
    blocked_by: str | None


_STATE_OF = {
    ProcStatus.WAITING: "blocked",
    ProcStatus.RUNNING: "running",
    ProcStatus.DONE: "done",
    ProcStatus.DONE_WITH_WARNINGS: "warnings",
    ProcStatus.FAILED: "failed",
    ProcStatus.EXCLUDED: "excluded",
    ProcStatus.STALE: "stale",
}


def summary(db: Store, frame_id: str | None = None) -> list[StageCounts]:
    """Counts by stage, in the order of the chain; of one frame, or of all."""
    found: list[StageCounts] = []
    with db.read_scope() as session:
        for kind in RowKind:
            groups = _groups(session, kind, frame_id)
            for number, stage in enumerate(STAGES_OF[kind], start=1):
                counts = StageCounts(stage, kind)
                for at, status, rows in groups:
                    _count(counts, number, at, ProcStatus(status), rows)
                queued = select(func.count()).where(PendingJob.kind == kind.value, PendingJob.stage == stage.value)
                if frame_id is not None:
                    queued = queued.where(PendingJob.frame_id == frame_id)
                counts.ready = min(session.scalar(queued) or 0, counts.waiting)
                counts.blocked = counts.waiting - counts.ready
                found.append(counts)
    chain = list(Stage)
    return sorted(found, key=lambda c: (chain.index(c.stage), list(RowKind).index(c.kind)))


def frame_report(db: Store, frame_id: str) -> list[ReportRow]:
    """Every row of a frame with its state, and the reason where it does not go on: master, dates, then pairs."""
    with db.read_scope() as session:
        pending = {(j.kind, j.row_id): j for j in session.scalars(select(PendingJob).where(PendingJob.frame_id == frame_id))}
        running = {(j.kind, j.row_id): j for j in session.scalars(select(RunningJob).where(RunningJob.frame_id == frame_id))}
        upcoming: dict[tuple[str, int], _Next] = {}
        for step in STEPS:
            upcoming |= _upcoming(db, session, step, frame_id)
        claimed = session.scalar(select(FrameRun.frame_id).where(FrameRun.frame_id == frame_id)) is not None
        rows: list[ReportRow] = []
        for kind in RowKind:
            model = MODEL_OF[kind]
            row: Any
            for row in session.scalars(select(model).where(model.frame_id == frame_id)):
                key = (kind.value, row.id)
                rows.append(_row(kind, row, upcoming.get(key), pending.get(key), running.get(key), claimed))
    if not rows and not _exists(db, frame_id):
        raise RequestError(f"frame {frame_id!r}: expected a frame of the database, found none")
    return sorted(rows, key=lambda r: (list(RowKind).index(r.kind), r.date1, r.date2 or r.date1))


def blocked(db: Store, frame_id: str) -> list[ReportRow]:
    """The rows of a frame that do not go on by themselves now, with the reason."""
    return [row for row in frame_report(db, frame_id) if row.state in ("blocked", "delayed", "held", "failed", "excluded", "off")]


def _row(
    kind: RowKind, row: Any, upcoming: _Next | None, pending: PendingJob | None, running: RunningJob | None, claimed: bool
) -> ReportRow:
    status = ProcStatus(row.proc_status)
    stage = stage_of(kind, row.proc_stage)
    first = row.date1 if kind is RowKind.RSAR_IFG else row.date
    second = row.date2 if kind is RowKind.RSAR_IFG else None
    state, reason = _STATE_OF[status], str(row.reason or "")
    if running is not None:
        began = "" if running.started_utc is not None else ", not begun yet"
        state, reason = "running", f"on {running.machine}{began}" + (f": {running.message}" if running.message else "")
    elif pending is not None:
        stage = Stage(pending.stage)
        state, reason = _queued(pending, claimed)
    elif upcoming is not None:
        stage = upcoming.stage
        if upcoming.off:
            state, reason = "off", f"{stage} is switched off for the frame, or the date is out of its range"
        elif upcoming.blocked_by is not None:
            state, reason = "blocked", f"waits for {upcoming.blocked_by}"
        else:
            state, reason = "ready", "the next plan queues it"
    return ReportRow(
        kind, first, second, stage, status, state, reason,
        running.progress if running is not None else None,
        running.job_id if running is not None else pending.job_id if pending is not None else None,
    )  # fmt: skip


def _queued(job: PendingJob, claimed: bool) -> tuple[str, str]:
    if job.held:
        return "held", str(job.reason)
    if job.not_before > job.waiting_since or job.reason:
        return "delayed", f"{job.reason}; again after {job.not_before:%Y-%m-%d %H:%M:%S} UTC"
    return "ready", "waits for a machine" if claimed else "waits for a flow run of the frame"


def _upcoming(db: Store, session: Session, step: Step, frame_id: str) -> dict[tuple[str, int], _Next]:
    sql = (
        f"SELECT r.id, CASE WHEN {step.switched_on} THEN 0 ELSE 1 END, {step.blocked_by} FROM ({step.rows(True)}) r"
        " JOIN frames f ON f.id = r.frame_id LEFT JOIN master m ON m.frame_id = r.frame_id"
    )
    defaults = {
        "initial_stack": db.settings.network.initial_stack,
        "accept_failed_share": db.settings.timeseries.accept_failed_share,
    }
    values = {"frames": [frame_id], **{name: value for name, value in defaults.items() if f":{name}" in sql}}
    statement = text(for_dialect(sql, db.on_postgresql)).bindparams(bindparam("frames", expanding=True))
    return {(step.kind.value, row): _Next(step.stage, bool(off), why) for row, off, why in session.execute(statement, values)}


def _groups(session: Session, kind: RowKind, frame_id: str | None) -> Iterable[tuple[int, int, int]]:
    model = MODEL_OF[kind]
    statement = select(model.proc_stage, model.proc_status, func.count()).group_by(model.proc_stage, model.proc_status)
    if frame_id is not None:
        statement = statement.where(model.frame_id == frame_id)
    return [(a, b, c) for a, b, c in session.execute(statement)]


def _count(counts: StageCounts, number: int, at: int, status: ProcStatus, rows: int) -> None:
    """Add rows whose furthest stage tried is `at`."""
    if at > number or (at == number and status is ProcStatus.DONE):
        counts.done += rows
    elif status is ProcStatus.EXCLUDED:
        counts.excluded += rows
    elif at < number or status is ProcStatus.WAITING:
        counts.waiting += rows
    elif status is ProcStatus.RUNNING:
        counts.running += rows
    elif status is ProcStatus.DONE_WITH_WARNINGS:
        counts.warnings += rows
    elif status is ProcStatus.FAILED:
        counts.failed += rows
    else:
        counts.stale += rows


def _exists(db: Store, frame_id: str) -> bool:
    with db.read_scope() as session:
        return session.scalar(text("SELECT 1 FROM frames WHERE id = :id"), {"id": frame_id}) is not None


__all__ = ["ReportRow", "StageCounts", "blocked", "daemon", "frame_report", "summary"]
