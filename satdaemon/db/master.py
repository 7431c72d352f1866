"""Another master for a frame: its rows start over after slc."""

from __future__ import annotations

from datetime import date

from sqlalchemy import and_, case, delete, select, update
from sqlalchemy.orm import Session

from satdaemon.db.daemon import changed
from satdaemon.db.guards import check_nothing_runs, drop_orphaned_keys
from satdaemon.db.models import FailedJob, Frame, Ifg, Master, PendingJob, Product, RsarIfg, stage_id
from satdaemon.db.procdates import kept_before_satsar, take_master
from satdaemon.db.store import Store
from satdaemon.errors import RequestError
from satdaemon.status import ProcStatus, RowKind, Stage

DEPENDS = tuple(s.value for s in Stage if s not in (Stage.DOWNLOAD, Stage.SLC))


def replace_master(db: Store, frame_id: str, master_date: date, *, who: str) -> bool:
    """Make another date the master; False where the frame has none yet, or has this one.

    Raises RequestError where jobs of the frame are running, or the date is none of the frame's or is left out.
    """
    return db.write(lambda session: _replace(session, frame_id, master_date, who))


def _replace(session: Session, frame_id: str, master_date: date, who: str) -> bool:
    session.scalars(select(Frame).where(Frame.id == frame_id).with_for_update()).one()
    old = session.scalar(select(Master).where(Master.frame_id == frame_id))
    if old is None or old.date == master_date:
        return False
    check_nothing_runs(session, frame_id)
    _check(session, frame_id, master_date)
    for jobs in (PendingJob, FailedJob):
        again = () if jobs is PendingJob else (FailedJob.stage.in_(DEPENDS),)
        session.execute(delete(jobs).where(jobs.frame_id == frame_id, *again))
    drop_orphaned_keys(session)
    before, kept = old.date, kept_before_satsar(old)
    session.execute(delete(Master).where(Master.id == old.id))
    session.add(Ifg(frame_id=frame_id, date=before, **kept))
    session.flush()
    _start_over(session, frame_id)
    session.execute(delete(Product).where(Product.frame_id == frame_id, Product.stage.in_(DEPENDS)))
    take_master(session, frame_id, master_date, "user", f"set by {who}")
    changed(session, who=who, what=f"master {before} -> {master_date}", frame_id=frame_id)
    return True


def _check(session: Session, frame_id: str, day: date) -> None:
    row = session.scalar(select(Ifg).where(Ifg.frame_id == frame_id, Ifg.date == day))
    if row is None:
        dates = sorted(session.scalars(select(Ifg.date).where(Ifg.frame_id == frame_id)))
        known = f"{dates[0]} .. {dates[-1]} ({len(dates)} dates)" if dates else "none"
        raise RequestError(f"frame {frame_id}: expected a date of the frame as master, got {day}; its others: {known}")
    failed = row.status is ProcStatus.FAILED and row.proc_stage < stage_id(RowKind.IFG, Stage.SATSAR)
    if failed or row.status is ProcStatus.EXCLUDED:
        raise RequestError(
            f"frame {frame_id}: expected a usable date as master, got {day}, which is {row.status.name}: {row.reason}; "
            f"{'retry' if failed else 'include'} it first"
        )


def _start_over(session: Session, frame_id: str) -> None:
    """Rows keep download and slc; excluded ones stay excluded."""
    waiting, excluded = int(ProcStatus.WAITING), int(ProcStatus.EXCLUDED)
    satsar = stage_id(RowKind.IFG, Stage.SATSAR)
    fresh = {"proc_status": waiting, "reason": None, "stale_from": None, "waiting_for": None}
    dates = (Ifg.frame_id == frame_id, Ifg.proc_stage >= satsar, Ifg.proc_status != excluded)
    # What is stale already before satsar is made again from there: satsar needs it.
    begin = case((and_(Ifg.proc_status == int(ProcStatus.STALE), Ifg.stale_from < satsar), Ifg.stale_from), else_=satsar)
    session.execute(update(Ifg).where(*dates).values(**fresh, bperp_m=None, proc_stage=begin))
    pairs = (RsarIfg.frame_id == frame_id, RsarIfg.proc_status != excluded)
    session.execute(update(RsarIfg).where(*pairs).values(**fresh, proc_stage=1))
