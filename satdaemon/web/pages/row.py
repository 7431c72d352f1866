"""One date (an image) or one pair (an interferogram) of a frame."""

from __future__ import annotations

from datetime import date

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from satdaemon.db.row_view import RowView, row_view
from satdaemon.web.pages.frame import KnownFrame
from satdaemon.web.quicklooks import shown
from satdaemon.web.render import page
from satdaemon.web.state import state_of

router = APIRouter(include_in_schema=False)


@router.get("/frames/{frame_id}/{day}")
def image(request: Request, frame_id: KnownFrame, day: date) -> Response:
    """A date."""
    return _page(request, frame_id, day, None)


@router.get("/frames/{frame_id}/{day}/{day2}")
def pair(request: Request, frame_id: KnownFrame, day: date, day2: date) -> Response:
    """A pair."""
    return _page(request, frame_id, day, day2)


def known_row(request: Request, frame_id: str, day: date, day2: date | None) -> RowView:
    """The date or pair; 404 where the frame has none such."""
    found = row_view(state_of(request).database, frame_id, day, day2)
    if found is None:
        what = f"the date {day}" if day2 is None else f"the pair {day} to {day2}"
        raise HTTPException(404, f"frame {frame_id} does not have {what}")
    return found


def _page(request: Request, frame_id: str, day: date, day2: date | None) -> Response:
    row = known_row(request, frame_id, day, day2)
    pictures = {view.product.id: shown(view.product) for view in row.products}
    values = {"here": "frames", "frame_id": frame_id, "day": day, "day2": day2, "row": row, "pictures": pictures}
    return page(request, "row.html", values)
