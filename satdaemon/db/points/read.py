"""What readers ask of the points: the series of one, those in a box, those nearest to a place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from satdaemon.db.models import Point, PointSeries, PointsVersion
from satdaemon.db.models.points import ACTIVE
from satdaemon.db.points.cells import ranges_of_box
from satdaemon.db.points.product import COLUMNS
from satdaemon.db.session import READ_ONLY
from satdaemon.db.store import Store
from satdaemon.errors import RequestError

NODATA = -32768
STEP_MM = 0.1
EARTH_M = 6_371_000.0


@dataclass(frozen=True, slots=True)
class Series:
    """One point's displacement."""

    point_id: int
    dates: list[date]
    displacement_mm: NDArray[np.float64]
    """Line of sight, positive towards the satellite, NaN where unknown."""


@dataclass(frozen=True, slots=True)
class Points:
    """Some points of a frame, as arrays of equal length."""

    version: int
    point_id: NDArray[np.int64]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    values: dict[str, NDArray[np.float32]]
    """height_m, velocity, velocity_std, temporal_coherence ... NaN where unknown."""

    def __len__(self) -> int:
        return len(self.point_id)


def version_of(db: Store, frame_id: str) -> PointsVersion | None:
    """The version of a frame's points that is shown; None where there is none."""
    with _reading(db) as session:
        return session.scalar(select(PointsVersion).where(PointsVersion.frame_id == frame_id, PointsVersion.state == ACTIVE))


def series(db: Store, frame_id: str, point_id: int) -> Series:
    """The series of one point; RequestError where the frame has no such point."""
    shown = and_(PointsVersion.id == PointSeries.version_id, PointsVersion.frame_id == frame_id, PointsVersion.state == ACTIVE)
    wanted = select(PointsVersion.dates, PointSeries.series).join(PointSeries, shown).where(PointSeries.point_id == point_id)
    with _reading(db) as session:
        row = session.execute(wanted).first()
    if row is None:
        raise RequestError(f"point {point_id}: expected a point of frame {frame_id}, found none among those shown")
    raw = np.frombuffer(row.series, "<i2") if isinstance(row.series, bytes) else np.array(row.series, np.int16)
    displacement = np.where(raw == NODATA, np.nan, raw * STEP_MM)
    return Series(point_id, [date.fromisoformat(day) for day in row.dates], displacement)


def in_box(
    db: Store,
    frame_id: str,
    west: float,
    south: float,
    east: float,
    north: float,
    *,
    limit: int | None = None,
    columns: tuple[str, ...] = tuple(COLUMNS),
) -> Points:
    """The points shown within a box in degrees, in the order of the Z curve."""
    if not (west <= east and south <= north):
        raise RequestError(f"box: expected west <= east and south <= north, got {west}, {south}, {east}, {north}")
    version = version_of(db, frame_id)
    if version is None:
        raise RequestError(f"frame {frame_id}: expected points, found none ingested yet")
    near = or_(*(Point.cell.between(first, last) for first, last in ranges_of_box(west, south, east, north)))
    inside = (Point.lon.between(west, east), Point.lat.between(south, north))
    columns = [Point.point_id, Point.lon, Point.lat, *(getattr(Point, name) for name in COLUMNS)]
    wanted = select(*columns).where(Point.version_id == version.id, near, *inside).order_by(Point.cell).limit(limit)
    with _reading(db) as session:
        return _points(version.id, session.execute(wanted).all())


def nearest(db: Store, frame_id: str, lon: float, lat: float, count: int = 1) -> Points:
    """The `count` points shown nearest to a place, nearest first."""
    half_deg = 0.001
    while True:
        wide = half_deg / max(math.cos(math.radians(lat)), 0.01)
        found = in_box(db, frame_id, lon - wide, lat - half_deg, lon + wide, lat + half_deg)
        metres = _distance_m(lon, lat, found.lon, found.lat)
        order = np.argsort(metres, kind="stable")[:count]
        within_m = math.radians(half_deg) * EARTH_M
        if half_deg > 180 or (len(order) >= count and metres[order[-1]] <= within_m):
            values = {name: v[order] for name, v in found.values.items()}
            return Points(found.version, found.point_id[order], found.lon[order], found.lat[order], values)
        half_deg *= 4


def _reading(db: Store) -> Session:
    return Session(db.points_engine.execution_options(**{READ_ONLY: True}), expire_on_commit=False)


def _points(version: int, rows: Any) -> Points:
    table = np.array([tuple(row) for row in rows], dtype=object).reshape(len(rows), 3 + len(COLUMNS))
    values = {name: table[:, 3 + i].astype(np.float32) for i, name in enumerate(COLUMNS)}
    return Points(version, table[:, 0].astype(np.int64), table[:, 1].astype(float), table[:, 2].astype(float), values)


def _distance_m(lon: float, lat: float, lons: NDArray[np.float64], lats: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.radians(lons - lon) * math.cos(math.radians(lat))
    metres: NDArray[np.float64] = np.hypot(x, np.radians(lats - lat)) * EARTH_M
    return metres
