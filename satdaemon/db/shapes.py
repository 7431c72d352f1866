"""Frames and bursts with their shapes, within a region or everywhere: what maps and tables of features are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from sqlalchemy import select

from satdaemon.db.models import Burst, Frame
from satdaemon.db.store import Store


def frame_shapes(db: Store, region: Any | None) -> list[Any]:
    """(id, track, orbit_direction, processing, priority, geometry) of frames in service whose shape is known, by id."""
    wanted = select(Frame.id, Frame.track, Frame.orbit_direction, Frame.processing, Frame.priority, Frame.geometry)
    wanted = wanted.where(Frame.retired_utc.is_(None), Frame.geometry.is_not(None)).order_by(Frame.id)
    if region is not None and db.on_postgresql:
        wanted = wanted.where(Frame.geometry.intersects(region))
    with db.read_scope() as session:
        rows = list(session.execute(wanted))
    if region is None or db.on_postgresql or not rows:
        return rows
    # Frames are few enough to have no R*Tree on SQLite.
    near = shapely.intersects(np.array([row.geometry for row in rows], dtype=object), region)
    return [row for row, is_near in zip(rows, near, strict=True) if is_near]


def burst_shapes(
    db: Store, region: Any | None, limit: int, *, track: int | None = None, direction: str | None = None
) -> list[Any]:
    """(id, track, orbit_direction, swath, anx, geometry) of bursts whose shape is known, by number."""
    wanted = select(Burst.id, Burst.track, Burst.orbit_direction, Burst.swath, Burst.anx, Burst.geometry)
    wanted = wanted.where(Burst.geometry.is_not(None)).order_by(Burst.number).limit(limit)
    if region is not None:
        wanted = wanted.where(Burst.geometry.intersects(region))
    if track is not None:
        wanted = wanted.where(Burst.track == track)
    if direction is not None:
        wanted = wanted.where(Burst.orbit_direction == direction)
    with db.read_scope() as session:
        return list(session.execute(wanted))
