"""Frames and bursts as features of GeoJSON."""

from __future__ import annotations

import json
from typing import Any

import shapely

from satdaemon.db.shapes import burst_shapes, frame_shapes
from satdaemon.db.store import Store


def frame_features(db: Store, region: Any | None, limit: int) -> list[dict[str, Any]]:
    """Frames in service whose shape is known, within a region or everywhere, by id."""
    return [
        _feature(name, shape, track=track, direction=direction, on=bool(on), priority=priority)
        for name, track, direction, on, priority, shape in frame_shapes(db, region)[:limit]
    ]


def burst_features(
    db: Store, region: Any | None, limit: int, *, track: int | None = None, direction: str | None = None
) -> list[dict[str, Any]]:
    """Bursts whose shape is known, by number."""
    return [
        _feature(name, shape, track=of_track, direction=of_pass, swath=swath, anx=anx)
        for name, of_track, of_pass, swath, anx, shape in burst_shapes(db, region, limit, track=track, direction=direction)
    ]


def _feature(name: str, shape: Any, **properties: Any) -> dict[str, Any]:
    geometry = json.loads(shapely.to_geojson(shape))
    return {"type": "Feature", "id": name, "properties": {"id": name, **properties}, "geometry": geometry}
