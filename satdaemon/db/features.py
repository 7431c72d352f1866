"""Frames and bursts as features of GeoJSON."""

from __future__ import annotations

import json
from typing import Any

import shapely
from sqlalchemy import select

from satdaemon.db.models import Burst, Frame
from satdaemon.db.store import Store


def frame_features(db: Store, region: Any | None, limit: int) -> list[dict[str, Any]]:
    """Frames in service whose shape is known, within a region or everywhere, by id."""
    wanted = select(Frame.id, Frame.track, Frame.orbit_direction, Frame.processing, Frame.priority, Frame.geometry)
    wanted = wanted.where(Frame.retired_utc.is_(None), Frame.geometry.is_not(None)).order_by(Frame.id)
    if region is not None and db.on_postgresql:
        wanted = wanted.where(Frame.geometry.intersects(region))
    with db.read_scope() as session:
        rows = session.execute(wanted).all()
    if region is not None and not db.on_postgresql:
        rows = [row for row in rows if row[-1].intersects(region)]
    return [
        _feature(name, shape, track=track, direction=direction, on=bool(on), priority=priority)
        for name, track, direction, on, priority, shape in rows[:limit]
    ]


def burst_features(
    db: Store, region: Any | None, limit: int, *, track: int | None = None, direction: str | None = None
) -> list[dict[str, Any]]:
    """Bursts whose shape is known, by number."""
    wanted = select(Burst.id, Burst.track, Burst.orbit_direction, Burst.swath, Burst.anx, Burst.geometry)
    wanted = wanted.where(Burst.geometry.is_not(None)).order_by(Burst.number).limit(limit)
    if region is not None:
        wanted = wanted.where(Burst.geometry.intersects(region))
    if track is not None:
        wanted = wanted.where(Burst.track == track)
    if direction is not None:
        wanted = wanted.where(Burst.orbit_direction == direction)
    with db.read_scope() as session:
        rows = session.execute(wanted).all()
    return [
        _feature(name, shape, track=of_track, direction=of_pass, swath=swath, anx=anx)
        for name, of_track, of_pass, swath, anx, shape in rows
    ]


def _feature(name: str, shape: Any, **properties: Any) -> dict[str, Any]:
    geometry = json.loads(shapely.to_geojson(shape))
    return {"type": "Feature", "id": name, "properties": {"id": name, **properties}, "geometry": geometry}
