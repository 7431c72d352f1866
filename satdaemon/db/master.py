"""Another master for a frame: what would be lost, and the change."""

from __future__ import annotations

from datetime import date

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from satdaemon.db.daemon import changed
from satdaemon.db.guards import drop_orphaned_keys
from satdaemon.db.models import Frame, Ifg, Master, PendingJob, Product, RsarIfg, RunningJob, stage_id
from satdaemon.db.procdates import DatesReport, kept_before_satsar, take_master, update_dates
from satdaemon.db.store import Store
from satdaemon.errors import RequestError
from satdaemon.status import ProcStatus, RowKind, Stage

DEPENDS = tuple(s.value for s in Stage if s not in (Stage.DOWNLOAD, Stage.SLC))


def change_master(db: Store, frame_id: str, master_date: date, *, confirm: bool) -> DatesReport:
    """Make `master_date` the master of a frame.

    Raises RequestError that lists, by stage, the products that would be made again and what they cost, unless
    `confirm`; and where jobs of the frame are running.
    """
    with db.read_scope() as session:
        present = session.scalar(select(Master).where(Master.frame_id == frame_id))
        lost = _lost(session, frame_id)
    if present is None or present.date == master_date:
        return update_dates(db, frame_id, master_date)
    if lost and not confirm:
        raise RequestError(
            f"frame {frame_id}: changing its master from {present.date} to {master_date} means making again: "
            f"{lost}. Call again with confirm=True to do so"
        )
    db.write(lambda session: _change(session, frame_id, master_date))
    return update_dates(db, frame_id)


def _lost(session: Session, frame_id: str) -> str:
    columns = (Product.stage, func.count(), func.sum(Product.bytes), func.sum(func.coalesce(Product.cpu_s, 0.0)))
    where = (Product.frame_id == frame_id, Product.stage.in_(DEPENDS))
    found = {row[0]: row[1:] for row in session.execute(select(*columns).where(*where).group_by(Product.stage))}
    parts = [
        f"{found[s][0]} {s} ({int(found[s][1]) / 1e9:.3g} GB, {float(found[s][2]) / 3600:.3g} CPU-h)"
        for s in DEPENDS
        if s in found
    ]
    return ", ".join(parts)


def _change(session: Session, frame_id: str, master_date: date) -> None:
    session.scalars(select(Frame).where(Frame.id == frame_id).with_for_update()).one()
    running = session.scalars(select(RunningJob.job_id).where(RunningJob.frame_id == frame_id)).all()
    if running:
        raise RequestError(f"frame {frame_id}: expected no running jobs, got {len(running)}; cancel them or let them end")
    old = session.scalars(select(Master).where(Master.frame_id == frame_id)).one()
    if session.scalar(select(Ifg.id).where(Ifg.frame_id == frame_id, Ifg.date == master_date)) is None:
        raise RequestError(f"frame {frame_id}: expected a date of the frame as master, got {master_date}")
    session.execute(delete(PendingJob).where(PendingJob.frame_id == frame_id))
    drop_orphaned_keys(session)
    stage, status = kept_before_satsar(old)
    session.execute(delete(Master).where(Master.id == old.id))
    session.add(Ifg(frame_id=frame_id, date=old.date, proc_stage=stage, proc_status=int(status)))
    session.flush()
    _start_over(session, frame_id)
    session.execute(delete(Product).where(Product.frame_id == frame_id, Product.stage.in_(DEPENDS)))
    take_master(session, frame_id, master_date, "user", "set by the user")
    changed(session, who="set_master_for_frame", what=f"master {old.date} -> {master_date}", frame_id=frame_id)


def _start_over(session: Session, frame_id: str) -> None:
    """Rows keep download and slc; excluded ones stay excluded."""
    waiting, excluded = int(ProcStatus.WAITING), int(ProcStatus.EXCLUDED)
    satsar = stage_id(RowKind.IFG, Stage.SATSAR)
    fresh = {"proc_status": waiting, "reason": None, "stale_from": None, "waiting_for": None}
    dates = (Ifg.frame_id == frame_id, Ifg.proc_stage >= satsar, Ifg.proc_status != excluded)
    session.execute(update(Ifg).where(*dates).values(**fresh, bperp_m=None))
    pairs = (RsarIfg.frame_id == frame_id, RsarIfg.proc_status != excluded)
    session.execute(update(RsarIfg).where(*pairs).values(**fresh, proc_stage=1))
