"""Which bursts a frame is to have: given by id, or all that a polygon needs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import shapely
from shapely.affinity import translate
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from satdaemon.db.bursts import to_value
from satdaemon.db.known_bursts import match
from satdaemon.db.models import Burst
from satdaemon.db.outline import rolled, union, unrolled
from satdaemon.domain import FRAME_ID, REPEAT_ORBITS
from satdaemon.domain import Burst as BurstValue
from satdaemon.errors import RequestError
from satdaemon.planning.bursts import ANX_TOLERANCE_DS, along_track, anx_difference

CYCLE_DS = 27.58273
"""From one burst of a swath to the next, tenths of a second."""
NO_BURSTS = "the database has no bursts: satdaemon init-database --burst-map FILE enters them"
_BEYOND_DEG = 195.0
"""No burst that begins west of the 180th meridian reaches farther east, but near the poles, which are not imaged."""
_SLIVER = 1e-3
"""A burst that adds less than this share of itself to what the others show of a polygon is not needed."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Bursts of one track and pass."""

    track: int
    direction: str
    bursts: tuple[BurstValue, ...]
    """In the order of acquisition."""
    warnings: tuple[str, ...] = ()
    covered: float | None = None
    """Share of the polygon that the bursts show."""

    @property
    def ids(self) -> list[str]:
        """Their ids."""
        return [burst.id for burst in self.bursts]


def check_frame_id(frame_id: str) -> tuple[int, str]:
    """(track, pass) of a frame id; RequestError where it is not one."""
    match = FRAME_ID.match(frame_id)
    if match is None:
        raise RequestError(
            f"frame id: expected TRACK (three digits), A or D, and one or more _TEXT in capitals and digits, "
            f"such as 132A_CUSTOM_FRAME, got {frame_id!r}"
        )
    track = int(match["track"])
    if not 1 <= track <= REPEAT_ORBITS:
        raise RequestError(f"frame id: expected a track from 001 to {REPEAT_ORBITS}, got {match['track']} in {frame_id!r}")
    return track, match["direction"]


def by_ids(session: Session, burst_list: Sequence[str]) -> tuple[list[Burst], list[str]]:
    """The rows of bursts given by id, and warnings.

    An id may differ by the few tenths of a second by which ids differ between dates; the warning says what was
    taken. RequestError for an id given twice, and for unknown ones, with the nearest that there are.
    """
    twice = [burst for burst, count in Counter(burst_list).items() if count > 1]
    if twice:
        raise RequestError(f"bursts: expected each once, got twice: {', '.join(sorted(twice))}")
    rows: dict[str, Burst] = {row.id: row for row in session.scalars(select(Burst).where(Burst.id.in_(burst_list)))}
    warnings, unknown = [], []
    for burst in burst_list:
        if burst in rows:
            continue
        track, anx, swath = BurstValue.parse_id(burst)
        near = match(session, [BurstValue(burst, track, "", anx, swath)])
        if near:
            rows[burst] = session.get_one(Burst, next(iter(near)))
            warnings.append(f"{burst} taken as {rows[burst].id}, the same burst by time and swath")
        else:
            unknown.append(burst)
    if unknown:
        hints = "; ".join(_hint(session, burst) for burst in unknown[:3])
        raise RequestError(f"bursts: expected bursts of the database, got unknown ones: {', '.join(unknown)} ({hints})")
    return sorted({id(row): row for row in rows.values()}.values(), key=lambda b: b.id), warnings


def by_polygon(session: Session, shape: Any, track: int | None = None, direction: str | None = None) -> Choice:
    """The bursts of one track and pass that show a polygon, with none missing inside a swath and none in vain.

    Raises RequestError where no burst lies there, and, where track and pass are not given and several show it,
    one that lists them.
    """
    if direction not in (None, "A", "D"):
        raise RequestError(f"pass: expected A (ascending) or D (descending), got {direction!r}")
    found = tracks_at(session, shape)
    wanted = {key: bursts for key, bursts in found.items() if track in (None, key[0]) and direction in (None, key[1])}
    if not wanted:
        if not found and session.scalar(select(Burst.id).limit(1)) is None:
            raise RequestError(f"polygon: {NO_BURSTS}")
        asked = f" of track {track or 'any'}, pass {direction or 'any'}" if track or direction else ""
        raise RequestError(f"polygon: no burst{asked} of the database lies there; {_listed(found, shape)}")
    if len(wanted) > 1:
        raise RequestError(f"polygon: several tracks show it, say which (track and pass): {_listed(wanted, shape)}")
    (key,) = wanted
    needed = _needed(_whole_lines(session, distinct(wanted[key])), shape)
    share = _share(needed, shape)
    warnings = [] if share > 0.999 else [f"the bursts show {share:.1%} of the polygon; {_listed(found, shape)}"]
    return Choice(*key, tuple(needed), tuple(warnings), share)


def tracks_at(session: Session, shape: Any) -> dict[tuple[int, str], list[BurstValue]]:
    """(track, pass) -> bursts of it that have an area in common with a polygon."""
    found: dict[tuple[int, str], dict[str, BurstValue]] = defaultdict(dict)
    # Footprints across the 180th meridian are stored with longitudes that run on beyond it.
    places = [shape] if shape.bounds[0] > _BEYOND_DEG - 360 else [shape, translate(shape, 360)]
    for place in places:
        for row in session.scalars(select(Burst).where(Burst.geometry.intersects(place))):
            if row.geometry is not None and row.geometry.intersection(place).area > 0:
                found[row.track, row.orbit_direction][row.id] = to_value(row)
    return {key: list(bursts.values()) for key, bursts in sorted(found.items())}


def gaps(bursts: Iterable[BurstValue]) -> list[tuple[BurstValue, BurstValue, int]]:
    """Where bursts are missing inside a swath: the ones before and after, and how many; by swath, then along the track."""
    lines: dict[str, list[BurstValue]] = defaultdict(list)
    for burst in along_track(bursts):
        lines[burst.swath].append(burst)
    found = []
    for _, line in sorted(lines.items()):
        for one, other in pairwise(line):
            missing = round(anx_difference(other.anx, one.anx) / CYCLE_DS) - 1
            if missing > 0:
                found.append((one, other, missing))
    return found


def warnings_of(bursts: Iterable[BurstValue]) -> list[str]:
    """What is odd about a set of bursts: gaps inside a swath, a swath left out between two, parts that do not touch."""
    among = list(bursts)
    warnings = [f"{one.swath}: {missing} burst(s) missing between {one.id} and {other.id}" for one, other, missing in gaps(among)]
    if {burst.swath for burst in among} == {"IW1", "IW3"}:
        warnings.append("IW2 is left out between IW1 and IW3: the two cannot be tied to each other")
    shapes = [shapely.Polygon(b.footprint) for b in among if len(b.footprint) >= 3]
    parts = len(shapely.get_parts(union(shapes))) if shapes else 1
    if parts > 1:
        warnings.append(f"the bursts fall into {parts} parts that do not touch")
    return warnings


def distinct(bursts: Iterable[BurstValue]) -> list[BurstValue]:
    """Bursts in the order of acquisition, each once: of two rows of one burst, the one with ESA's id, else the first."""
    kept: list[BurstValue] = []
    last: dict[str, int] = {}
    for burst in along_track(bursts):
        place = last.get(burst.swath)
        if place is not None and abs(anx_difference(burst.anx, kept[place].anx)) <= ANX_TOLERANCE_DS:
            if kept[place].esa_id is None and burst.esa_id is not None:
                kept[place] = burst
            continue
        last[burst.swath] = len(kept)
        kept.append(burst)
    return kept


def _whole_lines(session: Session, bursts: Sequence[BurstValue]) -> list[BurstValue]:
    """The bursts with those between them in each swath, which a concave polygon or a clipped footprint leaves out."""
    found = list(bursts)
    for swath in sorted({b.swath for b in bursts}):
        line = [b for b in bursts if b.swath == swath]
        first, last = line[0].anx, line[-1].anx
        between = Burst.anx.between(first, last) if first <= last else or_(Burst.anx >= first, Burst.anx <= last)
        where = (Burst.track == line[0].track, Burst.swath == swath, Burst.orbit_direction == line[0].orbit_direction, between)
        known = {b.id for b in found}
        found += [to_value(row) for row in session.scalars(select(Burst).where(*where)) if row.id not in known]
    return distinct(found)


def _needed(bursts: list[BurstValue], shape: Any) -> list[BurstValue]:
    """Without the bursts at the ends of swaths whose part of the polygon the others show too, the least useful first."""
    kept = {b.id: b for b in bursts}
    views = {b.id: _view(shape, shapely.Polygon(b.footprint)) for b in bursts}
    while len(kept) > 1:
        ends = {line[end].id for swath in {b.swath for b in kept.values()} for end in (0, -1) for line in [_line(kept, swath)]}
        vain = [(gain, key) for key in sorted(ends) if (gain := _gain(key, kept, views)) < _SLIVER]
        if not vain:
            break
        del kept[min(vain)[1]]
    return along_track(kept.values())


def _line(kept: dict[str, BurstValue], swath: str) -> list[BurstValue]:
    return [b for b in along_track(kept.values()) if b.swath == swath]


def _gain(key: str, kept: dict[str, BurstValue], views: dict[str, Any]) -> float:
    """Share of its own area that a burst alone shows of the polygon."""
    mine = views[key]
    if mine.area == 0:
        return 0.0
    others = shapely.union_all([views[other] for other in kept if other != key and views[other].intersects(mine)])
    return float(mine.difference(others).area / unrolled(shapely.Polygon(kept[key].footprint)).area)


def _view(shape: Any, footprint: Any) -> Any:
    """What a burst shows of a polygon."""
    whole = unrolled(footprint)
    return rolled(whole).intersection(shape) if whole.bounds[2] > 180 else whole.intersection(shape)


def _share(bursts: Sequence[BurstValue], shape: Any) -> float:
    seen = rolled(union(shapely.Polygon(b.footprint) for b in bursts))
    return float(min(1.0, seen.intersection(shape).area / shape.area))


def _listed(found: dict[tuple[int, str], list[BurstValue]], shape: Any) -> str:
    """`132 A (7 bursts, 100 % of it), 30 A (9 bursts, 61 %)`, the best first."""
    if not found:
        return "the database has none of any track there"
    shares = sorted(((_share(bursts, shape), key, len(bursts)) for key, bursts in found.items()), key=lambda s: (-s[0], s[1]))
    words = [f"{track} {direction} ({count} bursts, {share:.0%} of it)" for share, (track, direction), count in shares[:8]]
    return "tracks there: " + ", ".join(words)


def _hint(session: Session, burst: str) -> str:
    track, anx, swath = BurstValue.parse_id(burst)
    same = select(Burst.id).where(Burst.track == track, Burst.swath == swath).order_by(func.abs(Burst.anx - anx), Burst.id)
    nearest = session.scalar(same.limit(1))
    if nearest is not None:
        return f"the nearest to {burst} is {nearest}"
    if session.scalar(select(Burst.id).limit(1)) is None:
        return NO_BURSTS
    return f"no burst of track {track}, {swath} is known"
