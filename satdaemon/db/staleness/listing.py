"""What is stale, since when, why, and what it costs to make again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from satdaemon.db.costs import typical_cpu_s
from satdaemon.db.models import LEDGER, MODEL_OF, Frame, Product, StaleProduct, stage_id, stage_of
from satdaemon.db.store import Store
from satdaemon.domain import product_key
from satdaemon.errors import RequestError
from satdaemon.status import STAGES_OF, ProcStatus, RowKind, Stage


@dataclass(frozen=True, slots=True)
class StaleRow:
    """A row that is STALE."""

    frame_id: str
    kind: RowKind
    row_id: int
    date1: date
    date2: date | None
    stage: Stage
    """The first stage whose product is stale: from here it would be made again."""
    stages: tuple[Stage, ...]
    """All that would be made again."""
    since_utc: datetime
    reason: str
    allowed: bool
    """It is made again by itself, once what it reads has been."""
    bytes: int
    """What its products of these stages occupy now."""
    cpu_h: float | None
    """What finished jobs of the frame, the stage and the kind of row took on average, summed; None where there are none."""


def stale(db: Store, frames: Sequence[str] | None = None) -> list[StaleRow]:
    """The rows that are STALE, by frame, then master, dates, pairs. RequestError for a frame that does not exist."""
    with db.read_scope() as session:
        if frames is not None:
            known = set(session.scalars(select(Frame.id).where(Frame.id.in_(frames))))
            if unknown := sorted(set(frames) - known):
                raise RequestError(f"frames: expected frames of the database, got unknown ones: {', '.join(unknown)}")
        rows = [row for kind in RowKind for row in _rows(session, kind, frames)]
        by_frame: dict[str, list[Any]] = {}
        for row in rows:
            by_frame.setdefault(row.frame_id, []).append(row)
        return [found for frame_id in sorted(by_frame) for found in _of_frame(session, frame_id, by_frame[frame_id])]


def _rows(session: Session, kind: RowKind, frames: Sequence[str] | None) -> list[Any]:
    model: Any = MODEL_OF[kind]
    # Both conditions, so that the partial index over RUNNING and STALE rows serves.
    wanted = select(model).where(model.proc_status.in_((1, 6)), model.proc_status == int(ProcStatus.STALE))
    if frames is not None:
        wanted = wanted.where(model.frame_id.in_(frames))
    dates = (model.date1, model.date2) if kind is RowKind.RSAR_IFG else (model.date,)
    return list(session.scalars(wanted.order_by(model.frame_id, *dates)))


def _of_frame(session: Session, frame_id: str, rows: list[Any]) -> list[StaleRow]:
    columns = (Product.stage, Product.key, Product.bytes, StaleProduct.since_utc, Product.cpu_s)
    joined = select(*columns).outerjoin(StaleProduct, StaleProduct.product_id == Product.id).where(Product.frame_id == frame_id)
    products = {(Stage(stage), key): rest for stage, key, *rest in session.execute(joined)}
    typical = typical_cpu_s(session, frame_id)
    by_itself = _next_of(session, frame_id)
    return [_row(row, products, typical, by_itself) for row in rows]


def _row(
    row: Any,
    products: dict[tuple[Stage, str], list[Any]],
    typical: dict[tuple[RowKind, Stage], float],
    by_itself: set[tuple[str, int, str]],
) -> StaleRow:
    kind: RowKind = row.kind
    day1, day2 = (row.date1, row.date2) if kind is RowKind.RSAR_IFG else (row.date, None)
    done = STAGES_OF[kind][: row.proc_stage]
    mine = {stage: products.get((stage, product_key(kind, stage, day1, day2))) for stage in done}
    noted = [stage_id(kind, stage) for stage, found in mine.items() if found is not None and found[1] is not None]
    first = min([*noted, *([row.stale_from] if row.stale_from is not None else [])], default=1)
    stages = done[first - 1 :]
    since = [found[1] for stage in stages if (found := mine[stage]) is not None and found[1] is not None]
    costs = [_cost_s(typical.get((kind, stage)), mine[stage]) for stage in stages]
    known = [cost for cost in costs if cost is not None]
    return StaleRow(
        frame_id=row.frame_id,
        kind=kind,
        row_id=row.id,
        date1=day1,
        date2=day2,
        stage=stage_of(kind, first),
        stages=stages,
        since_utc=min(since, default=row.last_updated),
        reason=row.reason or "no reason given",
        allowed=(kind.value, row.id, stage_of(kind, row.stale_from or row.proc_stage).value) in by_itself,
        bytes=sum(found[0] for stage in stages if (found := mine[stage]) is not None),
        cpu_h=sum(known) / 3600 if known else None,
    )


def _cost_s(typical: float | None, product: list[Any] | None) -> float | None:
    """CPU-s of like jobs, else what this product itself took."""
    if typical is not None or product is None:
        return typical
    return None if product[2] is None else float(product[2])


def _next_of(session: Session, frame_id: str) -> set[tuple[str, int, str]]:
    """(kind, row, stage) of what the rows of a frame do next by themselves."""
    columns = LEDGER.c
    here = (columns.frame_id == frame_id, columns.is_next, columns.is_on)
    found = session.execute(select(columns.kind, columns.row_id, columns.stage).where(*here))
    return {(kind, row, stage) for kind, row, stage in found}
