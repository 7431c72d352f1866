"""Products as a STAC catalogue (SpatioTemporal Asset Catalog 1.1): a collection a frame, an item a date or a pair."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Request

from satdaemon.db.frame_list import frame_page
from satdaemon.db.stac_view import StacFrame, StacRow, stac_frame, stac_rows
from satdaemon.web.api.common import ANSWERS, Limit, Offset
from satdaemon.web.pages.frame import KnownFrame
from satdaemon.web.quicklooks import address_of, name_of
from satdaemon.web.state import State, state_of

VERSION = "1.1.0"
router = APIRouter(prefix="/stac", tags=["STAC"], responses=ANSWERS)
Key = Annotated[str, Path(max_length=20, description="A date or a pair: 20230101 or 20230101_20230113.")]


@router.get("")
def catalogue(request: Request) -> dict[str, Any]:
    """The root."""
    here = _base(request)
    return {
        "type": "Catalog", "stac_version": VERSION, "id": "satdaemon", "title": "SatDaemon",
        "description": "Products of the frames of a SatDaemon system.",
        "links": [_link("self", here), _link("root", here), _link("data", f"{here}/collections")],
    }  # fmt: skip


@router.get("/collections")
def collections(request: Request, limit: Limit = 100, offset: Offset = 0) -> dict[str, Any]:
    """The frames."""
    state, here = state_of(request), _base(request)
    page = frame_page(state.database, limit=limit, offset=offset)
    found = [_collection(state, here, line.frame.id) for line in page.lines]
    links = [_link("self", f"{here}/collections"), _link("root", here)]
    if offset + limit < page.total:
        links.append(_link("next", f"{here}/collections?limit={limit}&offset={offset + limit}"))
    return {"collections": found, "links": links, "numberMatched": page.total, "numberReturned": len(found)}


@router.get("/collections/{frame_id}")
def collection(request: Request, frame_id: KnownFrame) -> dict[str, Any]:
    """One frame."""
    state = state_of(request)
    return _collection(state, _base(request), frame_id)


@router.get("/collections/{frame_id}/items")
def items(request: Request, frame_id: KnownFrame, limit: Limit = 100, offset: Offset = 0) -> dict[str, Any]:
    """Its dates and pairs that have products, by name."""
    state, here = state_of(request), _base(request)
    frame = stac_frame(state.database, frame_id)
    rows = stac_rows(state.database, frame_id)
    found = [_item(here, frame, row) for row in rows[offset : offset + limit]]
    place = f"{here}/collections/{frame_id}/items"
    links = [_link("self", place), _link("root", here), _link("collection", f"{here}/collections/{frame_id}")]
    if offset + limit < len(rows):
        links.append(_link("next", f"{place}?limit={limit}&offset={offset + limit}"))
    return {
        "type": "FeatureCollection", "features": found, "links": links, "numberMatched": len(rows), "numberReturned": len(found),
    }  # fmt: skip


@router.get("/collections/{frame_id}/items/{key}")
def item(request: Request, frame_id: KnownFrame, key: Key) -> dict[str, Any]:
    """One date or pair."""
    state = state_of(request)
    rows = [row for row in stac_rows(state.database, frame_id) if row.key == key]
    if not rows:
        raise HTTPException(404, f"frame {frame_id} has no products of {key[:40]!r}")
    return _item(_base(request), stac_frame(state.database, frame_id), rows[0])


def _collection(state: State, here: str, frame_id: str) -> dict[str, Any]:
    frame = stac_frame(state.database, frame_id)
    place = f"{here}/collections/{frame_id}"
    return {
        "type": "Collection", "stac_version": VERSION, "id": frame_id, "title": frame_id, "license": "other",
        "description": f"Sentinel-1 track {frame.track}, {'ascending' if frame.direction == 'A' else 'descending'}: "
        f"{frame.bursts} bursts.",
        "extent": {
            "spatial": {"bbox": [list(frame.bounds)]},
            "temporal": {"interval": [[_time(frame.first), _time(frame.last)]]},
        },
        "links": [_link("self", place), _link("root", here), _link("parent", here), _link("items", f"{place}/items")],
    }  # fmt: skip


def _item(here: str, frame: StacFrame, row: StacRow) -> dict[str, Any]:
    place = f"{here}/collections/{frame.id}"
    when: dict[str, Any] = {"datetime": _time(row.date1)}
    if row.date2 is not None:
        when = {"datetime": None, "start_datetime": _time(row.date1), "end_datetime": _time(row.date2)}
    assets: dict[str, dict[str, Any]] = {}
    for product in row.products:
        assets[product.stage] = {
            "href": f"file://{product.path}", "title": f"Product of {product.stage}", "roles": ["data"],
            "satdaemon:fingerprint": product.fingerprint, "satdaemon:metrics": product.metrics,
        }  # fmt: skip
        for one in product.quicklooks:
            assets[f"{product.stage}-{name_of(one)}"] = {
                "href": f"{here.removesuffix('/stac')}{address_of(product.id, one)}", "type": "image/png",
                "title": f"{one.title}, {one.least:g} to {one.most:g} {one.unit}", "roles": ["thumbnail"],
            }  # fmt: skip
    return {
        "type": "Feature", "stac_version": VERSION, "id": f"{frame.id}-{row.key}", "collection": frame.id,
        "geometry": frame.geometry, "bbox": list(frame.bounds),
        "properties": {
            **when, "constellation": "sentinel-1", "updated": f"{row.updated:%Y-%m-%dT%H:%M:%SZ}", "satdaemon:key": row.key,
            "satdaemon:track": frame.track,
        },
        "links": [
            _link("self", f"{place}/items/{row.key}"), _link("root", here), _link("parent", place), _link("collection", place),
        ],
        "assets": assets,
    }  # fmt: skip


def _link(rel: str, href: str) -> dict[str, str]:
    return {"rel": rel, "href": href, "type": "application/geo+json" if rel == "items" else "application/json"}


def _base(request: Request) -> str:
    return f"{str(request.base_url).rstrip('/')}/stac"


def _time(day: date | None) -> str | None:
    return None if day is None else f"{day:%Y-%m-%d}T00:00:00Z"
