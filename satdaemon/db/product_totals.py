"""What a frame's products take, a stage each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select

from satdaemon.db.models import Product
from satdaemon.db.store import Store
from satdaemon.status import Stage


@dataclass(frozen=True, slots=True)
class ProductTotal:
    """Products of one stage of a frame."""

    stage: Stage
    products: int
    on_disk: int
    """Those whose files were not removed to free space."""
    bytes: int
    """Of these."""
    newest_utc: datetime


def product_totals(db: Store, frame_id: str) -> list[ProductTotal]:
    """In the order of the chain; stages without a product are left out."""
    is_there = Product.removed_utc.is_(None)
    columns = (
        Product.stage,
        func.count(),
        func.sum(case((is_there, 1), else_=0)),
        func.sum(case((is_there, Product.bytes), else_=0)),
        func.max(Product.created_utc),
    )
    with db.read_scope() as session:
        rows = session.execute(select(*columns).where(Product.frame_id == frame_id).group_by(Product.stage)).all()
    found = {stage: ProductTotal(Stage(stage), all_, int(there), int(size), newest) for stage, all_, there, size, newest in rows}
    return [found[stage.value] for stage in Stage if stage.value in found]
