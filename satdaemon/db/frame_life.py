"""Frames copied, retired, taken back and deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import delete, func, inspect, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from satdaemon.db.clock import now_utc
from satdaemon.db.daemon import changed
from satdaemon.db.frame_choice import check_frame_id
from satdaemon.db.frame_edit import Redo, redo_from
from satdaemon.db.frames import FrameReport, enter_frame, row_of
from satdaemon.db.guards import check_nothing_runs, drop_orphaned_keys
from satdaemon.db.jobs import cancel
from satdaemon.db.models import FailedJob, Frame, PendingJob, PointsVersion, RunningJob
from satdaemon.db.points.pruning import remove
from satdaemon.db.points.removal import finish, give_up
from satdaemon.db.store import Store
from satdaemon.errors import NeedsConfirmation, RequestError
from satdaemon.status import Stage

_OWN_HISTORY = {
    "id", "track", "orbit_direction", "geometry", "processing", "initial_last_date", "network_due", "files_changed_utc",
    "procdates_utc", "retired_utc", "created_utc", "last_updated",
}  # fmt: skip
"""Columns that a clone does not take over: what the frame is, and what has happened to it."""


@dataclass(frozen=True, slots=True)
class RunningOf:
    """A job that runs, for a person to decide about."""

    job_id: int
    stage: Stage
    machine: str
    progress: float


@dataclass(frozen=True, slots=True)
class Contents:
    """What would go with a frame."""

    pending: int
    failed: int
    products: tuple[Redo, ...]
    points: int
    """Points of all versions."""

    def __str__(self) -> str:
        words = [f"{self.pending} pending and {self.failed} failed jobs"] * bool(self.pending or self.failed)
        words += [f"the record of products: {', '.join(map(str, self.products))}"] * bool(self.products)
        words += [f"{self.points} points"] * bool(self.points)
        return "; ".join(words)


def clone_frame(db: Store, frame_id: str, new_id: str, *, who: str = "clone_frame") -> FrameReport:
    """Make a frame with the bursts and settings of another; off, without dates, until it is filled and switched on."""
    check_frame_id(new_id)
    try:
        with db.session_scope() as session:
            if session.get(Frame, new_id) is not None:
                raise RequestError(f"frame {new_id}: exists already")
            old = row_of(session, frame_id)
            names = [column.key for column in inspect(Frame).columns if column.key not in _OWN_HISTORY]
            return enter_frame(session, new_id, list(old.bursts), who=who, **{name: getattr(old, name) for name in names})
    except IntegrityError as error:
        raise RequestError(f"frame {new_id}: exists already") from error


def running_of(db: Store, frame_id: str) -> list[RunningOf]:
    """The jobs of a frame that run now."""
    with db.read_scope() as session:
        found = session.scalars(select(RunningJob).where(RunningJob.frame_id == frame_id).order_by(RunningJob.job_id))
        return [RunningOf(job.job_id, Stage(job.stage), job.machine, job.progress) for job in found]


def retire_frame(
    db: Store, frame_id: str, *, running: Literal["cancel", "let_end"] | None = None, who: str = "retire_frame"
) -> tuple[int, int]:
    """Take a frame out of service: nothing of it is deleted, nothing more is planned.

    `running` says what becomes of jobs that run: `cancel` or `let_end`; without, NeedsConfirmation lists them.
    Returns how many pending jobs were dropped, and how many running ones there were.
    """
    live = running_of(db, frame_id)
    if live and running is None:
        listed = ", ".join(f"{job.stage} on {job.machine} ({job.progress:.0%})" for job in live[:5])
        what = f"{len(live)} jobs are running: {listed}{' ...' if len(live) > 5 else ''}"
        raise NeedsConfirmation(f"frame {frame_id}: {what}; say whether to cancel them or to let them end", live)

    def work(session: Session) -> int:
        frame = row_of(session, frame_id, lock=True)
        if frame.retired_utc is not None:
            raise RequestError(f"frame {frame_id}: retired already, on {frame.retired_utc:%Y-%m-%d}")
        session.execute(update(Frame).where(Frame.id == frame_id).values(retired_utc=now_utc()))
        changed(session, who=who, what="retired", frame_id=frame_id)
        return session.scalar(select(func.count()).where(PendingJob.frame_id == frame_id)) or 0

    pending = db.write(work)
    cancel(db, frame_id=frame_id, who=who, reason="frame retired", hold=False, running=running == "cancel")
    return pending, len(running_of(db, frame_id))


def restore_frame(db: Store, frame_id: str, *, who: str = "restore_frame") -> bool:
    """Take a retired frame back, with the switches it had; True where it is switched on, so that it goes on at once."""
    with db.session_scope() as session:
        frame = row_of(session, frame_id, lock=True)
        if frame.retired_utc is None:
            raise RequestError(f"frame {frame_id}: expected a retired frame, got one in service")
        frame.retired_utc = None
        changed(session, who=who, what="restored", frame_id=frame_id)
        return frame.processing


def contents_of(db: Store, frame_id: str) -> Contents:
    """What would go with a frame."""
    with db.read_scope() as session:
        row_of(session, frame_id)
        counts = [session.scalar(select(func.count()).where(m.frame_id == frame_id)) or 0 for m in (PendingJob, FailedJob)]
        products = redo_from(session, frame_id, Stage.DOWNLOAD, left_behind=True)
        points = session.scalar(select(func.sum(PointsVersion.points)).where(PointsVersion.frame_id == frame_id)) or 0
    return Contents(counts[0], counts[1], products, int(points))


def delete_frame(db: Store, frame_id: str, *, confirm: bool = False, who: str = "delete_frame") -> Contents:
    """Delete a frame with its dates, pairs, jobs, the record of its products, and its points; returns what went.

    Files on disk stay: zips, and products below the processing path. Refused while a job runs, and, where there
    are jobs, products or points, unless `confirm` (NeedsConfirmation with the contents). To keep all: `retire_frame`.
    """
    contents = contents_of(db, frame_id)
    if str(contents) and not confirm:
        raise NeedsConfirmation(
            f"frame {frame_id}: deleting it loses {contents}. Call again with confirm=True to do so; retiring loses nothing",
            contents,
        )

    def work(session: Session) -> list[int]:
        row_of(session, frame_id, lock=True)
        check_nothing_runs(session, frame_id)
        versions = give_up(db, session, frame_id)
        session.execute(delete(Frame).where(Frame.id == frame_id))
        drop_orphaned_keys(session)
        changed(session, who=who, what=f"deleted{f' with {contents}' if str(contents) else ''}", frame_id=frame_id)
        return versions

    versions = db.write(work)
    remove(db, [*versions, *finish(db)])
    return contents
