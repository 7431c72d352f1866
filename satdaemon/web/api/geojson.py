"""Frames, bursts and points as GeoJSON (RFC 7946), as QGIS and others open it."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import shapely
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response

from satdaemon.db.features import burst_features, frame_features
from satdaemon.db.points import in_box
from satdaemon.errors import RequestError
from satdaemon.web.api.common import ANSWERS
from satdaemon.web.pages.frame import KnownFrame
from satdaemon.web.state import state_of

MEDIA = "application/geo+json"
_MADE: dict[int | str, dict[str, Any]] = {
    200: {"content": {MEDIA: {"schema": {"type": "object"}}}, "description": "A feature collection."}
}
router = APIRouter(prefix="/api/geojson", tags=["GeoJSON"], responses=ANSWERS)
Box = Annotated[
    str | None,
    Query(max_length=200, description="west,south,east,north in degrees; default: everywhere.", examples=["-2,52,-1,53"]),
]
Most = Annotated[int, Query(ge=1, le=100_000, description="Most features that are returned.")]


class GeoJson(Response):
    """An answer of this media type."""

    media_type = MEDIA


@router.get("/frames", response_class=GeoJson, responses=_MADE)
def frames(request: Request, bbox: Box = None, limit: Most = 20_000) -> Response:
    """Frames in service, with how far they are."""
    state = state_of(request)
    progress = state.progress.get()
    found = frame_features(state.database, _box(bbox), limit)
    for one in found:
        known = progress.get(one["id"])
        if known is not None:
            late = None if known.latency_s is None else round(known.latency_s / 86400.0, 2)
            about = {"done": round(known.share, 4), "failed": known.failed, "age_days": known.age_days, "latency_days": late}
            one["properties"] |= about
    return _collection(found)


@router.get("/bursts", response_class=GeoJson, responses=_MADE)
def bursts(
    request: Request,
    bbox: Box = None,
    track: Annotated[int | None, Query(ge=1, le=175)] = None,
    direction: Literal["A", "D"] | None = None,
    limit: Most = 10_000,
) -> Response:
    """Bursts of a box or a track."""
    if bbox is None and track is None:
        raise HTTPException(400, "bursts: expected a bbox or a track, got neither: all of them are a million")
    return _collection(burst_features(state_of(request).database, _box(bbox), limit, track=track, direction=direction))


@router.get("/points/{frame_id}", response_class=GeoJson, responses=_MADE)
def points(request: Request, frame_id: KnownFrame, bbox: Box = None, limit: Most = 50_000) -> Response:
    """Points of a frame, with velocity (mm/yr, positive towards the satellite) and what else is known of them."""
    state = state_of(request)
    bounds = (-180.0, -90.0, 180.0, 90.0) if bbox is None else _numbers(bbox)
    try:
        found = in_box(state.database, frame_id, *bounds, limit=limit)
    except RequestError as error:
        raise HTTPException(404, str(error)) from error
    names = list(found.values)
    table = list(zip(*(found.values[name].tolist() for name in names), strict=True))
    return _collection(
        [
            {
                "type": "Feature",
                "id": int(found.point_id[k]),
                "properties": {name: value if value == value else None for name, value in zip(names, table[k], strict=True)},
                "geometry": {"type": "Point", "coordinates": [float(found.lon[k]), float(found.lat[k])]},
            }
            for k in range(len(found))
        ]
    )


def _collection(features: list[dict[str, Any]]) -> Response:
    return GeoJson(json.dumps({"type": "FeatureCollection", "features": features}))


def _numbers(bbox: str) -> tuple[float, float, float, float]:
    try:
        west, south, east, north = (float(word) for word in bbox.split(","))
    except ValueError:
        raise HTTPException(400, f"bbox: expected west,south,east,north in degrees, got {bbox!r}") from None
    on_earth = -180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= 90 and -90 <= north <= 90
    if not on_earth or south > north:
        raise HTTPException(400, f"bbox: expected degrees of the Earth with south <= north, got {bbox!r}")
    return west, south, east, north


def _box(bbox: str | None) -> Any | None:
    """The shape; of one that crosses the date line two."""
    if bbox is None:
        return None
    west, south, east, north = _numbers(bbox)
    if west <= east:
        return shapely.box(west, south, east, north)
    return shapely.union(shapely.box(west, south, 180.0, north), shapely.box(-180.0, south, east, north))
