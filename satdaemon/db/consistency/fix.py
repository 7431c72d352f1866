"""Doing what a check would change: in one transaction, after a dump of every row that it touches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from satdaemon.db.consistency import points
from satdaemon.db.consistency.dump import Dump
from satdaemon.db.consistency.evidence import move_by_evidence
from satdaemon.db.consistency.report import FileChange, ProductChange, Report, RowChange
from satdaemon.db.consistency.snapshot import RowKey, live_rows, rows_of
from satdaemon.db.daemon import changed
from satdaemon.db.files.rows import note_frames
from satdaemon.db.guards import drop_orphaned_keys
from satdaemon.db.models import MODEL_OF, FailedJob, File, Frame, Ifg, JudgedFrame, PendingJob, Product, RunningJob
from satdaemon.db.store import Store
from satdaemon.status import STAGES_OF, ProcStatus, RowKind

MANY = 500
FOLDER = "consistency"
"""Below log_path: where the dumps are kept."""


@dataclass(slots=True)
class Fixed:
    """What a fix did."""

    dump: Path | None = None
    rows: int = 0
    records: int = 0
    files: int = 0
    points: int = 0
    skipped: list[str] = field(default_factory=list)
    """Rows that changed, or that a job took, since they were checked: left alone."""


def fix(db: Store, report: Report, *, who: str, dump: Path | None = None) -> Fixed:
    """Make the database as the report says, all or nothing.

    Rows that moved since the check, or that a job works on now, are left alone and named. Files are never touched.
    `dump`: where to keep the rows as they were; default: a new file below log_path. Nothing is written where nothing
    is to be changed.
    """
    if not report.changes:
        return Fixed()
    path = dump or db.settings.parameters.log_path / FOLDER / f"{datetime.now(UTC):%Y%m%dT%H%M%S_%f}.json"
    loaded = points.load(db, report.points)
    fixed = db.write(lambda session: _fix(db, session, report, loaded, who, path))
    points.show_elsewhere(db, [p for p in loaded if p.change.frame_id in fixed.shown])
    return fixed.told


@dataclass(slots=True)
class _Done:
    told: Fixed
    shown: set[str]


def _fix(db: Store, session: Session, report: Report, loaded: list[points.Loaded], who: str, path: Path) -> _Done:
    kept = Dump(who, db.engine.url.render_as_string(hide_password=True))
    left = _left_alone(session, report)
    rows = [c for c in report.rows if (c.kind, c.row_id) not in left]
    records = [c for c in report.records if c.row is None or c.row not in left]
    ids = {kind: [c.row_id for c in rows if c.kind is kind] for kind in RowKind}
    for kind, numbers in ids.items():
        kept.keep(session, MODEL_OF[kind], numbers)
    _drop_jobs(session, kept, rows)
    session.flush()
    move_by_evidence(session, rows, who)
    records_done = _records(session, kept, records)
    files_done = _files(session, kept, report.files)
    ingested = [c for c in rows if c.is_forward and c.after.stage == len(STAGES_OF[RowKind.MASTER])]
    _initial_done(session, kept, [c.frame_id for c in ingested])
    shown = {p.change.frame_id for p in loaded if p.change.row not in left}
    points.show_here(db, session, [p for p in loaded if p.change.frame_id in shown])
    for kind, numbers in ids.items():
        kept.keep(session, MODEL_OF[kind], numbers, after=True)
    what = f"check-consistency: {len(rows)} rows, {records_done} products, {files_done} files put right; undo: {path}"
    changed(session, who=who, what=what)
    session.flush()
    kept.write(path)
    told = Fixed(path, len(rows), records_done, files_done, len(shown), sorted(left.values()))
    return _Done(told, shown)


def _left_alone(session: Session, report: Report) -> dict[RowKey, str]:
    """Lock the rows to be changed; those that are not any more as the check saw them, with why."""
    wanted = {(c.kind, c.row_id): c for c in report.rows}
    others = {c.row for c in report.records if c.row is not None} | {c.row for c in report.points}
    left: dict[RowKey, str] = {}
    for kind in RowKind:
        numbers = sorted(n for k, n in {*wanted, *others} if k is kind)
        for some in _pieces(numbers):
            model: Any = MODEL_OF[kind]
            # The queue first, as a grant does it; then the rows.
            queued = (PendingJob.kind == kind.value, PendingJob.row_id.in_(some))
            session.execute(select(PendingJob.job_id).where(*queued).order_by(PendingJob.job_id).with_for_update())
            session.execute(select(model.id).where(model.id.in_(some)).order_by(model.id).with_for_update())
            now = {row.id: row for row in rows_of(session, kind, model.id.in_(some))}
            live, _ = live_rows(session, (RunningJob.kind == kind.value) & RunningJob.row_id.in_(some), queued[0] & queued[1])
            for number in some:
                change, row = wanted.get((kind, number)), now.get(number)
                if row is None:
                    left[kind, number] = f"{kind} row {number}: it is gone"
                elif (kind, number) in live:
                    left[kind, number] = f"{_name(row)}: {live[kind, number]}"
                elif change is not None and row.place != change.before:
                    left[kind, number] = f"{_name(row)}: it moved to {row.place.words(kind)} since it was checked"
    return left


def _name(row: Any) -> str:
    return f"{row.frame_id} {row.kind} {row.date1:%Y%m%d}" + (f"_{row.date2:%Y%m%d}" if row.date2 else "")


def _drop_jobs(session: Session, kept: Dump, rows: list[RowChange]) -> None:
    """Jobs that wait for what is done, or that failed at it. The next plan queues what is owed."""
    for kind in RowKind:
        for some in _pieces([c.row_id for c in rows if c.kind is kind]):
            for model in (PendingJob, FailedJob):
                mine = (model.kind == kind.value, model.row_id.in_(some))
                kept.keep(session, model, list(session.scalars(select(model.job_id).where(*mine))))
                session.execute(delete(model).where(*mine))
    session.flush()
    drop_orphaned_keys(session)


def _records(session: Session, kept: Dump, records: list[ProductChange]) -> int:
    columns = select(Product.frame_id, Product.stage, Product.key, Product.id)
    present = {
        (row[0], row[1], row[2]): row[3]
        for some in _pieces(sorted({c.frame_id for c in records}))
        for row in session.execute(columns.where(Product.frame_id.in_(some)))
    }
    due = [c for c in records if present.get((c.frame_id, c.stage.value, c.key)) == c.old_id]
    kept.keep(session, Product, [c.old_id for c in due if c.old_id is not None])
    gone = [c.old_id for c in due if c.old_id is not None and not c.keep]
    for some in _pieces(gone):
        session.execute(delete(Product).where(Product.id.in_(some)))
    for change in due:
        if change.keep and change.new is not None:
            session.execute(update(Product).where(Product.id == change.old_id).values(**change.new))
    look_again(session, {c.frame_id for c in due})
    new = [{"orbit": None, "restituted": False, **c.new} for c in due if c.new is not None and not c.keep]
    numbers: list[int] = []
    for rows in _pieces(new):
        numbers += session.scalars(insert(Product).returning(Product.id, sort_by_parameter_order=True), rows)
    kept.keep(session, Product, [*numbers, *(c.old_id for c in due if c.keep)], after=True)
    return len(due)


def look_again(session: Session, frames: Iterable[str]) -> None:
    """What was found up to date with other products than these is judged anew by the next plan."""
    for some in _pieces(sorted(frames)):
        session.execute(delete(JudgedFrame).where(JudgedFrame.frame_id.in_(some)))


def _files(session: Session, kept: Dump, files: list[FileChange]) -> int:
    kept.keep(session, File, [c.file_id for c in files])
    done: list[str] = []
    for change in files:
        same = (File.id == change.file_id, File.state == change.before)
        values = {"state": change.after, "reason": change.reason}
        done += session.scalars(update(File).where(*same).values(**values).returning(File.id)).all()
    note_frames(session, done)
    kept.keep(session, File, [c.file_id for c in files], after=True)
    return len(done)


def _initial_done(session: Session, kept: Dump, frames: list[str]) -> None:
    """A frame whose points are made has its initial processing behind it."""
    kept.keep(session, Frame, frames)
    for frame_id in frames:
        last = select(func.max(Ifg.date)).where(Ifg.frame_id == frame_id, Ifg.proc_status != int(ProcStatus.EXCLUDED))
        first_time = (Frame.id == frame_id, Frame.initial_last_date.is_(None))
        session.execute(update(Frame).where(*first_time).values(initial_last_date=last.scalar_subquery()))
    kept.keep(session, Frame, frames, after=True)


def _pieces(numbers: Iterable[Any]) -> Iterable[list[Any]]:
    found = list(numbers)
    return (found[start : start + MANY] for start in range(0, len(found), MANY))
