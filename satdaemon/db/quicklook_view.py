"""Pictures of products: which there are, and where."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from satdaemon.db.models import Product
from satdaemon.db.store import Store
from satdaemon.domain import Quicklook
from satdaemon.status import Stage

OF_FRAME = (Stage.COHERENCE.value, Stage.TIMESERIES.value)
"""Stages with a product of the whole frame that has pictures."""


def product_by_id(db: Store, product_id: int) -> Product | None:
    """The product; None where it was made again since, or never was."""
    with db.read_scope() as session:
        return session.get(Product, product_id)


def frame_products(db: Store, frame_id: str) -> list[Product]:
    """Products of the whole frame that have pictures, in the order of the stages."""
    wanted = select(Product).where(Product.frame_id == frame_id, Product.stage.in_(OF_FRAME), Product.key == "frame")
    with db.read_scope() as session:
        found = session.scalars(wanted).all()
    return sorted((one for one in found if one.quicklooks), key=lambda one: OF_FRAME.index(one.stage))


def quicklooks_of(product: Product) -> list[Quicklook]:
    """What the record of a product tells of its pictures."""
    return [Quicklook.from_json(one) for one in product.quicklooks]


def quicklook_path(product: Product, name: str) -> Path | None:
    """Where the picture called `name` (`phase`) is; None where the product has none such, or it would lie outside of it."""
    for one in quicklooks_of(product):
        path = Path(product.path, one.file)
        if Path(one.file).stem == name and path.resolve().is_relative_to(Path(product.path).resolve()):
            return path
    return None
