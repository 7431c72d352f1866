"""Frames and their products for a catalogue of assets."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import shapely
from sqlalchemy import func, select

from satdaemon.db.frames import row_of
from satdaemon.db.models import Ifg, Master, Product, frames2bursts
from satdaemon.db.store import Store
from satdaemon.domain import Quicklook

EARTH = (-180.0, -90.0, 180.0, 90.0)
WHOLE = "frame"
"""Key of products of the whole frame, which have no date."""


@dataclass(frozen=True, slots=True)
class StacFrame:
    """A frame."""

    id: str
    track: int
    direction: str
    bursts: int
    bounds: tuple[float, float, float, float]
    """West, south, east, north, degrees; the Earth's where no shape is known."""
    geometry: dict[str, Any]
    first: date | None
    last: date | None


@dataclass(frozen=True, slots=True)
class StacProduct:
    """A product whose files are there."""

    id: int
    stage: str
    path: str
    fingerprint: str
    metrics: dict[str, Any]
    quicklooks: tuple[Quicklook, ...]


@dataclass(frozen=True, slots=True)
class StacRow:
    """A date or a pair with products."""

    key: str
    date1: date
    date2: date | None
    updated: datetime
    products: tuple[StacProduct, ...]


def stac_frame(db: Store, frame_id: str) -> StacFrame:
    """One frame. RequestError for an unknown one."""
    with db.read_scope() as session:
        row = row_of(session, frame_id)
        first, last = session.execute(select(func.min(Ifg.date), func.max(Ifg.date)).where(Ifg.frame_id == frame_id)).one()
        master = session.scalar(select(Master.date).where(Master.frame_id == frame_id))
        linked = select(func.count()).select_from(frames2bursts).where(frames2bursts.c.frame_id == frame_id)
        bursts = session.scalar(linked) or 0
    days = [day for day in (first, last, master) if day is not None]
    shape = row.geometry if row.geometry is not None else shapely.box(*EARTH)
    bounds = tuple(float(value) for value in shape.bounds)
    geometry = json.loads(shapely.to_geojson(shape))
    ends = (min(days, default=None), max(days, default=None))
    return StacFrame(frame_id, row.track, row.orbit_direction, bursts, bounds, geometry, *ends)  # type: ignore[arg-type]


def stac_rows(db: Store, frame_id: str) -> list[StacRow]:
    """Dates and pairs with products whose files are there, by key."""
    columns = (
        Product.key, Product.id, Product.stage, Product.path, Product.fingerprint, Product.metrics, Product.quicklooks,
        Product.created_utc,
    )  # fmt: skip
    wanted = select(*columns).where(Product.frame_id == frame_id, Product.removed_utc.is_(None), Product.key != WHOLE)
    found: dict[str, list[Any]] = defaultdict(list)
    with db.read_scope() as session:
        for row in session.execute(wanted.order_by(Product.key, Product.id)):
            found[row[0]].append(row)
    rows = []
    for key, products in found.items():
        days = [datetime.strptime(word, "%Y%m%d").date() for word in key.split("_")]
        made = tuple(
            StacProduct(p.id, p.stage, p.path, p.fingerprint, p.metrics, tuple(map(Quicklook.from_json, p.quicklooks)))
            for p in products
        )
        rows.append(StacRow(key, days[0], days[1] if len(days) > 1 else None, max(p.created_utc for p in products), made))
    return rows
