"""Dates that have been on disk for long and are not in the points."""

from __future__ import annotations

from datetime import date

from sqlalchemy import String, and_, func, literal_column, or_, select

from satdaemon.db.clock import now_utc
from satdaemon.db.messages.outbox import News
from satdaemon.db.models import File, Frame, Ifg, PointsVersion, frames2files
from satdaemon.db.models.catalogue import ON_DISK
from satdaemon.db.models.points import ACTIVE
from satdaemon.db.store import Store
from satdaemon.status import ProcStatus

PREFIX = "late/"


def late_dates(db: Store) -> dict[str, News]:
    """Of each frame that is on, the newest date on disk, where it came longer than `late_days` ago and is in no points.

    Days count from the day of sensing, or from the day on which the frame got the date, whichever is later. Dates that
    are excluded, or that the frame does not want, are never late. Keys are those of conditions.
    """
    days = db.settings.notify.late_days
    if days == 0:
        return {}
    newest = _newest(db, days)
    shown = _shown(db)
    return {
        f"{PREFIX}{frame_id}/{day}": _news(frame_id, day, days)
        for frame_id, day in newest.items()
        if shown.get(frame_id, "") < day.isoformat()
    }


def _newest(db: Store, days: float) -> dict[str, date]:
    """Frames and their newest date on disk, where that came so many days ago."""
    link = frames2files.c
    on_disk = (
        select(link.file_id)
        .join(File, File.id == link.file_id)
        .where(link.frame_id == Ifg.frame_id, link.date == Ifg.date, link.valid == 1, File.state == ON_DISK)
        .exists()
    )
    wanted = and_(
        or_(Frame.start_date.is_(None), Ifg.date >= Frame.start_date), or_(Frame.end_date.is_(None), Ifg.date <= Frame.end_date),
        or_(Frame.do_update, Frame.initial_last_date.is_(None), Ifg.date <= Frame.initial_last_date),
    )  # fmt: skip
    # Not max(): this looks at a frame's dates from the newest on, and as a rule at one.
    last = (
        select(Ifg.date)
        .where(Ifg.frame_id == Frame.id, Ifg.proc_status != int(ProcStatus.EXCLUDED), on_disk, wanted)
        .order_by(Ifg.date.desc())
        .limit(1)
        .correlate(Frame)
        .scalar_subquery()
    )
    with db.read_scope() as session:
        now = session.scalars(select(now_utc(-days * 86400.0))).one()
        on = (Frame.processing, Frame.do_ingest, Frame.retired_utc.is_(None))
        found = select(Frame.id, last.label("day")).where(*on).subquery()
        rows = session.execute(
            select(found.c.id, found.c.day, Ifg.created_utc).join(Ifg, (Ifg.frame_id == found.c.id) & (Ifg.date == found.c.day))
        )
        return {frame_id: day for frame_id, day, came in rows if day < now.date() and came < now}


def _shown(db: Store) -> dict[str, str]:
    """Frames with points, and the last date of these."""
    dates = PointsVersion.dates
    on_postgresql = db.points_engine.dialect.name == "postgresql"
    last = dates.op("->>", return_type=String())(literal_column("-1")) if on_postgresql else func.json_extract(dates, "$[#-1]")
    with db.read_scope() as session:
        found = session.execute(select(PointsVersion.frame_id, last).where(PointsVersion.state == ACTIVE))
        return {frame_id: day or "" for frame_id, day in found}


def _news(frame_id: str, day: date, days: float) -> News:
    body = f"{frame_id}: {day} is on disk since more than {days:g} days and is not in the points: satdaemon status {frame_id}"
    return News("late", "late", "dates are late", body, "warning", frame_id, examples=20)
