"""Which burst of a file is which burst of the database: many files at a time, with one look at the database.

Ids of one burst differ by 0..3 between dates: matched, never compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import shapely
from shapely.affinity import translate
from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from satdaemon.db.bursts import columns_of, to_value
from satdaemon.db.models import Burst, Frame, frames2bursts
from satdaemon.db.outline import outline, unrolled
from satdaemon.db.upsert import insert_many
from satdaemon.domain import Burst as BurstValue
from satdaemon.insar.safe import SafeProduct
from satdaemon.planning.bursts import ANX_TOLERANCE_DS, ORBIT_DS, match_bursts

NEAR_DS, NEAR_IDS = 60, 4
"""Bursts so near to one another (tenths of a second; ESA ids) are asked for as one range: two neighbours and more."""
COVERS_MORE = 1.1
"""A polygon is clipped where a file's own is so many times as large. Of 101 whole bursts of a burst map that real annotation
shows too, the annotation's (its valid samples alone) are 0.88 to 0.97 times as large: none comes near."""
LIES_WITHIN = 0.8
"""Share of a clipped polygon that lies within the whole one; of whole bursts 0.86 and more does."""
ASKED = 100
"""Ranges in one statement."""


@dataclass(slots=True)
class KnownBursts:
    """Bursts of the database around those of some files, and what the files add to them."""

    bursts: dict[str, BurstValue] = field(default_factory=dict)
    new: list[BurstValue] = field(default_factory=list)
    completed: dict[str, BurstValue] = field(default_factory=dict)
    """Bursts of the database that get their polygon from a file: they had none, or a clipped one."""
    shown_by: dict[str, str] = field(default_factory=dict)
    """Burst -> the product whose annotation gives its polygon."""

    _places: dict[tuple[int, str, int], str] = field(default_factory=dict)
    """(track, swath, anx) -> id; an id is made of the three."""
    _esa_ids: dict[tuple[str, int], list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, burst: BurstValue) -> None:
        """Hold one burst more."""
        self.bursts[burst.id] = burst
        self._places[burst.track, burst.swath, burst.anx] = burst.id
        if burst.esa_id is not None:
            self._esa_ids[burst.swath, burst.esa_id].append(burst.id)

    def take(self, product: SafeProduct) -> tuple[dict[str, str], list[str]]:
        """Burst id of the database -> id in the product, new ones among them; and warnings."""
        values = {b.id: b for b in product.domain_bursts()}
        matches = match_bursts(self._near(values.values()), values.values())
        warnings = []
        for burst in (b for b in values.values() if b.id not in set(matches.values())):
            if burst.id in self.bursts:
                lies = f"its burst {burst.id} does not lie where the known burst of that id lies"
                warnings.append(f"{product.id}: {lies}; not linked")
                continue
            self.add(burst)
            self.new.append(burst)
            self.shown_by[burst.id] = product.id
            matches[burst.id] = burst.id
        for known, found in matches.items():
            self._complete(self.bursts[known], values[found], product.id)
        return matches, warnings

    def write(self, session: Session) -> None:
        """Enter what is new; a burst that another program entered meanwhile stays as that has it."""
        new = {burst.id: self.bursts[burst.id] for burst in self.new}
        insert_many(session, Burst, [{**columns_of(burst), "geometry_from": self.shown_by[burst.id]} for burst in new.values()])
        for known, burst in self.completed.items():
            columns = columns_of(burst)
            shape = {name: columns[name] for name in ("esa_id", "geometry", "minx", "miny", "maxx", "maxy")}
            session.execute(update(Burst).where(Burst.id == known).values(**shape, geometry_from=self.shown_by[known]))
        _redraw_frames(session, sorted(self.completed))

    def _near(self, bursts: Iterable[BurstValue]) -> list[BurstValue]:
        """Those held that could be one of some others."""
        ids: dict[str, None] = {}
        for b in bursts:
            times = (anx for low, high in _spans(b.anx) for anx in range(low, high + 1))
            ids |= dict.fromkeys(i for anx in times if (i := self._places.get((b.track, b.swath, anx))) is not None)
            ids |= dict.fromkeys(self._esa_ids.get((b.swath, b.esa_id), ()) if b.esa_id is not None else ())
        return [self.bursts[i] for i in ids]

    def _complete(self, known: BurstValue, shown: BurstValue, product_id: str) -> None:
        if len(shown.footprint) >= 3 and (not known.footprint or is_clipped(known, shown)):
            esa_id = known.esa_id if known.esa_id is not None else shown.esa_id
            self.bursts[known.id] = self.completed[known.id] = replace(known, esa_id=esa_id, footprint=shown.footprint)
            self.shown_by[known.id] = product_id


def is_clipped(known: BurstValue, shown: BurstValue) -> bool:
    """True where a file shows a burst clearly larger than its known polygon is, and the polygon lies within that."""
    mine, theirs = (unrolled(shapely.Polygon(b.footprint)) for b in (known, shown))
    if not (mine.is_valid and theirs.is_valid) or theirs.area < COVERS_MORE * mine.area:
        return False
    return any(_within(mine, translate(theirs, degrees)) for degrees in (0, 360, -360))


def _within(mine: Any, theirs: Any) -> bool:
    return bool(mine.intersection(theirs).area >= LIES_WITHIN * mine.area)


def _redraw_frames(session: Session, burst_ids: Sequence[str]) -> None:
    """Outlines of the frames that have bursts whose polygons changed."""
    frames: set[str] = set()
    for start in range(0, len(burst_ids), ASKED):
        some = frames2bursts.c.burst_id.in_(burst_ids[start : start + ASKED])
        frames |= set(session.scalars(select(frames2bursts.c.frame_id).where(some)))
    for frame_id in sorted(frames):
        mine = select(Burst.geometry).join(frames2bursts).where(frames2bursts.c.frame_id == frame_id)
        shape = outline(session.scalars(mine.order_by(Burst.id)))
        session.execute(update(Frame).where(Frame.id == frame_id).values(geometry=shape))


def known_bursts(session: Session, bursts: Collection[BurstValue]) -> KnownBursts:
    """Read the bursts of the database that some others could be."""
    near = [*_by_time(bursts), *_by_esa_id(bursts)]
    known = KnownBursts()
    for start in range(0, len(near), ASKED):
        for row in session.scalars(select(Burst).where(or_(*near[start : start + ASKED]))):
            if row.id not in known.bursts:
                known.add(to_value(row))
    return known


def match(session: Session, bursts: Collection[BurstValue]) -> dict[str, str]:
    """Burst id of the database -> id among `bursts`, for those that the database knows."""
    return match_bursts(known_bursts(session, bursts).bursts.values(), bursts)


def _by_time(bursts: Iterable[BurstValue]) -> list[ColumnElement[bool]]:
    spans: dict[tuple[int, str], list[tuple[int, int]]] = defaultdict(list)
    for b in bursts:
        spans[(b.track, b.swath)] += _spans(b.anx)
    return [
        and_(Burst.track == track, Burst.swath == swath, Burst.anx.between(low, high))
        for (track, swath), some in sorted(spans.items())
        for low, high in _merged(some, NEAR_DS)
    ]


def _by_esa_id(bursts: Iterable[BurstValue]) -> list[ColumnElement[bool]]:
    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for b in bursts:
        if b.esa_id is not None:
            spans[b.swath].append((b.esa_id, b.esa_id))
    return [
        and_(Burst.swath == swath, Burst.esa_id.between(low, high))
        for swath, some in sorted(spans.items())
        for low, high in _merged(some, NEAR_IDS)
    ]


def _merged(spans: Iterable[tuple[int, int]], near: int) -> list[tuple[int, int]]:
    """Ranges in order; those that lie near to one another as one."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if found and low - found[-1][1] <= near:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found


def _spans(anx: int) -> list[tuple[int, int]]:
    """Ranges of `anx` within the tolerance, wrapping at one orbit."""
    low, high, orbit = anx - ANX_TOLERANCE_DS, anx + ANX_TOLERANCE_DS, round(ORBIT_DS)
    spans = [(low, high)]
    if low < 0:
        spans.append((low + orbit - 1, orbit + 1))
    if high >= orbit:
        spans.append((0, high - orbit + 1))
    return spans
