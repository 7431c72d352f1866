"""Frames: made from bursts, read as values, given another master."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import shapely
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from satdaemon.config import NetworkSettings, Settings
from satdaemon.db import links
from satdaemon.db.daemon import changed
from satdaemon.db.models import Burst, Frame, frames2bursts
from satdaemon.db.store import Store
from satdaemon.domain import FRAME_ID
from satdaemon.domain import Burst as BurstValue
from satdaemon.domain import Frame as FrameValue
from satdaemon.errors import RequestError
from satdaemon.planning.bursts import along_track

CYCLE_DS = 27.58273
"""From one burst of a swath to the next, tenths of a second."""


@dataclass(frozen=True, slots=True)
class FrameReport:
    """A frame that was made."""

    frame_id: str
    bursts: tuple[str, ...]
    files: int
    """Files of the database that show it."""
    warnings: tuple[str, ...]


def make_frame(db: Store, burst_list: list[str], frame_id: str) -> FrameReport:
    """Make a frame from bursts that the database knows.

    An id may differ by the few tenths of a second by which ids differ between dates; the warning says what
    was taken. Raises RequestError for a wrong frame id, an unknown burst, mixed tracks or passes.
    """
    match = FRAME_ID.match(frame_id)
    if match is None:
        raise RequestError(f"frame id: expected TRACK A|D _TEXT such as 132A_CUSTOM_FRAME, got {frame_id!r}")
    if not burst_list:
        raise RequestError(f"frame {frame_id}: expected at least one burst, got none")
    with db.session_scope() as session:
        if session.get(Frame, frame_id) is not None:
            raise RequestError(f"frame {frame_id}: exists already")
        rows, warnings = _find(session, burst_list)
        _check(frame_id, rows, int(match["track"]), match["direction"])
        warnings += _gaps(rows)
        shapes = [row.geometry for row in rows if row.geometry is not None]
        frame = Frame(id=frame_id, track=int(match["track"]), orbit_direction=match["direction"])
        frame.geometry = _outline(shapes)
        frame.bursts = rows
        session.add(frame)
        session.flush()
        files = links.tie_frame(session, frame_id)
        changed(session, who="make_frame", what=f"frame of {len(rows)} bursts", frame_id=frame_id)
        return FrameReport(frame_id, tuple(row.id for row in rows), files, tuple(warnings))


def frame_of(session: Session, frame_id: str) -> FrameValue:
    """A frame with its bursts as a value; RequestError where there is none."""
    row = session.get(Frame, frame_id)
    if row is None:
        raise RequestError(f"frame {frame_id!r}: expected a frame of the database, found none")
    mine = select(Burst).join(frames2bursts).where(frames2bursts.c.frame_id == frame_id)
    bursts = along_track(links.to_value(b) for b in session.scalars(mine))
    return FrameValue(row.id, row.track, row.orbit_direction, tuple(bursts))


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


def _find(session: Session, burst_list: list[str]) -> tuple[list[Burst], list[str]]:
    twice = [burst for burst, count in Counter(burst_list).items() if count > 1]
    if twice:
        raise RequestError(f"bursts: expected each once, got twice: {', '.join(sorted(twice))}")
    rows: dict[str, Burst] = {row.id: row for row in session.scalars(select(Burst).where(Burst.id.in_(burst_list)))}
    warnings, unknown = [], []
    for burst in burst_list:
        if burst in rows:
            continue
        track, anx, swath = BurstValue.parse_id(burst)
        near = links.match(session, [BurstValue(burst, track, "", anx, swath)])
        if near:
            rows[burst] = session.get_one(Burst, next(iter(near)))
            warnings.append(f"{burst} taken as {rows[burst].id}, the same burst by time and swath")
        else:
            unknown.append(burst)
    if unknown:
        raise RequestError(f"bursts: expected bursts of the database, got unknown ones: {', '.join(unknown)}")
    return sorted({id(row): row for row in rows.values()}.values(), key=lambda b: b.id), warnings


def _check(frame_id: str, rows: list[Burst], track: int, direction: str) -> None:
    for what, wanted, of in (("track", track, "track"), ("pass", direction, "orbit_direction")):
        wrong = [f"{row.id} ({getattr(row, of)})" for row in rows if getattr(row, of) != wanted]
        if wrong:
            raise RequestError(
                f"frame {frame_id}: expected bursts of {what} {wanted} only, as the id says, got {', '.join(wrong)}"
            )


def _gaps(rows: list[Burst]) -> list[str]:
    warnings = []
    for swath in sorted({row.swath for row in rows}):
        line = along_track(links.to_value(row) for row in rows if row.swath == swath)
        for one, other in pairwise(line):
            missing = round((other.anx - one.anx) / CYCLE_DS) - 1
            if missing > 0:
                warnings.append(f"{swath}: {missing} burst(s) missing between {one.id} and {other.id}")
    return warnings


def _outline(shapes: list[shapely.Polygon]) -> shapely.MultiPolygon | None:
    if not shapes:
        return None
    union = shapely.union_all(shapes)
    return union if isinstance(union, shapely.MultiPolygon) else shapely.MultiPolygon([union])
