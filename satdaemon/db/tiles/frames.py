"""The map of frames, with what they can be coloured by."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import shapely
from sqlalchemy import select

from satdaemon.db.frame_progress import Progress
from satdaemon.db.models import Frame
from satdaemon.db.store import Store
from satdaemon.db.tiles.grid import Tile, encoded

LEAST_ZOOM = 4
"""Below it frames are points."""


def frame_tile(db: Store, tile: Tile, progress: Mapping[str, Progress]) -> bytes:
    """Frames in service with their id, state, priority, share done, failed jobs and days since the newest date done."""
    wanted = select(Frame.id, Frame.track, Frame.orbit_direction, Frame.processing, Frame.priority, Frame.geometry)
    wanted = wanted.where(Frame.retired_utc.is_(None), Frame.geometry.is_not(None))
    if db.on_postgresql:
        wanted = wanted.where(Frame.geometry.intersects(tile.box))
    with db.read_scope() as session:
        rows = session.execute(wanted).all()
    if not db.on_postgresql and rows:  # frames are few enough to have no R*Tree there
        near = shapely.intersects(np.array([row[-1] for row in rows], dtype=object), tile.box)
        rows = [row for row, is_near in zip(rows, near, strict=True) if is_near]
    shapes, properties = [], []
    for name, track, direction, is_on, priority, shape in rows:
        shapes.append(shape if tile.z >= LEAST_ZOOM else shapely.centroid(shape))
        known = progress.get(name) or Progress()
        values = {"id": name, "track": track, "pass": direction, "on": bool(is_on), "priority": priority}
        values |= {"done": round(known.share, 4), "failed": known.failed}
        properties.append(values | ({} if known.age_days is None else {"age": known.age_days}))
    return encoded(tile, "frames", shapes, properties)
