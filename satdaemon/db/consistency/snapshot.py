"""What the database says of one frame, read at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from satdaemon.db.consistency.report import Place
from satdaemon.db.models import MODEL_OF, Frame, Master, PendingJob, PointsVersion, Product, RunningJob
from satdaemon.db.models.points import ACTIVE
from satdaemon.db.store import Store
from satdaemon.domain import product_key
from satdaemon.status import STAGES_OF, ProcStatus, RowKind, Stage

RowKey = tuple[RowKind, int]


@dataclass(frozen=True, slots=True)
class Row:
    """One row that passes through stages."""

    kind: RowKind
    id: int
    frame_id: str
    date1: date
    date2: date | None
    place: Place
    waiting_for: str | None

    @property
    def row_key(self) -> RowKey:
        """Kind and id."""
        return self.kind, self.id

    def keys(self) -> dict[int, tuple[Stage, str]]:
        """By number of the stage: where its product stands."""
        return {
            number: (stage, product_key(self.kind, stage, self.date1, self.date2))
            for number, stage in enumerate(STAGES_OF[self.kind], start=1)
        }


@dataclass(slots=True)
class Snapshot:
    """A frame's rows, products and live jobs."""

    frame_id: str
    retired: bool
    rows: list[Row]
    records: dict[tuple[Stage, str], Product]
    live: dict[RowKey, str]
    """Rows that a job works on, or that a person holds: why they are left alone."""
    attempts: set[str] = field(default_factory=set)
    """Names of the attempt directories of running jobs."""
    master: date | None = None
    master_by_user: bool = False


def read(db: Store, frame_id: str) -> Snapshot:
    """The frame as the database has it now."""
    with db.read_scope() as session:
        retired = session.get_one(Frame, frame_id).retired_utc is not None
        rows = [row for kind in RowKind for row in rows_of(session, kind, MODEL_OF[kind].frame_id == frame_id)]
        records = session.scalars(select(Product).where(Product.frame_id == frame_id)).all()
        master = session.execute(select(Master.date, Master.chosen_by).where(Master.frame_id == frame_id)).first()
        known = {(Stage(p.stage), p.key): p for p in records}
        live, attempts = live_rows(session, RunningJob.frame_id == frame_id, PendingJob.frame_id == frame_id)
        day, chosen_by = (None, None) if master is None else master
        return Snapshot(frame_id, retired, rows, known, live, attempts, day, chosen_by == "user")


def rows_of(session: Session, kind: RowKind, *conditions: Any) -> list[Row]:
    """Rows of one kind that meet the conditions."""
    model: Any = MODEL_OF[kind]
    days = (model.date1, model.date2) if kind is RowKind.RSAR_IFG else (model.date, None)
    columns = [model.id, model.frame_id, days[0], model.proc_stage, model.proc_status, model.stale_from, model.waiting_for]
    found = session.execute(select(*columns, *(() if days[1] is None else (days[1],))).where(*conditions).order_by(model.id))
    return [
        Row(kind, row[0], row[1], row[2], row[7] if days[1] is not None else None,
            Place(row[3], ProcStatus(row[4]), row[5]), row[6])
        for row in found
    ]  # fmt: skip


def live_rows(session: Session, running: Any, pending: Any) -> tuple[dict[RowKey, str], set[str]]:
    """Rows to leave alone, with why, and the names of the attempts that are under way."""
    live: dict[RowKey, str] = {}
    attempts = set()
    held = select(PendingJob.kind, PendingJob.row_id).where(pending, PendingJob.held)
    for kind, row_id in session.execute(held):
        live[RowKind(kind), row_id] = "its job is held by a person"
    columns = (RunningJob.kind, RunningJob.row_id, RunningJob.job_id, RunningJob.attempt, RunningJob.machine)
    for kind, row_id, job_id, attempt, machine in session.execute(select(*columns).where(running)):
        live[RowKind(kind), row_id] = f"job {job_id} works on it on {machine}"
        attempts.add(f"{job_id}-{attempt}")
    return live, attempts


def shown_points(db: Store, frame_id: str) -> bool:
    """True where the points database shows points of the frame."""
    with db.read_scope() as session:
        shown = (PointsVersion.frame_id == frame_id, PointsVersion.state == ACTIVE)
        return session.scalar(select(PointsVersion.id).where(*shown)) is not None
