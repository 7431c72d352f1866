"""What readers ask of the points: series, those in a box or a polygon, those nearest to a place, all of them in pieces."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import and_, bindparam, or_, select

from satdaemon.db.models import Point, PointSeries, PointsVersion
from satdaemon.db.models.points import ACTIVE
from satdaemon.db.points.cells import BITS, joined_ranges, ranges_of_box
from satdaemon.db.points.fetch import among
from satdaemon.db.points.places import EARTH_M, Box, box_around, boxes_of, distance_m, region_of, within
from satdaemon.db.points.product import COLUMNS
from satdaemon.db.points.shown import ANY_QUALITY, Points, Quality, Shown, shown, version_of, versions
from satdaemon.db.session import READ_ONLY
from satdaemon.db.store import Store
from satdaemon.errors import RequestError

NODATA = -32768
STEP_MM = 0.1
PIECE = 50_000
"""Points that a walk holds in memory at once."""
_ACTIVE = select(PointsVersion.id, PointsVersion.dates).where(
    PointsVersion.frame_id == bindparam("frame"), PointsVersion.state == ACTIVE
)
_ONE = select(PointSeries.series).where(
    PointSeries.version_id == bindparam("version"), PointSeries.point_id == bindparam("point")
)


@dataclass(frozen=True, slots=True)
class Series:
    """One point's displacement."""

    point_id: int
    dates: list[date]
    displacement_mm: NDArray[np.float64]
    """Line of sight, positive towards the satellite, NaN where unknown."""


@dataclass(frozen=True, slots=True)
class ManySeries:
    """Displacement of several points."""

    point_id: NDArray[np.int64]
    dates: list[date]
    displacement_mm: NDArray[np.float64]
    """(points, dates), line of sight, positive towards the satellite, NaN where unknown."""


def in_mm(steps: NDArray[np.int16]) -> NDArray[np.float64]:
    """Stored steps of 0.1 mm as mm, NaN where unknown."""
    return np.where(steps == NODATA, np.nan, steps / 10.0)  # not * 0.1: 3 steps are 0.3 mm, not 0.30000000000000004


def series(db: Store, frame_id: str, point_id: int) -> Series:
    """The series of one point; RequestError where the frame has no such point."""
    with db.points_engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execution_options(isolation_level="AUTOCOMMIT")  # two looks at an index; no BEGIN, no ROLLBACK
        else:
            connection.execution_options(**{READ_ONLY: True})
        version = connection.execute(_ACTIVE, {"frame": frame_id}).first()
        raw = connection.execute(_ONE, {"version": version.id, "point": point_id}).scalar() if version else None
    if version is None or raw is None:
        return _series_with_care(db, frame_id, point_id)
    steps = np.frombuffer(raw, "<i2") if isinstance(raw, bytes) else np.array(raw, np.int16)
    return Series(point_id, [date.fromisoformat(day) for day in version.dates], in_mm(steps))


def _series_with_care(db: Store, frame_id: str, point_id: int) -> Series:
    """Either there is none, which is said, or the version was replaced between the two looks."""
    many = series_of(db, frame_id, [point_id])
    return Series(point_id, many.dates, many.displacement_mm[0])


def series_of(db: Store, frame_id: str, point_ids: Sequence[int] | NDArray[np.int64]) -> ManySeries:
    """The series of several points, in the order asked for; RequestError naming those that the frame has not."""
    ids = np.asarray(point_ids, np.int64)
    with shown(db, frame_id) as view:
        parts = []
        for first in range(0, len(ids), PIECE):
            piece = ids[first : first + PIECE]
            there, _ = view.points([among(view.session, Point.point_id, np.unique(piece))], columns=())
            if lacking := sorted(set(piece.tolist()) - set(there.point_id.tolist())):
                raise _no_point(frame_id, lacking)
            parts.append(view.series(piece))
    steps = np.concatenate(parts) if parts else np.empty((0, len(view.dates)), np.int16)
    return ManySeries(ids, view.dates, in_mm(steps))


def in_box(
    db: Store,
    frame_id: str,
    west: float,
    south: float,
    east: float,
    north: float,
    *,
    limit: int | None = None,
    columns: Sequence[str] | None = None,
    quality: Quality = ANY_QUALITY,
) -> Points:
    """The points shown within a box in degrees, in the order of the Z curve.

    A box whose west is greater than its east crosses the 180th meridian (178, -17, -178, -16).
    `columns` (default: all) are those in `values`.
    """
    boxes = boxes_of(west, south, east, north)
    with shown(db, frame_id) as view:
        return _in_boxes(view, boxes, columns, quality, limit)


def in_polygon(
    db: Store,
    frame_id: str,
    polygon: Any,
    *,
    limit: int | None = None,
    columns: Sequence[str] | None = None,
    quality: Quality = ANY_QUALITY,
) -> Points:
    """The points shown within a polygon or on its border: a shape, WKT, GeoJSON or a vector file, WGS84."""
    region = region_of(polygon)
    found: list[Points] = []
    with shown(db, frame_id) as view:
        for piece in walk(view, region, columns=columns, quality=quality):
            found.append(piece)
            if limit is not None and sum(map(len, found)) >= limit:
                break
    whole = joined(found, view.version.id, columns)
    return whole if limit is None else whole.take(slice(0, limit))


def nearest(
    db: Store,
    frame_id: str,
    lon: float,
    lat: float,
    count: int = 1,
    *,
    columns: Sequence[str] | None = None,
    quality: Quality = ANY_QUALITY,
) -> Points:
    """The `count` points shown nearest to a place, nearest first."""
    if not (abs(lon) <= 180 and abs(lat) <= 90) or count < 1:
        raise RequestError(f"place: expected longitude, latitude in degrees and a count, got {lon}, {lat}, {count}")
    with shown(db, frame_id) as view:
        half_deg = _first_reach_deg(view, lon, lat)
        while True:
            found = _in_boxes(view, box_around(lon, lat, half_deg), (), quality, None)
            metres = distance_m(lon, lat, found.lon, found.lat)
            order = np.argsort(metres, kind="stable")[:count]
            within_m = math.radians(half_deg) * EARTH_M
            if half_deg >= 180 or (len(order) >= count and metres[order[-1]] <= within_m):
                break
            half_deg = min(half_deg * 2, 180.0)
        ids = found.point_id[order]
        rows, _ = view.points([among(view.session, Point.point_id, ids)], columns=columns)
        by_id = np.argsort(rows.point_id)
        return rows.take(by_id[np.searchsorted(rows.point_id, ids, sorter=by_id)])


def walk(
    view: Shown,
    region: Any | None = None,
    *,
    columns: Sequence[str] | None = None,
    quality: Quality = ANY_QUALITY,
    piece: int = PIECE,
) -> Iterator[Points]:
    """All points, or those of a region, along the Z curve in pieces of exactly `piece` points but the last."""
    if region is not None:
        shapely.prepare(region)
    held: list[Points] = []
    for part in _parts(view, region, columns, quality, piece):
        chosen = part if region is None else part.take(within(region, part.lon, part.lat))
        held.append(chosen)
        while sum(map(len, held)) >= piece:
            whole = joined(held, view.version.id, columns)
            yield whole.take(slice(0, piece))
            held = [whole.take(slice(piece, None))]
    rest = joined(held, view.version.id, columns)
    if len(rest):
        yield rest


def joined(parts: Sequence[Points], version: int, columns: Sequence[str] | None) -> Points:
    """Pieces as one."""
    if len(parts) == 1:
        return parts[0]
    names = list(COLUMNS) if columns is None else list(columns)
    values = {name: np.concatenate([np.empty(0, np.float32), *(p.values[name] for p in parts)]) for name in names}
    ids = np.concatenate([np.empty(0, np.int64), *(p.point_id for p in parts)])
    lon, lat = (np.concatenate([np.empty(0), *(getattr(p, axis) for p in parts)]) for axis in ("lon", "lat"))
    return Points(version, ids, lon, lat, values)


def _parts(view: Shown, region: Any | None, columns: Any, quality: Quality, piece: int) -> Iterator[Points]:
    """Points of the boxes around a region, range by range, each piece where the one before ended."""
    inside: list[Any] = []
    ranges = [(0, 1 << 2 * BITS)]
    if region is not None:
        boxes = [_bounds(part) for part in shapely.get_parts(region)]
        boxes = boxes if len(boxes) < 16 else [_bounds(region)]
        # Together, not box by box: where boxes overlap a point would come twice.
        ranges = joined_ranges(span for box in boxes for span in ranges_of_box(*box))
        inside = [or_(*(and_(*_inside(box)) for box in boxes))]
    for first, last in ranges:
        after: list[Any] = []
        while True:
            where = [Point.cell.between(first, last), *after, *inside, *quality.conditions()]
            order = (Point.cell, Point.point_id)
            found, cells = view.points(where, columns=columns, order=order, limit=piece, cells=True)
            assert cells is not None
            yield found
            if len(found) < piece:
                break
            first, point = int(cells[-1]), int(found.point_id[-1])
            after = [or_(Point.cell > first, Point.point_id > point)]


def _in_boxes(view: Shown, boxes: Sequence[Box], columns: Any, quality: Quality, limit: int | None) -> Points:
    found: list[Points] = []
    for box in boxes:
        for near in _near(view, box):
            left = None if limit is None else limit - sum(map(len, found))
            where = [near, *_inside(box), *quality.conditions()]
            found.append(view.points(where, columns=columns, order=(Point.cell, Point.point_id), limit=left)[0])
    return joined(found, view.version.id, columns)


def _near(view: Shown, box: Box) -> list[Any]:
    """The ranges of cells of a box in order, as one condition or as several whose rows follow one another."""
    ranges = [Point.cell.between(first, last) for first, last in ranges_of_box(*box)]
    # SQLite answers OR by a search a range, takes out doubles and sorts: several times as long as range after range.
    return [or_(*ranges)] if view.session.get_bind().dialect.name == "postgresql" else ranges


def _inside(box: Box) -> list[Any]:
    return [Point.lon.between(box[0], box[2]), Point.lat.between(box[1], box[3])]


def _bounds(region: Any) -> Box:
    west, south, east, north = (float(v) for v in region.bounds)
    return west, south, east, north


def _first_reach_deg(view: Shown, lon: float, lat: float) -> float:
    """How far to look first: 100 m, or as far as the frame begins (as loaded; absent in versions of old)."""
    west, south, east, north = view.version.attributes.get("bounds", (-180.0, -90.0, 180.0, 90.0))
    off = min(abs(lon - min(max(lon, west), east)), 360.0), abs(lat - min(max(lat, south), north))
    return max(0.001, min(math.hypot(off[0] * math.cos(math.radians(lat)), off[1]), 20.0))


def _no_point(frame_id: str, ids: Sequence[int]) -> RequestError:
    some = ", ".join(str(i) for i in ids[:5]) + (" ..." if len(ids) > 5 else "")
    return RequestError(f"point {some}: expected points of frame {frame_id}, found none among those shown")


__all__ = [
    "ManySeries", "Points", "Quality", "Series", "in_box", "in_polygon", "joined", "nearest", "series", "series_of",
    "version_of", "versions", "walk",
]  # fmt: skip
