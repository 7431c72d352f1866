"""Frames, their dates and pairs."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from satdaemon.db import latency
from satdaemon.db.changes_list import Change, changes
from satdaemon.db.costs import StageCost, stage_costs
from satdaemon.db.date_list import DateEntry, dates_of
from satdaemon.db.frame_list import FrameLine, Show, Sort, frame_page
from satdaemon.db.frame_network import Network, network_of
from satdaemon.db.frame_overview import FrameOverview, overviews
from satdaemon.db.frame_rate import TimeLeft, time_left
from satdaemon.db.ledger import Entry, entries
from satdaemon.db.product_totals import ProductTotal, product_totals
from satdaemon.db.row_view import Metric, RowView
from satdaemon.db.summary import StageCounts, summary
from satdaemon.planning.latency import Latency
from satdaemon.status import LedgerState, RowKind, Stage
from satdaemon.web.api.common import ANSWERS, Limit, Offset, Paged
from satdaemon.web.api.products import QuicklookOut, quicklooks_out
from satdaemon.web.pages.frame import KnownFrame
from satdaemon.web.pages.row import known_row
from satdaemon.web.state import state_of

router = APIRouter(prefix="/api/frames", tags=["frames"], responses=ANSWERS)


class ProductOut(BaseModel):
    """A product."""

    id: int
    stage: Stage
    key: str
    path: str
    files: int
    bytes: int
    checksum: str
    processor: str
    processor_version: str
    fingerprint: str
    inputs: dict[str, Any]
    created_utc: datetime
    cpu_s: float | None
    wall_s: float | None
    warnings: list[str]
    job_id: int
    metrics: tuple[Metric, ...]
    quicklooks: list[QuicklookOut]


class SceneOut(BaseModel):
    """A zip."""

    id: str
    state: str
    size: int | None
    checksum: str | None
    path: str | None
    url: str | None
    reason: str | None


class RowOut(BaseModel):
    """A date or pair."""

    entries: tuple[Entry, ...]
    products: list[ProductOut]
    scenes: list[SceneOut]
    bperp_m: float | None
    coverage: float | None


@router.get("")
def listing(
    request: Request,
    q: Annotated[str, Query(max_length=200, description="Part of the id or notes.")] = "",
    show: Show = Show.ALL,
    track: Annotated[int | None, Query(ge=1, le=175)] = None,
    direction: Literal["A", "D"] | None = None,
    sort: Sort = Sort.ID,
    descending: bool = False,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Paged[FrameLine]:
    """Frames with their counts."""
    found = frame_page(
        state_of(request).database, text=q, show=show, track=track, direction=direction, sort=sort, descending=descending,
        limit=limit, offset=offset,
    )  # fmt: skip
    return Paged[FrameLine](total=found.total, items=list(found.lines))


@router.get("/{frame_id}")
def one(request: Request, frame_id: KnownFrame) -> FrameOverview:
    """One frame."""
    (found,) = overviews(state_of(request).database, [frame_id])
    return found


@router.get("/{frame_id}/summary")
def counts(request: Request, frame_id: KnownFrame) -> list[StageCounts]:
    """Rows by stage and state."""
    return summary(state_of(request).database, frame_id)


@router.get("/{frame_id}/products")
def products(request: Request, frame_id: KnownFrame) -> list[ProductTotal]:
    """What its products take, a stage each."""
    return product_totals(state_of(request).database, frame_id)


@router.get("/{frame_id}/rows")
def rows(
    request: Request,
    frame_id: KnownFrame,
    kind: RowKind | None = None,
    stage: Stage | None = None,
    in_state: Annotated[LedgerState | None, Query(alias="state")] = None,
    current: bool = True,
    limit: Limit = 1000,
    offset: Offset = 0,
) -> Paged[Entry]:
    """Where each stage of each row stands, and why; `current`: the one stage that says where a row stands."""
    states = None if in_state is None else (in_state,)
    found = entries(state_of(request).database, frame_id, kind=kind, stage=stage, states=states, current_only=current)
    return Paged[Entry](total=len(found), items=found[offset : offset + limit])


@router.get("/{frame_id}/dates")
def dates(request: Request, frame_id: KnownFrame) -> list[DateEntry]:
    """The dates, the master among them."""
    return dates_of(state_of(request).database, frame_id)


@router.get("/{frame_id}/network")
def network(request: Request, frame_id: KnownFrame) -> Network:
    """Interferograms over time and perpendicular baseline."""
    database = state_of(request).database
    return network_of(database, frame_id, entries(database, frame_id, current_only=True))


@router.get("/{frame_id}/latency")
def late(request: Request, frame_id: KnownFrame) -> dict[date, Latency]:
    """How late each date is, from sensing to its points, and what the time went to (seconds)."""
    return latency.of_frame(state_of(request).database, frame_id)


@router.get("/{frame_id}/costs")
def costs(request: Request, frame_id: KnownFrame) -> list[StageCost]:
    """What each stage has cost."""
    return stage_costs(state_of(request).database, frame_id)


@router.get("/{frame_id}/rate")
def rate(request: Request, frame_id: KnownFrame) -> TimeLeft:
    """What is open, and how fast it goes on."""
    database = state_of(request).database
    return time_left(database, frame_id, entries(database, frame_id, current_only=True))


@router.get("/{frame_id}/history")
def history(request: Request, frame_id: KnownFrame, limit: Limit = 200) -> list[Change]:
    """What people changed of it."""
    return changes(state_of(request).database, most=limit, frame_id=frame_id)


@router.get("/{frame_id}/dates/{day}")
def image(request: Request, frame_id: KnownFrame, day: date) -> RowOut:
    """One date."""
    return _out(known_row(request, frame_id, day, None))


@router.get("/{frame_id}/pairs/{day}/{day2}")
def pair(request: Request, frame_id: KnownFrame, day: date, day2: date) -> RowOut:
    """One interferogram."""
    return _out(known_row(request, frame_id, day, day2))


def _out(row: RowView) -> RowOut:
    columns = [name for name in ProductOut.model_fields if name not in ("metrics", "quicklooks")]
    return RowOut(
        entries=row.entries,
        products=[
            ProductOut(
                metrics=view.metrics,
                quicklooks=quicklooks_out(view.product),
                **{name: getattr(view.product, name) for name in columns},
            )
            for view in row.products
        ],
        scenes=[
            SceneOut(id=f.id, state=f.state, size=f.size, checksum=f.checksum, path=f.abspath, url=f.url, reason=f.reason)
            for f in row.scenes
        ],
        bperp_m=row.bperp_m,
        coverage=row.coverage,
    )
