"""Which frames there are, and whether they are switched on: all that a frame's deployment hangs on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from satdaemon.db.models import Frame
from satdaemon.db.store import Store


@dataclass(frozen=True, slots=True)
class FrameSwitch:
    """A frame, and whether it is processed."""

    id: str
    track: int
    orbit_direction: str
    is_on: bool
    is_retired: bool


def frame_switches(db: Store, frame_ids: Sequence[str] | None = None) -> tuple[FrameSwitch, ...]:
    """The frames of the database, or those of `frame_ids` that it has, by id."""
    columns = (Frame.id, Frame.track, Frame.orbit_direction, Frame.processing, Frame.retired_utc.is_not(None))
    wanted = select(*columns).order_by(Frame.id)
    if frame_ids is not None:
        wanted = wanted.where(Frame.id.in_(list(frame_ids)))
    with db.read_scope() as session:
        return tuple(FrameSwitch(*row) for row in session.execute(wanted))
