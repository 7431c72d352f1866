"""Bursts into the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from satdaemon.db.links import columns_of
from satdaemon.db.models import Burst
from satdaemon.db.store import Store
from satdaemon.db.upsert import insert_many
from satdaemon.domain import Burst as BurstValue


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
