"""Bursts as values and as rows of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import shapely

from satdaemon.db.models import Burst
from satdaemon.db.outline import unrolled
from satdaemon.db.store import Store
from satdaemon.db.upsert import insert_many
from satdaemon.domain import Burst as BurstValue


def to_value(row: Burst) -> BurstValue:
    """A row of `bursts` as a value."""
    corners = () if row.geometry is None else tuple((float(x), float(y)) for x, y in row.geometry.exterior.coords[:-1])
    return BurstValue(row.id, row.track, row.orbit_direction, row.anx, row.swath, row.esa_id, corners)


def columns_of(burst: BurstValue) -> dict[str, Any]:
    """A burst as the columns of a row; its geometry's longitudes run on across the 180th meridian."""
    shape = unrolled(shapely.Polygon(burst.footprint)) if len(burst.footprint) >= 3 else None
    box = shape.bounds if shape is not None else (None, None, None, None)
    return {
        "id": burst.id, "track": burst.track, "orbit_direction": burst.orbit_direction, "anx": burst.anx,
        "swath": burst.swath, "esa_id": burst.esa_id, "geometry": shape,
        **dict(zip(("minx", "miny", "maxx", "maxy"), box, strict=True)),
    }  # fmt: skip


def insert_bursts(db: Store, bursts: Iterable[BurstValue | Mapping[str, Any]]) -> int:
    """Enter bursts given as values, or as mappings with the same names; those known by id stay. Returns how many were given."""
    rows = [columns_of(b if isinstance(b, BurstValue) else _value(b)) for b in bursts]
    with db.session_scope() as session:
        insert_many(session, Burst, rows)
    return len(rows)


def _value(burst: Mapping[str, Any]) -> BurstValue:
    track, anx, swath = BurstValue.parse_id(burst["id"])
    corners = tuple((float(x), float(y)) for x, y in burst.get("footprint", ()))
    return BurstValue(burst["id"], track, str(burst["orbit_direction"]), anx, swath, burst.get("esa_id"), corners)
