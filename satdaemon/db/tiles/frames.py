"""The map of frames, with what they can be coloured by."""

from __future__ import annotations

from collections.abc import Mapping

import shapely

from satdaemon.db.frame_progress import Progress
from satdaemon.db.shapes import frame_shapes
from satdaemon.db.store import Store
from satdaemon.db.tiles.grid import Tile, encoded

LEAST_ZOOM = 4
"""Below it frames are points."""


def frame_tile(db: Store, tile: Tile, progress: Mapping[str, Progress]) -> bytes:
    """Frames in service: id, state, priority, share done, failed jobs, days since the newest date done, latency (days)."""
    shapes, properties = [], []
    for name, track, direction, is_on, priority, shape in frame_shapes(db, tile.box):
        shapes.append(shape if tile.z >= LEAST_ZOOM else shapely.centroid(shape))
        known = progress.get(name) or Progress()
        values = {"id": name, "track": track, "pass": direction, "on": bool(is_on), "priority": priority}
        values |= {"done": round(known.share, 4), "failed": known.failed}
        if known.age_days is not None:
            values["age"] = known.age_days
        if known.latency_s is not None:
            values["late"] = round(known.latency_s / 86400.0, 2)
        properties.append(values)
    return encoded(tile, "frames", shapes, properties)
