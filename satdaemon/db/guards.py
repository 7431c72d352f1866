"""What the facade refuses: writes past the job engine, illegal moves, deletes under a running job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, exists, select
from sqlalchemy.orm import Session

from satdaemon.db.models import (
    AuditEntry,
    Base,
    DaemonTools,
    File,
    Frame,
    FrameRun,
    IfgProcStage,
    JobEvent,
    JobKey,
    Machine,
    MasterProcStage,
    PendingJob,
    PointsVersion,
    RsarIfgProcStage,
    RunningJob,
    StageRow,
    frames2files,
)
from satdaemon.errors import RequestError
from satdaemon.status import ProcStatus, is_legal_move

_JOBS = (JobKey, PendingJob, RunningJob)
_FENCE = {"job_id", "place", "kind", "row_id", "stage", "attempt"}
_KEPT: dict[type[Base], str] = {
    JobEvent: "what happened is not removed but by age (history_days)",
    AuditEntry: "what was done is not removed but by age (history_days)",
    RunningJob: "a lost job is put back by the next plan by itself; to stop one use jobs.cancel",
    JobKey: "a lost job is put back by the next plan by itself; to stop one use jobs.cancel",
    DaemonTools: "the daemon has exactly one row",
    MasterProcStage: "the stages belong to the program",
    IfgProcStage: "the stages belong to the program",
    RsarIfgProcStage: "the stages belong to the program",
    PointsVersion: "its points would stay without it; use satdaemon.db.points.prune",
}
"""Rows that nobody deletes, and why."""


def check_insert(obj: Base) -> None:
    """Jobs and events are written by satdaemon.db.jobs alone."""
    if isinstance(obj, (*_JOBS, JobEvent)):
        raise RequestError(f"insert of {obj!r}: jobs and events are made by the planner and the job engine only")
    if isinstance(obj, StageRow) and obj.proc_status == ProcStatus.RUNNING:
        raise RequestError(f"insert of {obj!r}: expected a status other than RUNNING, which only a granted job has")


def check_update(session: Session, model: type[Base], values: Mapping[str, Any], where: Sequence[ColumnElement[bool]]) -> None:
    """Refuse changes of a job's identity, of the past, and illegal moves of proc_status."""
    if model in (JobEvent, AuditEntry):
        raise RequestError(f"update of {model.__tablename__}: what happened is not changed")
    if model in _JOBS and (touched := sorted(_FENCE & set(values))):
        raise RequestError(f"update of {model.__name__}: {', '.join(touched)} are the engine's; use satdaemon.db.jobs")
    if issubclass(model, StageRow):
        if fixed := sorted({"id", "frame_id"} & set(values)):
            raise RequestError(f"update of {model.__name__}: {', '.join(fixed)}: jobs and products know a row by it; it stays")
        if {"proc_status", "proc_stage"} & set(values):
            _check_moves(session, model, values, where)


def _check_moves(session: Session, model: Any, values: Mapping[str, Any], where: Sequence[ColumnElement[bool]]) -> None:
    # Locked first: a grant that is under way ends before its job is looked for, one that comes later waits.
    session.execute(select(model.id).where(*where).with_for_update())
    running = _running_of_rows(model, where)
    if session.scalar(select(running.exists())):
        raise RequestError(f"update of {model.__name__}: a running job holds such a row; cancel it first")
    if "proc_status" not in values:
        return
    new = _status(model, values["proc_status"])
    for old in session.scalars(select(model.proc_status).where(*where).distinct()):
        known = ProcStatus(old)
        if new is ProcStatus.RUNNING or (new is not known and not is_legal_move(known, new)):
            raise RequestError(
                f"update of {model.__name__}: expected a legal move of proc_status, got {known.name} -> {new.name}; "
                "docs/states.md lists them, and only a granted job makes a row RUNNING"
            )


def _status(model: type[Base], value: Any) -> ProcStatus:
    try:
        return ProcStatus(value)
    except (ValueError, TypeError) as error:
        codes = ", ".join(f"{status.value} {status.name}" for status in ProcStatus)
        raise RequestError(f"{model.__name__}.proc_status: expected one of {codes}, got {value!r}") from error


def check_delete(session: Session, model: type[Base], where: Sequence[ColumnElement[bool]]) -> None:
    """Refuse a delete that would take the ground from under a running job, or that rewrites the past."""
    if model in _KEPT:
        raise RequestError(f"delete of {model.__name__}: {_KEPT[model]}")
    below = _running_below(model, where)
    for job in () if below is None else session.scalars(below.limit(1)):
        raise RequestError(
            f"delete of {model.__name__}: running job {job.job_id} ({job.stage} {job.frame_id}) needs it; cancel it first"
        )


def _running_below(model: Any, where: Sequence[ColumnElement[bool]]) -> Any:
    if issubclass(model, StageRow):
        return _running_of_rows(model, where)
    if model is Frame or model is FrameRun:
        key = Frame.id if model is Frame else FrameRun.frame_id
        return select(RunningJob).where(RunningJob.frame_id.in_(select(key).where(*where)))
    if model is Machine:
        return select(RunningJob).where(RunningJob.machine.in_(select(Machine.name).where(*where)))
    if model is File:
        frames = select(frames2files.c.frame_id).where(frames2files.c.file_id.in_(select(File.id).where(*where)))
        return select(RunningJob).where(RunningJob.frame_id.in_(frames), RunningJob.stage.in_(("download", "slc")))
    return None


def _running_of_rows(model: Any, where: Sequence[ColumnElement[bool]]) -> Select[Any]:
    rows = select(model.id).where(*where)
    return select(RunningJob).where(RunningJob.kind == model.kind.value, RunningJob.row_id.in_(rows))


def check_nothing_runs(session: Session, frame_id: str) -> None:
    """RequestError where jobs of the frame are running."""
    running = session.scalars(select(RunningJob.job_id).where(RunningJob.frame_id == frame_id)).all()
    if running:
        raise RequestError(f"frame {frame_id}: expected no running jobs, got {len(running)}; cancel them or let them end")


def drop_orphaned_keys(session: Session) -> None:
    """Forget live jobs whose row in pending or running went away with a row that was deleted."""
    session.execute(
        delete(JobKey).where(
            ~exists().where(PendingJob.job_id == JobKey.job_id), ~exists().where(RunningJob.job_id == JobKey.job_id)
        )
    )
