"""A look at every frame that holds nothing up: what changes meanwhile is planned between its batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from sqlalchemy import select

from satdaemon.db import changes
from satdaemon.db.changes import Changes
from satdaemon.db.models import Frame
from satdaemon.db.planning_frames import Frames
from satdaemon.db.prepared import FEW
from satdaemon.db.queueing import Queued
from satdaemon.db.store import Store

BATCH = 100
"""Frames of the sweep that one transaction plans: what changed waits for no more than these."""
MOST = 4 * FEW
"""Frames that changed which are planned before the sweep goes on: it ends, however much changes."""


def sweep(frames: Frames, between: Callable[[], object] | None = None) -> tuple[int, Queued]:
    """Plan every frame, by priority; how many there were, and what came of it.

    A frame that is planned because it changed has been seen. `between` is called before each look at what changed.
    """
    left = dict.fromkeys(_by_priority(frames.db))
    count, done = len(left), Queued()
    while left:
        if between is not None:
            between()
        done += _changed(frames, left)
        batch = list(islice(left, BATCH))
        done += frames.plan(batch, _seen(frames.db, batch))
        _forget(left, batch)
    return count, done


def _changed(frames: Frames, left: dict[str, None]) -> Queued:
    """Plan frames that changed, the most urgent first."""
    seen = _seen(frames.db)
    if not seen.ids_of:
        return Queued()
    ranks = {frame_id: place for place, frame_id in enumerate(_by_priority(frames.db, seen.frames))}
    urgent = sorted(seen.frames, key=lambda frame_id: ranks.get(frame_id, len(ranks)))[:MOST]
    done = frames.plan(urgent, seen, FEW)
    _forget(left, urgent)
    return done


def _seen(db: Store, frames: list[str] | None = None) -> Changes:
    with db.read_scope() as session:
        return changes.look(session, frames)


def _forget(left: dict[str, None], seen: Iterable[str]) -> None:
    for frame_id in seen:
        left.pop(frame_id, None)


def _by_priority(db: Store, frames: list[str] | None = None) -> list[str]:
    statement = select(Frame.id).order_by(Frame.priority.desc(), Frame.created_utc, Frame.id)
    with db.read_scope() as session:
        return list(session.scalars(statement if frames is None else statement.where(Frame.id.in_(frames))))
