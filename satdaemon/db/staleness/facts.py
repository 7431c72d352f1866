"""All that is known of one frame's products, read at one moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from satdaemon.db.models import File, Frame, Ifg, Master, Product, RsarIfg, StaleProduct, frames2bursts, frames2files
from satdaemon.db.models.catalogue import BAD, MISSING
from satdaemon.status import RowKind, Stage

Key = tuple[Stage, str]
"""A product within its frame: (stage, key)."""
FRAME_KEY = "frame"
CHUNK = 500
_STAGES = {stage.value: stage for stage in Stage}


class Made(NamedTuple):
    """A product, without what it was made from."""

    id: int
    fingerprint: str
    judged: str | None
    orbit: str | None


class Row(NamedTuple):
    """Where a row stands."""

    kind: RowKind
    id: int
    date1: date
    date2: date | None
    proc_stage: int
    proc_status: int
    stale_from: int | None
    reason: str | None


class Shown(NamedTuple):
    """A valid file of a date."""

    id: str
    checksum: str | None
    platform: str | None
    start_utc: datetime | None
    stop_utc: datetime | None


class Noted(NamedTuple):
    """What stale_products says of a product."""

    reason: str
    own: bool
    marked: bool
    in_vain: bool = False


@dataclass(slots=True)
class Facts:
    """One frame."""

    frame: Frame
    master: date
    products: dict[Key, Made]
    rows: list[Row]
    bursts: tuple[str, ...]
    files: dict[str, list[Shown]]
    """Date as in product keys -> its valid files."""
    noted: dict[int, Noted]
    """Product id -> what is known to be stale already."""
    given: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Product id -> what it was made from, of those that were looked into."""

    master_key: str = field(init=False)
    """Key of the master's own products."""
    rows_by_name: dict[tuple[RowKind, str], Row] = field(init=False)
    """The rows, by what `row_of` says of their products."""

    def __post_init__(self) -> None:
        self.master_key = f"{self.master:%Y%m%d}"
        self.rows_by_name = {(row.kind, _name(row)): row for row in self.rows}

    def row_of(self, key: Key) -> tuple[RowKind, str]:
        """(kind, name) of the row that a product belongs to, as in `rows_by_name`."""
        _, name = key
        if name == FRAME_KEY or name == self.master_key:
            return RowKind.MASTER, FRAME_KEY
        return (RowKind.RSAR_IFG, name) if "_" in name else (RowKind.IFG, name)

    def kind_of(self, key: Key) -> RowKind:
        """The kind of row that a product belongs to."""
        return self.row_of(key)[0]


def _name(row: Row) -> str:
    if row.kind is RowKind.MASTER:
        return FRAME_KEY
    first = row.date1.isoformat().replace("-", "")  # much faster than a format, and there are thousands
    return first if row.date2 is None else f"{first}_{row.date2.isoformat().replace('-', '')}"


def load_facts(session: Session, frame_id: str) -> Facts | None:
    """Read a frame; None where it has no master, and so nothing that anything was made from."""
    frame = session.get(Frame, frame_id)
    master = session.scalar(select(Master.date).where(Master.frame_id == frame_id))
    if frame is None or master is None:
        return None
    products, bursts = made_of(session, frame_id), bursts_of(session, frame_id)
    stale = select(StaleProduct.product_id, StaleProduct.reason, StaleProduct.own, StaleProduct.marked, StaleProduct.in_vain)
    found = session.execute(stale.where(StaleProduct.frame_id == frame_id))
    noted = {product: Noted._make(rest) for product, *rest in found}
    return Facts(frame, master, products, _rows(session, frame_id), bursts, files_of(session, frame_id), noted)


def made_of(session: Session, frame_id: str, *where: ColumnElement[bool], most: int | None = None) -> dict[Key, Made]:
    """The products of a frame, or those that meet conditions."""
    columns = (Product.stage, Product.key, Product.id, Product.fingerprint, Product.judged, Product.orbit)
    found = session.execute(select(*columns).where(Product.frame_id == frame_id, *where).limit(most))
    return {(_STAGES[stage], key): Made._make(rest) for stage, key, *rest in found}


def bursts_of(session: Session, frame_id: str) -> tuple[str, ...]:
    """Ids of a frame's bursts, sorted."""
    link = frames2bursts.c
    return tuple(sorted(session.scalars(select(link.burst_id).where(link.frame_id == frame_id))))


def look_into(session: Session, facts: Facts, ids: Collection[int]) -> None:
    """Read what these products were made from into `facts.given`, with the program that made them."""
    wanted = sorted(set(ids) - facts.given.keys())
    columns = (Product.id, Product.inputs, Product.processor, Product.processor_version)
    for start in range(0, len(wanted), CHUNK):
        part = wanted[start : start + CHUNK]
        for id_, inputs, processor, version in session.execute(select(*columns).where(Product.id.in_(part))):
            facts.given[id_] = {**inputs, "processor": processor, "processor_version": version}


def _rows(session: Session, frame_id: str) -> list[Row]:
    rows = []
    for model, days in ((Master, (Master.date,)), (Ifg, (Ifg.date,)), (RsarIfg, (RsarIfg.date1, RsarIfg.date2))):
        columns: Sequence[Any] = (model.id, model.proc_stage, model.proc_status, model.stale_from, model.reason, *days)
        for id_, stage, status, stale_from, reason, *dates in session.execute(select(*columns).where(model.frame_id == frame_id)):
            second = dates[1] if len(dates) > 1 else None
            rows.append(Row(model.kind, id_, dates[0], second, stage, status, stale_from, reason))
    return rows


def files_of(session: Session, frame_id: str, days: Collection[str] | None = None) -> dict[str, list[Shown]]:
    """The valid files of a frame by date, as in product keys; of `days` only, where given."""
    if days is not None and not days:
        return {}
    link = frames2files.c
    used = or_(link.valid == 1, link.valid.is_(None))
    some = [] if days is None else [link.date.in_([datetime.strptime(day, "%Y%m%d").date() for day in days])]
    statement = (
        select(link.date, File.id, File.checksum, File.platform, File.start_utc, File.stop_utc)
        .join(File, link.file_id == File.id)
        .where(link.frame_id == frame_id, link.date.is_not(None), *some, used, File.state.not_in((BAD, MISSING)))
        .order_by(File.id)
    )
    found = defaultdict(list)
    for day, *rest in session.execute(statement):
        found[f"{day:%Y%m%d}"].append(Shown(*rest))
    return dict(found)
