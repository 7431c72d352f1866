"""Other bursts for a frame that exists: what the change costs, and the change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, delete, func, select, update
from sqlalchemy.orm import Session

from satdaemon.db import links
from satdaemon.db.daemon import changed
from satdaemon.db.frame_choice import by_ids, warnings_of
from satdaemon.db.frames import check_bursts, frame_of, row_of
from satdaemon.db.guards import check_nothing_runs, drop_orphaned_keys
from satdaemon.db.models import (
    MODEL_OF,
    Burst,
    FailedJob,
    File,
    Frame,
    Master,
    PendingJob,
    Product,
    files2bursts,
    frames2files,
    stage_id,
)
from satdaemon.db.models.catalogue import BAD
from satdaemon.db.models.products import LEFT_BEHIND
from satdaemon.db.outline import outline
from satdaemon.db.preview import preview_frame
from satdaemon.db.procdates import DatesReport, update_dates
from satdaemon.db.store import Store
from satdaemon.db.within import at_once
from satdaemon.domain import BURSTS_ONLY
from satdaemon.domain import Burst as BurstValue
from satdaemon.errors import NeedsConfirmation, RequestError
from satdaemon.planning.bursts import match_bursts
from satdaemon.status import STAGES_OF, ProcStatus, RowKind, Stage


@dataclass(frozen=True, slots=True)
class Redo:
    """Products of one stage that a change makes worthless, and what making them again costs."""

    stage: Stage
    products: int
    bytes: int
    cpu_s: float

    def __str__(self) -> str:
        return f"{self.products} {self.stage} ({self.bytes / 1e9:.3g} GB, {self.cpu_s / 3600:.3g} CPU-h)"


@dataclass(frozen=True, slots=True)
class EditPlan:
    """What a change of a frame's bursts means."""

    frame_id: str
    added: tuple[str, ...]
    dropped: tuple[str, ...]
    redo: tuple[Redo, ...]
    usable_before: int
    """Dates that can be used."""
    usable_after: int
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        words = [f"add {', '.join(self.added)}"] * bool(self.added) + [f"drop {', '.join(self.dropped)}"] * bool(self.dropped)
        again = "; made again: " + ", ".join(map(str, self.redo)) if self.redo else "; nothing is made again"
        return f"{' and '.join(words)}: usable dates {self.usable_before} -> {self.usable_after}{again}"


def plan_edit(db: Store, frame_id: str, *, add: Sequence[str] = (), drop: Sequence[str] = ()) -> EditPlan:
    """What adding and dropping bursts would mean; changes nothing. RequestError where it cannot be done."""
    with db.read_scope() as session:
        rows, warnings = by_ids(session, add)
        gone, more = _of_frame(session, frame_id, drop)
        mine = {b.id for b in frame_of(session, frame_id).bursts}
        new = [row for row in rows if row.id not in mine]
        check_bursts(frame_id, new)
        warnings = [*warnings, *more, *(f"{row.id} is in the frame already" for row in rows if row.id in mine)]
        if both := sorted({row.id for row in rows} & set(gone)):
            raise RequestError(f"frame {frame_id}: expected each burst added or dropped, got both of {', '.join(both)}")
        if not new and not gone:
            raise RequestError(f"frame {frame_id}: expected bursts to add or to drop, got none that changes it")
        redo = redo_from(session, frame_id, Stage.SLC)
        if new:
            redo = (*_partial_downloads(session, frame_id), *redo)
        present = session.scalar(select(Master.date).where(Master.frame_id == frame_id))
    added = tuple(row.id for row in new)
    before, after = preview_frame(db, frame_id), preview_frame(db, frame_id, add=added, drop=gone)
    lacking = [b.id for day in after.dates if day.date == present for b in after.bursts if b.id not in day.present]
    if lacking:
        warnings.append(f"the master {present} lacks {', '.join(lacking)}: choose another one before it is processed")
    return EditPlan(
        frame_id, added, tuple(gone), redo, before.usable, after.usable, (*warnings, *warnings_of(after.bursts))
    )  # fmt: skip


def edit_bursts(
    db: Store, frame_id: str, *, add: Sequence[str] = (), drop: Sequence[str] = (), confirm: bool = False, who: str = "edit_frame"
) -> tuple[EditPlan, DatesReport]:
    """Add bursts to a frame and drop others. All that was made of its bursts, from slc on, is made again.

    Downloads stay, but for those that hold only bursts, and lack new ones (`db.partial`: the next plan begins with them). Points
    stay shown until the new ones are there. Raises NeedsConfirmation, whose `effects` is
    the plan, where products would be made again and `confirm` is not given; RequestError where a job of the
    frame runs.
    """
    plan = plan_edit(db, frame_id, add=add, drop=drop)
    if plan.redo and not confirm:
        raise NeedsConfirmation(f"frame {frame_id}: {plan}. Call again with confirm=True to do so", plan)

    def work(store: Store) -> DatesReport:
        store.write(lambda session: _apply(session, plan, who))
        return update_dates(store, frame_id)

    return plan, at_once(db, work)


def redo_from(session: Session, frame_id: str, first: Stage, *, left_behind: bool = False) -> tuple[Redo, ...]:
    """The products of a frame from a stage on, by stage; with `left_behind` also those that are to be made anew already."""
    later = [stage.value for stage in list(Stage)[list(Stage).index(first) :]]
    columns = (Product.stage, func.count(), func.sum(Product.bytes), func.sum(func.coalesce(Product.cpu_s, 0.0)))
    where = [Product.frame_id == frame_id, Product.stage.in_(later)]
    if not left_behind:
        where.append(Product.inputs[LEFT_BEHIND].as_string().is_(None))
    found = session.execute(select(*columns).where(*where).group_by(Product.stage)).all()
    redo = [Redo(Stage(stage), int(count), int(size), float(cpu)) for stage, count, size, cpu in found]
    return tuple(sorted(redo, key=lambda r: list(Stage).index(r.stage)))


def _partial_downloads(session: Session, frame_id: str) -> tuple[Redo, ...]:
    """Downloads that hold only the bursts of the frame as it was."""
    holds = Product.inputs[BURSTS_ONLY].as_string().is_not(None)
    columns = (func.count(), func.sum(Product.bytes), func.sum(func.coalesce(Product.cpu_s, 0.0)))
    where = (Product.frame_id == frame_id, Product.stage == Stage.DOWNLOAD.value, holds)
    count, size, cpu_s = session.execute(select(*columns).where(*where)).one()
    return (Redo(Stage.DOWNLOAD, int(count), int(size), float(cpu_s)),) if count else ()


def _of_frame(session: Session, frame_id: str, wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """The frame's own ids of bursts that are to be dropped, and warnings where an id was another one's."""
    frame = frame_of(session, frame_id)
    own = {b.id for b in frame.bursts}
    found, warnings, unknown = [], [], []
    for burst in dict.fromkeys(wanted):
        track, anx, swath = BurstValue.parse_id(burst)
        near = [burst] if burst in own else list(match_bursts(frame.bursts, [BurstValue(burst, track, "", anx, swath)]))
        if not near:
            unknown.append(burst)
            continue
        if near[0] != burst:
            warnings.append(f"{burst} taken as {near[0]}, the same burst by time and swath")
        found.append(near[0])
    if unknown:
        raise RequestError(f"frame {frame_id}: expected bursts of the frame to drop, got {', '.join(unknown)}")
    return found, warnings


def _apply(session: Session, plan: EditPlan, who: str) -> None:
    frame = row_of(session, plan.frame_id, lock=True)
    check_nothing_runs(session, frame.id)
    session.execute(delete(PendingJob).where(PendingJob.frame_id == frame.id))
    session.execute(delete(FailedJob).where(FailedJob.frame_id == frame.id, FailedJob.stage != Stage.DOWNLOAD.value))
    drop_orphaned_keys(session)
    kept = {row.id: row for row in frame.bursts if row.id not in plan.dropped}
    kept |= {row.id: row for row in session.scalars(select(Burst).where(Burst.id.in_(plan.added)))}
    if not kept:
        raise RequestError(f"frame {frame.id}: expected at least one burst to be left, got none")
    frame.bursts = list(kept.values())
    frame.geometry = outline(row.geometry for row in kept.values())
    session.flush()
    _tie_again(session, frame)
    for kind in RowKind:
        _from_slc(session, frame.id, kind)
    # The records stay with the files: a product without one would look like news of work done.
    made = (Product.frame_id == frame.id, Product.stage != Stage.DOWNLOAD.value)
    for product in session.scalars(select(Product).where(*made)):
        product.inputs = {**product.inputs, LEFT_BEHIND: "the frame's bursts changed"}
    changed(session, who=who, what=f"bursts: {plan}", frame_id=frame.id)


def _tie_again(session: Session, frame: Frame) -> None:
    """Files that show none of the frame's bursts any more are let go; a bad file shows none, and stays."""
    shown = select(files2bursts.c.file_id).where(files2bursts.c.burst_id.in_([row.id for row in frame.bursts]))
    bad = select(File.id).where(File.state == BAD)
    link = frames2files.c
    session.execute(delete(frames2files).where(link.frame_id == frame.id, link.file_id.not_in(shown), link.file_id.not_in(bad)))
    links.tie_frame(session, frame.id)
    session.expire(frame, ["files"])


def _from_slc(session: Session, frame_id: str, kind: RowKind) -> None:
    """Rows keep their download and go on from slc (pairs from the start); what was left out stays so."""
    model: Any = MODEL_OF[kind]
    first = 1 if Stage.SLC not in STAGES_OF[kind] else stage_id(kind, Stage.SLC)
    excluded = int(ProcStatus.EXCLUDED)
    whole = case((model.stale_from == 1, 1), else_=first)  # its files have changed too
    values = {"stale_from": None, "waiting_for": None, "proc_stage": whole}
    mine = (model.frame_id == frame_id, model.proc_stage >= first)
    out = (*mine, model.proc_status == excluded)
    session.execute(update(model).where(*out).values(**values).execution_options(synchronize_session=False))
    reset = {**values, "proc_status": int(ProcStatus.WAITING), "reason": None}
    session.execute(
        update(model).where(*mine, model.proc_status != excluded).values(**reset).execution_options(synchronize_session=False)
    )
