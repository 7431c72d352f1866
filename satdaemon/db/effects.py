"""What a change means in work: each stage of each row before and after it, and what the difference costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from satdaemon.db.ledger import Entry, entries
from satdaemon.db.models import Frame, Product
from satdaemon.db.store import Store
from satdaemon.db.within import undone
from satdaemon.domain import product_key, some_of
from satdaemon.status import LedgerState, RowKind, Stage

SAMPLE = 20_000
"""Newest products of the database from which a cost is taken that the frame itself does not tell."""


class Piece(NamedTuple):
    """One stage of one row; a date's is the same whether it is the master or not."""

    stage: Stage
    key: str
    """As in products: a date, a pair, or `frame`."""


class Standing(StrEnum):
    """How a piece stands."""

    DONE = "done"
    STALE = "stale"
    """Made, not up to date, and not to be made again by itself."""
    OWED = "owed"
    OUT = "out"
    """Failed or excluded, or after such a stage."""
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Effect:
    """Pieces of one stage of one kind of row that share a fate."""

    stage: Stage
    kind: RowKind
    keys: tuple[str, ...]
    bytes: int | None
    """Size of the products, or of so many like them; None: no such product is known yet."""
    cpu_h: float | None
    """CPU-hours that making them took, or that so many like them would take; None: not known."""

    def __str__(self) -> str:
        size = "size unknown" if self.bytes is None else f"{self.bytes / 1e9:.3g} GB"
        cost = "cost unknown" if self.cpu_h is None else f"{self.cpu_h:.3g} CPU-h"
        return f"{len(self.keys)} {self.stage} ({some_of(self.keys)}; {size}, {cost})"


@dataclass(frozen=True, slots=True)
class Effects:
    """What a change would do, or has done, by stage in the order of the chain."""

    make: tuple[Effect, ...] = ()
    """Made for the first time because of it."""
    redo: tuple[Effect, ...] = ()
    """Made again because of it."""
    stale: tuple[Effect, ...] = ()
    """Not up to date by it: they serve until reprocessing is switched on."""
    drop: tuple[Effect, ...] = ()
    """Products that are not used any more. Their files stay on the disk."""
    cancel: tuple[Effect, ...] = ()
    """Were to be made and are not any more."""
    owed: tuple[Effect, ...] = ()
    """Are to be made with the change and without it."""

    @property
    def loses_work(self) -> bool:
        """True where products of dates or pairs are made again or given up; a series that grows is no loss."""
        series = (Stage.TIMESERIES, Stage.INGEST)
        return bool(self.drop) or any(effect.stage not in series for effect in self.redo)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A frame at one moment."""

    pieces: Mapping[Piece, Standing]
    kinds: Mapping[Piece, RowKind]
    """Also of products that belong to no row."""
    products: Mapping[Piece, tuple[int, float | None]]
    """(bytes, CPU-seconds)."""
    follows: bool
    """Its series is made again when pairs are added."""


def by_stage(effects: Iterable[Effect]) -> list[Effect]:
    """The same, with dates, pairs and the frame's own of a stage together: for a sentence."""
    groups: dict[Stage, list[Effect]] = defaultdict(list)
    for effect in effects:
        groups[effect.stage].append(effect)
    found = []
    for stage, some in groups.items():
        sizes, hours = [e.bytes for e in some], [e.cpu_h for e in some]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        cpu_h = None if None in hours else sum(hour or 0.0 for hour in hours)
        found.append(Effect(stage, some[-1].kind, tuple(key for e in some for key in e.keys), total, cpu_h))
    return found


def snapshot(db: Store, frame_id: str) -> Snapshot:
    """How every piece of a frame stands; of one that is switched off, how it would stand if it were on."""
    return undone(db, lambda store: _snapshot(store, frame_id))


def compare(db: Store, before: Snapshot, after: Snapshot, frame_id: str) -> Effects:
    """The work that lies between two moments of a frame."""
    fates: dict[str, set[Piece]] = defaultdict(set)
    for piece in before.pieces.keys() | after.pieces.keys():
        made = piece in before.products or before.pieces.get(piece) in (Standing.DONE, Standing.STALE)
        fate = _fate(before.pieces.get(piece), after.pieces.get(piece), made)
        if fate is not None:
            fates[fate].add(piece)
    fates["drop"] |= {p for p in before.products.keys() - after.products.keys() if after.pieces.get(p) is not Standing.OWED}
    if after.follows and any(p.stage in (Stage.COHERENCE, Stage.UNWRAP) for p in fates["make"] | fates["redo"]):
        for piece in [p for p in after.pieces if p.stage in (Stage.TIMESERIES, Stage.INGEST)]:
            if before.pieces.get(piece) is Standing.DONE and after.pieces[piece] in (Standing.DONE, Standing.STALE):
                fates["redo"].add(piece)
                fates["stale"].discard(piece)
    means, kinds = _means(db, frame_id), {**before.kinds, **after.kinds}
    return Effects(**{name: _effects(pieces, before, kinds, means) for name, pieces in fates.items() if pieces})


def _snapshot(store: Store, frame_id: str) -> Snapshot:
    with store.session_scope() as session:
        on = {"processing": True, "last_updated": Frame.last_updated}
        session.execute(update(Frame).where(Frame.id == frame_id).values(**on))
    rows: dict[tuple[RowKind, int], list[Entry]] = defaultdict(list)
    for entry in entries(store, frame_id):
        rows[(entry.kind, entry.row_id)].append(entry)
    pieces: dict[Piece, Standing] = {}
    kinds: dict[Piece, RowKind] = {}
    for (kind, _), stages in rows.items():
        for entry, standing in zip(stages, _standings(stages), strict=True):
            piece = Piece(entry.stage, product_key(kind, entry.stage, entry.date1, entry.date2))
            pieces[piece], kinds[piece] = standing, kind
    columns = (Product.stage, Product.key, Product.kind, Product.bytes, Product.cpu_s)
    with store.read_scope() as session:
        found = session.execute(select(*columns).where(Product.frame_id == frame_id)).all()
        frame = session.get_one(Frame, frame_id)
        follows = frame.reprocess or frame.do_update or frame.initial_last_date is None
    products = {Piece(Stage(row.stage), row.key): (row.bytes, row.cpu_s) for row in found}
    return Snapshot(pieces, {Piece(Stage(r.stage), r.key): RowKind(r.kind) for r in found} | kinds, products, follows)


def _standings(stages: list[Entry]) -> list[Standing]:
    """Of all stages of one row, in the order of the chain."""
    states = [entry.state for entry in stages]
    if LedgerState.EXCLUDED in states:
        return [Standing.OUT] * len(states)
    moving = (LedgerState.READY, LedgerState.BLOCKED)
    going = [e.state is LedgerState.RUNNING or (e.is_next and e.state in moving) for e in stages]
    begins = going.index(True) if True in going else len(states)
    failed = states.index(LedgerState.FAILED) if LedgerState.FAILED in states else len(states)
    found: list[Standing] = []
    for place, state in enumerate(states):
        if place >= failed:
            found.append(Standing.OUT)
        elif state is LedgerState.DONE:
            found.append(Standing.DONE)
        elif state is not LedgerState.OFF and place >= begins:
            found.append(Standing.OWED)
        else:
            found.append(Standing.STALE if state is LedgerState.STALE else Standing.OFF)
    return found


def _fate(before: Standing | None, after: Standing | None, made: bool) -> str | None:
    match before, after:
        case Standing.OWED, Standing.OWED:
            return "owed"
        case _, Standing.OWED:
            return "redo" if made else "make"
        case Standing.OWED, _:
            return "cancel"
        case Standing.DONE, Standing.STALE:
            return "stale"
        case ((Standing.DONE | Standing.STALE), (Standing.OUT | None)):
            return "drop"
        case _:
            return None


_Means = Mapping[tuple[Stage, RowKind], tuple[float | None, float | None]]


def _effects(pieces: Iterable[Piece], before: Snapshot, kinds: Mapping[Piece, RowKind], means: _Means) -> tuple[Effect, ...]:
    groups: dict[tuple[Stage, RowKind], list[Piece]] = defaultdict(list)
    for piece in pieces:
        groups[(piece.stage, kinds[piece])].append(piece)
    chain, order = list(Stage), list(RowKind)
    found = []
    for stage, kind in sorted(groups, key=lambda g: (chain.index(g[0]), order.index(g[1]))):
        mine = sorted(groups[(stage, kind)])
        mean_bytes, mean_s = means.get((stage, kind), (None, None))
        sizes: list[float] = []
        times_s: list[float] = []
        for piece in mine:
            size, time_s = before.products.get(piece, (mean_bytes, mean_s))
            sizes += [] if size is None else [size]
            times_s += [time_s] if time_s is not None else [mean_s] if mean_s is not None else []
        total = round(sum(sizes)) if len(sizes) == len(mine) else None
        cpu_h = sum(times_s) / 3600 if len(times_s) == len(mine) else None
        found.append(Effect(stage, kind, tuple(piece.key for piece in mine), total, cpu_h))
    return tuple(found)


def _means(db: Store, frame_id: str) -> _Means:
    """Mean bytes and CPU-seconds of a product of each stage: of the frame, else of the newest of the database."""
    with db.read_scope() as session:
        newest = select(Product).order_by(Product.id.desc()).limit(SAMPLE).subquery()
        return {**_mean_of(session, newest), **_mean_of(session, select(Product).where(Product.frame_id == frame_id).subquery())}


def _mean_of(session: Session, source: Any) -> dict[tuple[Stage, RowKind], tuple[float | None, float | None]]:
    columns = (source.c.stage, source.c.kind, func.avg(source.c.bytes), func.avg(source.c.cpu_s))
    rows = session.execute(select(*columns).group_by(source.c.stage, source.c.kind)).all()
    return {(Stage(stage), RowKind(kind)): (_number(mean_bytes), _number(mean_s)) for stage, kind, mean_bytes, mean_s in rows}


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
