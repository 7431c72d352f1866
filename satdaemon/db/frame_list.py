"""Frames a page at a time: found, sorted, counted. What it costs goes with the page, not with all frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select

from satdaemon.db.frame_overview import FrameOverview, overviews
from satdaemon.db.models import FailedJob, Frame, PendingJob, RunningJob
from satdaemon.db.store import Store

MOST = 500


class Sort(StrEnum):
    """What frames can be sorted by."""

    ID = "id"
    PRIORITY = "priority"
    CREATED = "created"
    RUNNING = "running"
    PENDING = "pending"
    FAILED = "failed"


class Show(StrEnum):
    """Which frames are wanted."""

    ALL = "all"
    ON = "on"
    OFF = "off"
    RETIRED = "retired"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class FrameLine:
    """One frame of a page."""

    frame: FrameOverview
    """Without `counts`."""
    running: int
    pending: int
    failed: int


@dataclass(frozen=True, slots=True)
class FramePage:
    """A page of frames."""

    total: int
    """Frames that were found."""
    lines: tuple[FrameLine, ...]


def frame_page(
    db: Store,
    *,
    text: str = "",
    show: Show = Show.ALL,
    track: int | None = None,
    direction: str | None = None,
    sort: Sort = Sort.ID,
    descending: bool = False,
    limit: int = 50,
    offset: int = 0,
) -> FramePage:
    """Frames whose id or notes contain `text`."""
    conditions: list[ColumnElement[bool]] = []
    if text.strip():
        pattern = f"%{_escaped(text.strip())}%"
        conditions.append(or_(Frame.id.ilike(pattern, escape="\\"), Frame.notes.ilike(pattern, escape="\\")))
    if track is not None:
        conditions.append(Frame.track == track)
    if direction is not None:
        conditions.append(Frame.orbit_direction == direction)
    conditions += _shown(show)
    jobs = {Sort.RUNNING: RunningJob, Sort.PENDING: PendingJob, Sort.FAILED: FailedJob}
    keys: dict[Sort, Any] = {Sort.ID: Frame.id, Sort.PRIORITY: Frame.priority, Sort.CREATED: Frame.created_utc}
    wanted = select(Frame.id).where(*conditions)
    if sort in jobs:
        model: Any = jobs[sort]
        of_frame = select(model.frame_id, func.count().label("jobs")).group_by(model.frame_id).subquery()
        wanted = wanted.outerjoin(of_frame, of_frame.c.frame_id == Frame.id)
        key = func.coalesce(of_frame.c.jobs, 0)
    else:
        key = keys[sort]
    order = (key.desc() if descending else key.asc(), Frame.id)
    with db.read_scope() as session:
        total = session.scalar(select(func.count()).select_from(Frame).where(*conditions)) or 0
        ids = list(session.scalars(wanted.order_by(*order).limit(min(limit, MOST)).offset(offset)))
        running, pending, failed = (_counts(session, model, ids) for model in (RunningJob, PendingJob, FailedJob))
    frames = {frame.id: frame for frame in overviews(db, ids, counts=False)} if ids else {}
    return FramePage(
        int(total),
        tuple(
            FrameLine(frames[i], running.get(i, 0), pending.get(i, 0), failed.get(i, 0))
            for i in ids
            if i in frames
        ),
    )


def _shown(show: Show) -> list[ColumnElement[bool]]:
    in_service = Frame.retired_utc.is_(None)
    match show:
        case Show.ON:
            return [and_(in_service, Frame.processing)]
        case Show.OFF:
            return [and_(in_service, Frame.processing.is_(False))]
        case Show.RETIRED:
            return [Frame.retired_utc.is_not(None)]
        case Show.FAILING:
            return [select(FailedJob.job_id).where(FailedJob.frame_id == Frame.id).exists()]
        case Show.ALL:
            return []


def _counts(session: Any, model: Any, ids: Sequence[str]) -> dict[str, int]:
    wanted = select(model.frame_id, func.count()).where(model.frame_id.in_(ids)).group_by(model.frame_id)
    return {frame_id: count for frame_id, count in session.execute(wanted)}


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
