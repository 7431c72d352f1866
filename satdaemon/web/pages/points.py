"""The points of a frame: a map coloured by velocity, series of points and of areas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

import shapely
from fastapi import APIRouter, HTTPException, Path, Query, Request
from fastapi.responses import Response

from satdaemon.db.points import mean_series, nearest, series_of
from satdaemon.db.points.places import distance_m
from satdaemon.db.tiles import Tile
from satdaemon.errors import RequestError
from satdaemon.web.pages.frame import FrameId, KnownFrame
from satdaemon.web.pages.series_plot import Curve, series_plot
from satdaemon.web.points_picture import Cloud, picture
from satdaemon.web.render import page
from satdaemon.web.state import State, state_of

router = APIRouter(include_in_schema=False)
Lon = Annotated[float, Query(ge=-180, le=180)]
Lat = Annotated[float, Query(ge=-90, le=90)]
Number = Annotated[int, Path(ge=0, le=2**20)]
T = TypeVar("T")
MOST = (5, 10, 20, 50, 100)
SHOWN = 4
"""Points compared at once."""


@router.get("/frames/{frame_id}/points")
def whole(request: Request, frame_id: KnownFrame) -> Response:
    """The page."""
    state = state_of(request)
    cloud = _cloud(state, frame_id)
    values = {"here": "frames", "frame_id": frame_id, "cloud": cloud, "count": len(cloud.x), "scales": MOST}
    return page(request, "points.html", values)


@router.get("/points/{frame_id}/{version}/{z}/{x}/{y}")
def tile(
    request: Request, frame_id: FrameId, version: Number, z: Number, x: Number, y: Number,
    most: Annotated[float, Query(ge=0.1, le=1000, description="mm/yr at the ends of the colours.")] = 20.0,
) -> Response:  # fmt: skip
    """A picture of the points; `version` makes the address one of this set of points."""
    made = picture(_cloud(state_of(request), frame_id), Tile(z, x, y), most)
    return Response(made, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


@router.get("/points/{frame_id}/series")
def series(
    request: Request,
    frame_id: FrameId,
    ids: Annotated[list[int] | None, Query()] = None,
    lon: Lon | None = None,
    lat: Lat | None = None,
) -> Response:
    """Series of points, and of the one nearest to a place."""
    state = state_of(request)
    wanted = list(ids or [])[-SHOWN:]
    near = None
    if lon is not None and lat is not None:
        found = _asked(lambda: nearest(state.database, frame_id, lon, lat))
        near = {name: float(value[0]) for name, value in found.values.items()}
        near |= {"id": int(found.point_id[0]), "lon": float(found.lon[0]), "lat": float(found.lat[0])}
        near["metres"] = float(distance_m(lon, lat, found.lon, found.lat)[0])
        wanted = [*[i for i in wanted if i != near["id"]], int(near["id"])][-SHOWN:]
    if not wanted:
        raise HTTPException(400, "series: expected ids of points, or a place (lon and lat), got neither")
    many = _asked(lambda: series_of(state.database, frame_id, wanted))
    curves = [Curve(f"point {i}", many.dates, mm) for i, mm in zip(many.point_id, many.displacement_mm, strict=True)]
    values = {"plot": series_plot(curves), "near": near, "ids": wanted, "area": None, "frame_id": frame_id}
    return page(request, "parts/series.html", values)


@router.get("/points/{frame_id}/area")
def area(request: Request, frame_id: FrameId, west: Lon, south: Lat, east: Lon, north: Lat) -> Response:
    """The mean series of a box."""
    state = state_of(request)
    if not (west < east and south < north):
        raise HTTPException(400, f"area: expected west < east and south < north, got {west}, {south}, {east}, {north}")
    found = _asked(lambda: mean_series(state.database, frame_id, shapely.box(west, south, east, north)))
    plot = series_plot([Curve(f"mean of {found.points} points", found.dates, found.mean_mm)]) if found.points else None
    values: dict[str, object] = {"plot": plot, "near": None, "ids": [], "area": found, "frame_id": frame_id}
    return page(request, "parts/series.html", values)


def _cloud(state: State, frame_id: str) -> Cloud:
    return _asked(lambda: state.clouds.get(frame_id))


def _asked(ask: Callable[[], T]) -> T:
    """404 where there are no such points."""
    try:
        return ask()
    except RequestError as error:
        raise HTTPException(404, str(error)) from error
