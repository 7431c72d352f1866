"""Putting back what a fix changed, by its dump."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from satdaemon.db import events
from satdaemon.db.consistency.dump import read_dump
from satdaemon.db.consistency.fix import look_again
from satdaemon.db.consistency.report import Place
from satdaemon.db.consistency.snapshot import RowKey, live_rows, rows_of
from satdaemon.db.daemon import changed
from satdaemon.db.files.rows import note_frames
from satdaemon.db.guards import drop_orphaned_keys
from satdaemon.db.models import MODEL_OF, FailedJob, File, Frame, PendingJob, Product, RunningJob, stage_of
from satdaemon.db.store import Store
from satdaemon.status import ProcStatus, RowKind

UNDONE = "undone"
_ROW = ("proc_stage", "proc_status", "stale_from", "reason", "automatic", "waiting_for", "bperp_m")
_Rows = list[dict[str, Any]]


@dataclass(slots=True)
class Undone:
    """What was put back."""

    rows: int = 0
    records: int = 0
    files: int = 0
    left: list[str] = field(default_factory=list)
    """What has changed since the fix, and was left as it is."""


def undo(db: Store, dump: Path, *, who: str) -> Undone:
    """Put the rows back as they were before the fix that wrote `dump`, in one transaction.

    Rows that have changed since, or that a job works on, stay with their products and are named. Points that the
    fix loaded stay shown. RequestError where the file is not such a dump.
    """
    before, after = read_dump(dump)
    return db.write(lambda session: _undo(session, before, after, dump, who))


def _undo(session: Session, before: Mapping[str, _Rows], after: Mapping[str, _Rows], dump: Path, who: str) -> Undone:
    told = Undone()
    stayed: set[tuple[str, RowKey]] = set()
    for kind in RowKind:
        now = {r["id"]: r for r in after.get(kind.value, [])}
        for old in before.get(kind.value, []):
            _row(session, kind, old, now.get(old["id"]), told, stayed, who)
    drop_orphaned_keys(session)
    _records(session, before.get("products", []), after.get("products", []), told, {frame for frame, _ in stayed})
    _files(session, before.get("files", []), after.get("files", []), told)
    _frames(session, before.get("frames", []), after.get("frames", []))
    for failed in before.get("failed_jobs", []):
        if (failed["frame_id"], (RowKind(failed["kind"]), failed["row_id"])) not in stayed:
            same = (FailedJob.kind == failed["kind"], FailedJob.row_id == failed["row_id"], FailedJob.stage == failed["stage"])
            if session.scalar(select(FailedJob.job_id).where(*same)) is None:
                session.execute(insert(FailedJob).values(**failed))
    what = f"check-consistency --undo {dump}: {told.rows} rows, {told.records} products, {told.files} files put back"
    changed(session, who=who, what=what)
    return told


def _row(
    session: Session, kind: RowKind, old: Mapping[str, Any], new: Mapping[str, Any] | None, told: Undone,
    stayed: set[tuple[str, RowKey]], who: str,
) -> None:  # fmt: skip
    model: Any = MODEL_OF[kind]
    mine = (PendingJob.kind == kind.value) & (PendingJob.row_id == old["id"])
    session.execute(select(PendingJob.job_id).where(mine).with_for_update())
    session.execute(select(model.id).where(model.id == old["id"]).with_for_update())
    present = next(iter(rows_of(session, kind, model.id == old["id"])), None)
    live, _ = live_rows(session, (RunningJob.kind == kind.value) & (RunningJob.row_id == old["id"]), mine)
    days = "_".join(f"{old[name]:%Y%m%d}" for name in ("date", "date1", "date2") if name in old)
    name = f"{old['frame_id']} {kind} {days}"
    if present is None or present.frame_id != old["frame_id"]:
        why = "there is no such row any more"
    elif present.row_key in live:
        why = live[present.row_key]
    elif new is not None and present.place != _place(new):
        why = f"it has moved to {present.place.words(kind)} since the fix"
    else:
        session.execute(delete(PendingJob).where(mine))
        session.execute(update(model).where(model.id == old["id"]).values({n: old[n] for n in _ROW if n in old}))
        events.record(
            session, UNDONE, frame_id=old["frame_id"], kind=kind.value, stage=stage_of(kind, old["proc_stage"]).value,
            date1=old.get("date", old.get("date1")), date2=old.get("date2"), who=who,
            message=f"{present.place.words(kind)} -> {_place(old).words(kind)}: as before the fix",
        )  # fmt: skip
        told.rows += 1
        return
    told.left.append(f"{name}: {why}")
    stayed.add((old["frame_id"], (kind, old["id"])))


def _place(row: Mapping[str, Any]) -> Place:
    return Place(row["proc_stage"], ProcStatus(row["proc_status"]), row["stale_from"])


def _records(session: Session, before: _Rows, after: _Rows, told: Undone, frames_left: set[str]) -> None:
    """Products as they were; of frames with rows that stayed, none is taken away that a row may rely on."""
    was = {_work(r): r for r in before}
    entered = {_work(r): r for r in after}
    for work in sorted(was.keys() | entered.keys()):
        old, new = was.get(work), entered.get(work)
        same = (Product.frame_id == work[0], Product.stage == work[1], Product.key == work[2])
        present = session.scalar(select(Product).where(*same).with_for_update())
        if (present and present.id) != (new and new["id"]) or (old is None and work[0] in frames_left):
            told.left.append(f"product {' '.join(work)}: it has changed since the fix, or a row that stayed may need it")
            continue
        session.execute(delete(Product).where(*same))
        if old is not None:
            session.execute(insert(Product).values({**old, "judged": None}))
        told.records += 1
    look_again(session, {work[0] for work in was.keys() | entered.keys()})


def _work(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["frame_id"], row["stage"], row["key"]


def _files(session: Session, before: _Rows, after: _Rows, told: Undone) -> None:
    now, done = {r["id"]: r for r in after}, []
    for old in before:
        same = (File.id == old["id"], File.state == now.get(old["id"], old)["state"])
        values = {"state": old["state"], "reason": old["reason"]}
        if session.execute(update(File).where(*same).values(**values).returning(File.id)).first() is None:
            told.left.append(f"file {old['id']}: it has changed since the fix")
        else:
            done.append(old["id"])
    note_frames(session, done)
    told.files += len(done)


def _frames(session: Session, before: _Rows, after: _Rows) -> None:
    now = {r["id"]: r for r in after}
    for old in before:
        last = now.get(old["id"], old)["initial_last_date"]
        same = Frame.initial_last_date.is_(None) if last is None else Frame.initial_last_date == last
        session.execute(update(Frame).where(Frame.id == old["id"], same).values(initial_last_date=old["initial_last_date"]))
