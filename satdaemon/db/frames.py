"""Frames: made from bursts, read as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from satdaemon.config import NetworkSettings, Settings
from satdaemon.db import links
from satdaemon.db.bursts import to_value
from satdaemon.db.clock import now_utc
from satdaemon.db.daemon import changed
from satdaemon.db.frame_choice import by_ids, by_polygon, check_frame_id, warnings_of
from satdaemon.db.licsar import by_licsar_id
from satdaemon.db.models import Burst, Frame, frames2bursts
from satdaemon.db.outline import outline
from satdaemon.db.store import Store
from satdaemon.domain import Frame as FrameValue
from satdaemon.errors import RequestError
from satdaemon.planning.bursts import along_track


@dataclass(frozen=True, slots=True)
class FrameReport:
    """A frame that was made."""

    frame_id: str
    bursts: tuple[str, ...]
    files: int
    """Files of the database that show it."""
    warnings: tuple[str, ...]


def make_frame(db: Store, burst_list: Sequence[str], frame_id: str, *, who: str = "make_frame") -> FrameReport:
    """Make a frame from bursts that the database knows.

    An id may differ by the few tenths of a second by which ids differ between dates; the warning says what
    was taken. Raises RequestError for a wrong frame id, an unknown burst, mixed tracks or passes.
    """
    check_frame_id(frame_id)
    if not burst_list:
        raise RequestError(f"frame {frame_id}: expected at least one burst, got none")
    try:
        with db.session_scope() as session:
            if session.get(Frame, frame_id) is not None:
                raise RequestError(f"frame {frame_id}: exists already")
            rows, warnings = by_ids(session, burst_list)
            return enter_frame(session, frame_id, rows, warnings, who=who)
    except IntegrityError as error:
        # Two people, one name, one moment: the other one was first.
        raise RequestError(f"frame {frame_id}: exists already") from error


def make_frame_of_polygon(
    db: Store, shape: Any, frame_id: str, *, track: int | None = None, direction: str | None = None, who: str = "make_frame"
) -> FrameReport:
    """Make a frame of the bursts that show a polygon (shapely, longitude and latitude).

    Track and pass are those of the frame's id; given ones must agree. Raises RequestError as `make_frame`, and
    where no burst of the track lies there, saying which tracks do.
    """
    own = check_frame_id(frame_id)
    given = (track or own[0], direction or own[1])
    if given != own:
        raise RequestError(f"frame {frame_id}: its id says track {own[0]}, pass {own[1]}; got track {given[0]}, pass {given[1]}")
    with db.read_scope() as session:
        choice = by_polygon(session, shape, *own)
    report = make_frame(db, choice.ids, frame_id, who=who)
    return FrameReport(report.frame_id, report.bursts, report.files, choice.warnings + report.warnings)


def make_frame_of_licsar_id(db: Store, licsar_id: str, frame_id: str | None = None, *, who: str = "make_frame") -> FrameReport:
    """Make a frame of the bursts that a LiCSAR frame id stands for, under that id or another one."""
    with db.read_scope() as session:
        choice = by_licsar_id(session, licsar_id)
    report = make_frame(db, choice.ids, frame_id or licsar_id, who=who)
    return FrameReport(report.frame_id, report.bursts, report.files, choice.warnings + report.warnings)


def enter_frame(
    session: Session, frame_id: str, rows: Sequence[Burst], warnings: Sequence[str] = (), *, who: str, **columns: Any
) -> FrameReport:
    """Add a frame with its bursts, tie it to its files, and count the change."""
    track, direction = check_frame_id(frame_id)
    check_bursts(frame_id, rows)
    frame = Frame(id=frame_id, track=track, orbit_direction=direction, **columns)
    frame.geometry = outline(row.geometry for row in rows)
    frame.bursts = list(rows)
    session.add(frame)
    session.flush()
    files = links.tie_frame(session, frame_id)
    changed(session, who=who, what=f"frame of {len(rows)} bursts", frame_id=frame_id)
    found = [*warnings, *warnings_of(to_value(row) for row in rows)]
    return FrameReport(frame_id, tuple(row.id for row in rows), files, tuple(found))


def check_bursts(frame_id: str, rows: Sequence[Burst]) -> None:
    """RequestError where bursts are not of the track and pass that the frame's id says, naming them."""
    track, direction = check_frame_id(frame_id)
    for what, wanted, of in (("track", track, "track"), ("pass", direction, "orbit_direction")):
        wrong = [f"{row.id} ({getattr(row, of)})" for row in rows if getattr(row, of) != wanted]
        if wrong:
            raise RequestError(
                f"frame {frame_id}: expected bursts of {what} {wanted} only, as the id says, got {', '.join(wrong)}"
            )


def row_of(session: Session, frame_id: str, *, lock: bool = False) -> Frame:
    """The row of a frame; RequestError where there is none."""
    row = session.get(Frame, frame_id, with_for_update=True if lock else None)
    if row is None:
        raise RequestError(f"frame {frame_id!r}: expected a frame of the database, found none")
    return row


def frame_of(session: Session, frame_id: str) -> FrameValue:
    """A frame with its bursts as a value; RequestError where there is none."""
    row = row_of(session, frame_id)
    mine = select(Burst).join(frames2bursts).where(frames2bursts.c.frame_id == frame_id)
    bursts = along_track(to_value(b) for b in session.scalars(mine))
    return FrameValue(row.id, row.track, row.orbit_direction, tuple(bursts))


def history_searched(session: Session, frame_ids: Sequence[str], now: datetime | None = None) -> None:
    """The archives were searched for all that they have of these frames."""
    # What a frame is has not changed: the time of its last change stays.
    values = {"searched_utc": now or now_utc(), "last_updated": Frame.last_updated}
    session.execute(update(Frame).where(Frame.id.in_(frame_ids)).values(**values))


def network_settings(settings: Settings, frame: Frame) -> NetworkSettings:
    """[NETWORK] with what the frame sets for itself."""
    own = {name: getattr(frame, name) for name in NetworkSettings.model_fields if getattr(frame, name) is not None}
    return NetworkSettings.model_validate({**settings.network.model_dump(), **own})


def to_update(db: Store) -> list[str]:
    """Frames whose files changed since `update_procdates` last looked; switched on, and to be updated or not begun."""
    due = or_(Frame.procdates_utc.is_(None), Frame.files_changed_utc >= Frame.procdates_utc)
    wanted = or_(Frame.do_update.is_(True), Frame.procdates_utc.is_(None))
    on = (Frame.processing.is_(True), Frame.retired_utc.is_(None))
    with db.read_scope() as session:
        return list(session.scalars(select(Frame.id).where(*on, due, wanted).order_by(Frame.priority.desc(), Frame.id)))
