"""What is asked of an archive: places on tracks, times. One request may serve many frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Self

from shapely import STRtree, from_wkt
from shapely.affinity import translate
from shapely.errors import GEOSException
from shapely.geometry import MultiPoint, MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from satdaemon.domain import REPEAT_ORBITS, Frame, Scene
from satdaemon.errors import RequestError

Footprint = tuple[tuple[float, float], ...]
WIDE_DEG = 25.0
"""Places further apart than this in longitude or latitude are not put into one polygon."""
MARGIN_DEG = 0.1
"""Added around what is asked for: archives reckon with other lines between corners. What is found is looked at exactly."""
FEW_DAYS = timedelta(days=4)
"""The archives' whole world is asked for over no more than this."""


@dataclass(frozen=True, slots=True)
class Place:
    """Footprints that belong together, as the bursts of a frame do. Without track or direction, any will do."""

    name: str
    footprints: tuple[Footprint, ...]
    track: int | None = None
    direction: str | None = None

    def may_show(self, scene: Scene) -> bool:
        """True where track and direction agree. A slice may begin on the track before, and cross the equator."""
        on_track = self.track is None or scene.track in (self.track, before(self.track))
        return on_track and self.direction in (None, scene.orbit_direction)


@dataclass(frozen=True, slots=True)
class Query:
    """What one question to an archive has: every field narrows it, None does not."""

    ring: Footprint | None
    """Counter-clockwise, closed, longitudes within +-180 (it may cross the 180th meridian)."""
    tracks: tuple[int, ...]
    direction: str | None
    start_utc: datetime | None
    stop_utc: datetime | None
    since_utc: datetime | None
    until_utc: datetime | None = None


@dataclass(frozen=True)
class Area:
    """A request: the scenes that show one of the places; all of the world where there is none.

    `start_utc`, `stop_utc`: sensed within. `since_utc`, `until_utc`: put into the archive after, and before; reissued
    products are.
    """

    places: tuple[Place, ...] = ()
    start_utc: datetime | None = None
    stop_utc: datetime | None = None
    since_utc: datetime | None = None
    until_utc: datetime | None = None

    @classmethod
    def of_frames(cls, frames: Iterable[Frame], *, bare: bool = False, **times: datetime | None) -> Self:
        """The bursts of frames, each on its track. RequestError for a frame whose bursts have no footprints, but where
        `bare` ones will do.
        """
        return cls(tuple(_place(frame, bare) for frame in frames), **times)

    @classmethod
    def of_wkt(cls, text: str, track: int | None = None, direction: str | None = None, **times: datetime | None) -> Self:
        """A polygon (or several) in well-known text, lon lat degrees. RequestError where it is none."""
        try:
            shape = from_wkt(text)
        except GEOSException as error:
            raise RequestError(f"area: expected POLYGON ((lon lat, ...)), got {text[:60]!r} ({error})") from error
        if not isinstance(shape, Polygon | MultiPolygon) or shape.is_empty or not shape.is_valid:
            raise RequestError(f"area: expected a valid POLYGON ((lon lat, ...)), got {text[:60]!r}")
        parts = shape.geoms if isinstance(shape, MultiPolygon) else [shape]
        rings = tuple(tuple((float(x), float(y)) for x, y, *_ in part.exterior.coords[:-1]) for part in parts)
        return cls((Place("area", rings, track, direction),), **times)

    def shows(self, scene: Scene, footprint: Footprint) -> bool:
        """True where the scene shows one of the places (or there is none)."""
        return not self.places or bool(self.shown(scene, footprint))

    def shown(self, scene: Scene, footprint: Footprint) -> tuple[str, ...]:
        """Names of the places that the scene shows."""
        tree, owners = self._index
        seen = unrolled(footprint)
        met = {int(k) for shift in (0, 360, -360) for k in tree.query(translate(seen, shift), predicate="intersects")}
        places = {owners[k] for k in met}
        return tuple(self.places[k].name for k in sorted(places) if self.places[k].may_show(scene))

    def queries(self) -> list[Query]:
        """The fewest questions that cover it. RequestError where that is all that an archive has."""
        whole = self._query(self.places)
        if whole.ring is not None:
            return [whole]
        if self._is_short():
            return [whole]
        if not self.places:
            raise RequestError("search: expected places, or a time since when; got neither: that is the whole archive")
        return [query for place in self.places for query in self._of_one(place)]

    def _of_one(self, place: Place) -> Iterator[Query]:
        query = self._query((place,))
        if query.ring is None:
            raise RequestError(f"{place.name}: expected a place of at most {WIDE_DEG:g} degrees, got a wider one; split it")
        yield query

    def _query(self, places: Sequence[Place]) -> Query:
        tracks = {place.track for place in places}
        directions = {place.direction for place in places}
        track = tracks.pop() if len(tracks) == 1 else None
        return Query(
            _hull(places),
            () if track is None else (before(track), track),
            directions.pop() if len(directions) == 1 else None,
            self.start_utc,
            self.stop_utc,
            self.since_utc,
            self.until_utc,
        )

    def _is_short(self) -> bool:
        if self.since_utc is not None:
            return True
        return self.start_utc is not None and self.stop_utc is not None and self.stop_utc - self.start_utc <= FEW_DAYS

    @cached_property
    def _index(self) -> tuple[STRtree, list[int]]:
        shapes = [(unrolled(each), k) for k, place in enumerate(self.places) for each in place.footprints]
        return STRtree([shape for shape, _ in shapes]), [k for _, k in shapes]


def before(track: int) -> int:
    """The track flown one orbit earlier."""
    return (track - 2) % REPEAT_ORBITS + 1


def unrolled(corners: Sequence[tuple[float, float]]) -> BaseGeometry:
    """Convex hull in degrees, across the 180th meridian where the corners are."""
    lon0 = (corners[0][0] + 180) % 360 - 180
    return MultiPoint([(lon0 + (lon - lon0 + 180) % 360 - 180, lat) for lon, lat in corners]).convex_hull


def _place(frame: Frame, bare: bool) -> Place:
    footprints = tuple(burst.footprint for burst in frame.bursts if len(burst.footprint) >= 3)
    if not footprints and not bare:
        raise RequestError(f"{frame.id}: expected bursts with footprints, got none; load the burst map")
    return Place(frame.id, footprints, frame.track, frame.orbit_direction)


def _hull(places: Sequence[Place]) -> Footprint | None:
    """Around all places; None where they are too far apart, or there is none."""
    corners = [corner for place in places for footprint in place.footprints for corner in footprint]
    if not corners:
        return None
    hull = unrolled(corners).buffer(MARGIN_DEG, quad_segs=1).convex_hull
    west, south, east, north = hull.bounds
    if max(east - west, north - south) > WIDE_DEG or max(-south, north) > 89:
        return None
    ring = hull.exterior.coords if hull.exterior.is_ccw else hull.exterior.coords[::-1]
    return tuple((round((lon + 180) % 360 - 180, 6), round(lat, 6)) for lon, lat in ring)
