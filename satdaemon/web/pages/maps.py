"""Maps: frames coloured by how they are, the bursts of the world, a new frame from bursts that one picks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Path, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from satdaemon.db.access import audit
from satdaemon.db.preview import preview_bursts
from satdaemon.db.tiles import Tile, burst_tile, frame_tile
from satdaemon.errors import SatDaemonError
from satdaemon.status import Role
from satdaemon.web.access.guard import needs, person, record
from satdaemon.web.render import page
from satdaemon.web.state import state_of

router = APIRouter(include_in_schema=False)
MVT = "application/vnd.mapbox-vector-tile"
MOST_BURSTS = 500
KEPT_ZOOM = 5
"""Up to it there are many frames in a tile, and few tiles."""
Number = Annotated[int, Path(ge=0, le=2**20)]
Bursts = Annotated[str, Query(max_length=20 * MOST_BURSTS, description="Ids, commas between.")]


@router.get("/map")
def whole(request: Request) -> Response:
    """The page."""
    return page(request, "map.html", {"here": "map"})


@router.get("/tiles/bursts/{z}/{x}/{y}")
def bursts(
    request: Request,
    z: Number,
    x: Number,
    y: Number,
    track: Annotated[int | None, Query(ge=1, le=175)] = None,
    direction: Literal["A", "D"] | None = None,
) -> Response:
    """A tile of bursts, from zoom 5 on."""
    return _tile(burst_tile(state_of(request).database, Tile(z, x, y), track=track, direction=direction))


@router.get("/tiles/frames/{z}/{x}/{y}")
def frames(request: Request, z: Number, x: Number, y: Number) -> Response:
    """A tile of frames. Those of large parts of the world are as old as what is known of the frames' progress."""
    state, tile, progress = state_of(request), Tile(z, x, y), state_of(request).progress.get()
    if z > KEPT_ZOOM:
        return _tile(frame_tile(state.database, tile, progress))
    return _tile(state.frame_tiles.get(tile, progress, lambda: frame_tile(state.database, tile, progress)))


@router.get("/map/cells")
def cells(request: Request) -> Response:
    """How many bursts there are where, as GeoJSON: for the map of the whole world."""
    features: list[dict[str, Any]] = [
        {
            "type": "Feature",
            "properties": {"bursts": cell.bursts},
            "geometry": {"type": "Point", "coordinates": [cell.lon, cell.lat]},
        }
        for cell in state_of(request).burst_cells.get()
    ]
    return JSONResponse({"type": "FeatureCollection", "features": features})


@router.get("/map/preview")
def preview(request: Request, bursts: Bursts = "") -> Response:
    """What these bursts would give as a frame."""
    return _preview(request, _ids(bursts), "", None)


@router.post("/map/frame")
@needs(Role.OPERATOR)
def make(
    request: Request,
    bursts: Annotated[str, Form(max_length=20 * MOST_BURSTS)] = "",
    frame_id: Annotated[str, Form(max_length=60)] = "",
) -> Response:
    """Make the frame; it is off until somebody switches it on."""
    state, who = state_of(request), person(request)
    ids = _ids(bursts)
    target = f"frame {frame_id}"
    try:
        state.controller(who.who).make_frame(frame_id.strip(), ids)
    except SatDaemonError as error:
        record(request, "frame made", audit.FAILED, target=target, detail=str(error))
        return _preview(request, ids, frame_id, str(error), 400)
    record(request, "frame made", audit.DONE, target=target, detail=f"{len(ids)} bursts")
    there = f"/frames/{frame_id.strip()}"
    if request.headers.get("hx-request") == "true":
        return Response(status_code=204, headers={"HX-Redirect": there})
    return RedirectResponse(there, 303)


def _preview(request: Request, ids: list[str], frame_id: str, problem: str | None, status: int = 200) -> Response:
    found = None
    if ids:
        try:
            found = preview_bursts(state_of(request).database, ids)
        except SatDaemonError as error:
            problem = problem or str(error)
    values = {"found": found, "ids": ids, "frame_id": frame_id, "problem": problem, "here": "map"}
    part = request.headers.get("hx-request") == "true"
    return page(request, "parts/preview.html" if part else "preview.html", values, status)


def _ids(text: str) -> list[str]:
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))[:MOST_BURSTS]


def _tile(content: bytes) -> Response:
    return Response(content, media_type=MVT, headers={"Cache-Control": "private, max-age=30"})
