"""One date or pair of a frame with all that is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from statistics import median
from typing import Any

from sqlalchemy import select

from satdaemon.db.ledger import Entry, entries
from satdaemon.db.models import File, Ifg, JobEvent, Product, frames2files
from satdaemon.db.store import Store
from satdaemon.domain import product_key
from satdaemon.status import RowKind


@dataclass(frozen=True, slots=True)
class Metric:
    """A number of a product beside those of the frame's other products of the stage."""

    name: str
    value: Any
    least: float | None
    middle: float | None
    most: float | None
    is_unusual: bool
    """Outside of what nine in ten of the others have, where there are ten others at least."""


@dataclass(frozen=True, slots=True)
class ProductView:
    """A product of the row."""

    product: Product
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class RowView:
    """A date or a pair."""

    entries: tuple[Entry, ...]
    """A stage each; of a master its date's too."""
    products: tuple[ProductView, ...]
    scenes: tuple[File, ...]
    """Zips of the date."""
    events: tuple[JobEvent, ...]
    """The newest first."""
    bperp_m: float | None
    coverage: float | None


def row_view(db: Store, frame_id: str, date1: date, date2: date | None, events: int = 60) -> RowView | None:
    """None where the frame has no such row."""
    found = [e for e in entries(db, frame_id) if e.date1 == date1 and (e.kind is RowKind.RSAR_IFG) == (date2 is not None)]
    if date2 is not None:
        found = [entry for entry in found if entry.date2 == date2]
    if not found:
        return None
    with db.read_scope() as session:
        keys = {product_key(entry.kind, entry.stage, date1, date2) for entry in found} - {"frame"}
        products = session.scalars(select(Product).where(Product.frame_id == frame_id, Product.key.in_(keys))).all()
        link = frames2files.c
        of_date = select(link.file_id).where(link.frame_id == frame_id, link.date == date1)
        scenes = session.scalars(select(File).where(File.id.in_(of_date)).order_by(File.id)).all() if date2 is None else []
        happened = select(JobEvent).where(JobEvent.frame_id == frame_id, JobEvent.date1 == date1)
        happened = happened.where(JobEvent.date2.is_(None) if date2 is None else JobEvent.date2 == date2)
        latest = session.scalars(happened.order_by(JobEvent.id.desc()).limit(events)).all()
        ifg = session.scalar(select(Ifg).where(Ifg.frame_id == frame_id, Ifg.date == date1)) if date2 is None else None
        order = {entry.stage.value: place for place, entry in enumerate(found)}
        views = [_view(session, product) for product in sorted(products, key=lambda p: order.get(p.stage, 99))]
    bperp, coverage = (None, None) if ifg is None else (ifg.bperp_m, ifg.coverage)
    return RowView(tuple(found), tuple(views), tuple(scenes), tuple(latest), bperp, coverage)


def _view(session: Any, product: Product) -> ProductView:
    same = (Product.frame_id == product.frame_id, Product.stage == product.stage, Product.id != product.id)
    others = session.scalars(select(Product.metrics).where(*same)).all()
    metrics = []
    for name, value in product.metrics.items():
        numbers = sorted(m[name] for m in others if m and isinstance(m.get(name), int | float))
        if not numbers or not isinstance(value, int | float):
            metrics.append(Metric(name, value, None, None, None, False))
            continue
        low, high = numbers[int(0.05 * (len(numbers) - 1))], numbers[int(0.95 * (len(numbers) - 1))]
        unusual = len(numbers) >= 10 and not low <= value <= high
        metrics.append(Metric(name, value, numbers[0], median(numbers), numbers[-1], unusual))
    return ProductView(product, tuple(metrics))
