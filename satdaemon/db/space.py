"""Disk space that may be freed: intermediate products that were read for the last time, unless something changes.

A date's cut-outs (slc) are read by its satsar alone, a pair's coherence by its unwrap alone. Once that stands they are
of use only when it is made again, and then they are made again themselves, from zips and products that stand. All else
stays: every later date reads satsar, siblings and unwraps; series and points are what people see; zips and orbits are
not ours to remove. Downloads that hold only the frame's bursts go as fetched zips do, by `[DOWNLOAD] keep`. The record of a
removed product stays, so that what changed is still noticed (docs/decisions/0022).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from satdaemon.db import partial
from satdaemon.db.arrays import among, array
from satdaemon.db.clock import now_utc
from satdaemon.db.events import record
from satdaemon.db.models import Product, RunningJob
from satdaemon.db.retention import lets_go
from satdaemon.db.store import Store
from satdaemon.domain import product_path
from satdaemon.status import STAGES_OF, RowKind, Stage

READ_ONCE: tuple[tuple[RowKind, Stage, Stage], ...] = (
    (RowKind.MASTER, Stage.SLC, Stage.SATSAR),
    (RowKind.IFG, Stage.SLC, Stage.SATSAR),
    (RowKind.RSAR_IFG, Stage.COHERENCE, Stage.UNWRAP),
)
"""Of each kind of row: the stage whose product is read once, and the stage that reads it."""
PARTIAL = tuple((kind, Stage.DOWNLOAD, Stage.SLC) for kind in partial.KINDS)
"""The same of downloads that hold only bursts; others hold nothing."""
BATCH = 200
_Only = tuple[str, Sequence[Any]] | None
"""A column, and the values that it may have."""


@dataclass(frozen=True, slots=True)
class Removable:
    """A product that may be removed."""

    product_id: int
    row_id: int
    kind: RowKind
    frame_id: str
    stage: Stage
    key: str
    path: Path
    bytes: int
    cpu_s: float | None
    """CPU seconds that making it again costs; None where nobody knows."""

    @property
    def cost(self) -> float:
        """CPU seconds a byte; what nobody knows is dear."""
        return float("inf") if self.cpu_s is None else self.cpu_s / max(self.bytes, 1)


def removable(db: Store, frame_ids: Sequence[str] | None = None) -> list[Removable]:
    """What may be removed, of these frames or all: the cheapest to make again for its size first."""
    with db.read_scope() as session:
        found = _removable(db, session, None if frame_ids is None else ("p.frame_id", frame_ids))
    return sorted(found, key=lambda one: (one.cost, one.frame_id, one.stage, one.key))


def choose(found: Sequence[Removable], wanted_gb: float) -> list[Removable]:
    """The first of them that together free so much, or all."""
    chosen, size = [], 0
    for one in found:
        if size >= wanted_gb * 1e9:
            break
        chosen.append(one)
        size += one.bytes
    return chosen


def remove(db: Store, chosen: Sequence[Removable], *, who: str) -> list[Removable]:
    """Remove products; those that are gone. What is needed again meanwhile is left.

    First the record says so, then the files go: what a crash between leaves is for `finish`.
    """
    done: list[Removable] = []
    for start in range(0, len(chosen), BATCH):
        some = chosen[start : start + BATCH]
        marked = db.write(lambda session, some=some: _mark(db, session, some, who))  # type: ignore[misc]
        _take_all_away(db, marked)
        done += marked
    return done


def finish(db: Store) -> int:
    """Remove files of products that are marked as removed; how many products had any."""
    with db.read_scope() as session:
        where, all_ = "p.removed_utc IS NOT NULL", (*READ_ONCE, *PARTIAL)
        marked = [one for kind, given, _ in all_ for one in _of_rows(session, kind, given, where)]
    return _take_all_away(db, marked)


def bring_back(session: Session, frame_ids: Sequence[str]) -> int:
    """Rows that are to make a stage whose input was removed begin with that input; how many.

    Part of every plan that has such frames: after what is stale was marked, before anything is queued.
    """
    moved, postgresql = 0, session.get_bind().dialect.name == "postgresql"
    for kind, given, _ in (*READ_ONCE, *PARTIAL):
        number, table = STAGES_OF[kind].index(given) + 1, kind.value
        gone = f"EXISTS (SELECT 1 FROM products p WHERE {_same(kind, given, 'x')} AND p.removed_utc IS NOT NULL)"
        ours = f"{among(postgresql, 'x.frame_id', 'frames')} AND {gone}"
        for values, where in (
            (f"proc_stage = {number}", f"x.proc_status = 0 AND x.proc_stage = {number + 1}"),
            (f"stale_from = {number}", f"x.proc_status = 6 AND coalesce(x.stale_from, x.proc_stage) = {number + 1}"),
            (f"proc_status = 6, stale_from = {number}", f"x.proc_status IN (2, 3) AND x.proc_stage = {number}"),
        ):
            sql = f"UPDATE {table} SET {values} WHERE id IN (SELECT x.id FROM {table} x WHERE {where} AND {ours})"
            result = session.execute(text(sql), {"frames": array(postgresql, frame_ids)})
            moved += int(result.rowcount)  # type: ignore[attr-defined]
    return moved


def _removable(db: Store, session: Session, only: _Only) -> list[Removable]:
    found: list[Removable] = []
    for kind, given, reader in READ_ONCE:
        found += _of_rows(session, kind, given, _free(kind, given, reader, db.on_postgresql), only)
    keep = db.settings.download.keep
    for kind, given, _ in PARTIAL if keep != "always" else ():
        where = f"p.removed_utc IS NULL AND {partial.holding(db.on_postgresql, 'p')} IS NOT NULL"
        found += _of_rows(session, kind, given, f"{where} AND {lets_go(kind, keep == 'until_ingested')}", only)
    return [one for one in found if _is_ours(db, one)]


def _free(kind: RowKind, given: Stage, reader: Stage, postgresql: bool) -> str:
    """SQL: nothing will read the product of `given` again, as things are, and it can be made again."""
    number = STAGES_OF[kind].index(reader) + 1
    again = "coalesce(x.stale_from, x.proc_stage)"
    settled = (
        f"((x.proc_stage > {number} AND x.proc_status <> 5 AND NOT (x.proc_status = 6 AND {again} <= {number}))"
        f" OR (x.proc_stage = {number} AND x.proc_status IN (2, 3)))"
    )
    made = f"EXISTS (SELECT 1 FROM products q WHERE {_same(kind, reader, 'x', 'q')} AND q.removed_utc IS NULL)"
    live = (
        f"EXISTS (SELECT 1 FROM job_keys k WHERE k.kind = '{kind.value}' AND k.row_id = x.id"
        f" AND k.stage IN ('{given.value}', '{reader.value}'))"
    )
    where = f"p.removed_utc IS NULL AND {settled} AND {made} AND NOT {live}"
    if given is Stage.SLC:  # it is cut out of zips: they have to be there
        zips = "SELECT 1 FROM frames2files l JOIN files z ON z.id = l.file_id WHERE l.frame_id = x.frame_id AND l.date = x.date"
        valid, away = "(l.valid = 1 OR l.valid IS NULL)", f"z.state <> 'on_disk' AND NOT {partial.holds(postgresql, 'x', 'z.id')}"
        where += f" AND EXISTS ({zips} AND {valid}) AND NOT EXISTS ({zips} AND {valid} AND {away})"
    return where


def _of_rows(session: Session, kind: RowKind, stage: Stage, where: str, only: _Only = None) -> list[Removable]:
    """Products of that stage with their rows, that meet a condition."""
    postgresql, values = session.get_bind().dialect.name == "postgresql", {}
    if only is not None:
        where += f" AND {among(postgresql, only[0], 'wanted')}"
        values = {"wanted": array(postgresql, only[1])}
    columns = "p.id, x.id, p.frame_id, p.key, p.path, p.bytes, p.cpu_s"
    sql = f"SELECT {columns} FROM products p JOIN {kind.value} x ON {_same(kind, stage, 'x')} WHERE {where} ORDER BY p.id"
    return [
        Removable(product_id, row_id, kind, frame_id, stage, key, Path(path), int(size), cpu_s)
        for product_id, row_id, frame_id, key, path, size, cpu_s in session.execute(text(sql), values)
    ]


def _same(kind: RowKind, stage: Stage, row: str, product: str = "p") -> str:
    """SQL: the product is the row's, of that stage."""
    days = ("date1", "date2") if kind is RowKind.RSAR_IFG else ("date",)
    # Both dialects write a date as 2023-01-01 when it is cast to text.
    key = " || '_' || ".join(f"replace(CAST({row}.{day} AS TEXT), '-', '')" for day in days)
    return f"{product}.frame_id = {row}.frame_id AND {product}.stage = '{stage.value}' AND {product}.key = {key}"


def _is_ours(db: Store, one: Removable) -> bool:
    """True where the product is a real directory at its place below processing_path, away from zips and orbits."""
    parameters = db.settings.parameters
    place = product_path(parameters.processing_path.resolve(), one.frame_id, one.stage, one.key)
    # What a link stands for is somebody else's.
    if one.path.resolve() != place or one.path.is_symlink():
        return False
    protected = [path.resolve() for path in (parameters.data_path, parameters.orbit_path, parameters.log_path)]
    return not any(place in (path, *path.parents) or path in place.parents for path in protected)


def _mark(db: Store, session: Session, some: Sequence[Removable], who: str) -> list[Removable]:
    _lock_rows(session, some)
    still = {one.product_id for one in _removable(db, session, ("p.id", [one.product_id for one in some]))}
    done = [one for one in some if one.product_id in still]
    ids = [one.product_id for one in done]
    session.execute(update(Product).where(Product.id.in_(ids)).values(removed_utc=now_utc()))
    for frame_id in sorted({one.frame_id for one in done}):
        mine = [one for one in done if one.frame_id == frame_id]
        size_gb = sum(one.bytes for one in mine) / 1e9
        record(session, "removed", who=who, frame_id=frame_id, message=f"{len(mine)} products to free {size_gb:.3g} GB")
    return done


def _take_all_away(db: Store, marked: Sequence[Removable]) -> int:
    count = 0
    for one in marked:
        if one.path.is_dir() and _is_ours(db, one):
            count += db.write(lambda session, one=one: _take_away(session, one))  # type: ignore[misc]
    return count


def _take_away(session: Session, one: Removable) -> bool:
    """Move the files out of the way at once, then delete them. With the row locked no job of it begins meanwhile."""
    _lock_rows(session, [one])
    begun = (RunningJob.kind == one.kind.value, RunningJob.row_id == one.row_id, RunningJob.stage == one.stage.value)
    marked = session.get(Product, one.product_id)
    if marked is None or marked.removed_utc is None or session.scalar(select(RunningJob.job_id).where(*begun)) is not None:
        return False
    aside = one.path.parents[1] / ".attempts" / f"removed-{one.product_id}"
    aside.parent.mkdir(exist_ok=True)
    one.path.rename(aside)
    shutil.rmtree(aside)
    return True


def _lock_rows(session: Session, some: Sequence[Removable]) -> None:
    """Hold the rows on PostgreSQL; SQLite has one writer at a time."""
    if session.get_bind().dialect.name != "postgresql":
        return
    for kind in RowKind:
        ids = sorted(one.row_id for one in some if one.kind is kind)
        if ids:
            session.execute(text(f"SELECT id FROM {kind.value} WHERE id = ANY(:ids) ORDER BY id FOR UPDATE"), {"ids": ids})
