"""One frame: where it is, what it owes, what it is made of, what it has cost, what happened to it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path, Request
from fastapi.responses import Response

from satdaemon.db import frames, latency
from satdaemon.db.changes_list import changes
from satdaemon.db.costs import stage_costs
from satdaemon.db.date_list import dates_of
from satdaemon.db.frame_network import network_of
from satdaemon.db.frame_overview import overviews
from satdaemon.db.frame_rate import time_left
from satdaemon.db.frame_switches import frame_switches
from satdaemon.db.ledger import entries
from satdaemon.db.points import version_of
from satdaemon.db.product_totals import product_totals
from satdaemon.db.quicklook_view import frame_products
from satdaemon.db.summary import HELD_UP, counts_of
from satdaemon.domain import Frame
from satdaemon.web.pages.plots import burst_map, network_plot, stage_grid
from satdaemon.web.quicklooks import shown
from satdaemon.web.render import page
from satdaemon.web.state import State, state_of

router = APIRouter(include_in_schema=False)
FrameId = Annotated[str, Path(max_length=60)]
LISTED = 100


def _known(request: Request, frame_id: FrameId) -> str:
    if not frame_switches(state_of(request).database, [frame_id]):
        raise HTTPException(404, f"frame {frame_id!r}: there is none of the name")
    return frame_id


KnownFrame = Annotated[str, Depends(_known)]
"""The id of a frame in the address; 404 where there is none of the name."""


@router.get("/frames/{frame_id}")
def frame(request: Request, frame_id: KnownFrame) -> Response:
    """The page."""
    state = state_of(request)
    (one,) = overviews(state.database, [frame_id], counts=False)
    every = entries(state.database, frame_id)
    standing = [entry for entry in every if entry.is_current]
    network = network_of(state.database, frame_id, standing)
    held = [entry for entry in standing if entry.state in HELD_UP]
    values = {
        "here": "frames",
        "has_points": version_of(state.database, frame_id) is not None,
        "frame": one,
        "counts": counts_of(every),
        "held": held[:LISTED],
        "held_more": max(len(held) - LISTED, 0),
        "grid": stage_grid(every),
        "plot": network_plot(network),
        "bursts": burst_map(_value(state, frame_id)),
        "pictures": [one for product in frame_products(state.database, frame_id) for one in shown(product)],
        "costs": stage_costs(state.database, frame_id),
        "products": product_totals(state.database, frame_id),
        "left": time_left(state.database, frame_id, standing),
        "changes": changes(state.database, most=50, frame_id=frame_id),
    }
    return page(request, "frame.html", values)


@router.get("/frames/{frame_id}/dates")
def dates(request: Request, frame_id: KnownFrame) -> Response:
    """The dates, with how long each took from sensing to points."""
    database = state_of(request).database
    values = {"frame_id": frame_id, "dates": dates_of(database, frame_id), "latency": latency.of_frame(database, frame_id)}
    return page(request, "parts/dates.html", values)


def _value(state: State, frame_id: str) -> Frame:
    with state.database.read_scope() as session:
        return frames.frame_of(session, frame_id)
