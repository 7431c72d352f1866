"""Frame ids of COMET's LiCSAR, such as 132A_03579_131313, resolved to bursts.

The parts are track, pass, the colatitude of the frame's centre in hundredths of a degree (90 degrees north is 0,
the equator 9000), and the number of bursts in IW1, IW2 and IW3. The rule was read off LiCSAR's own naming of
frames (github.com/comet-licsar/licsar_proc: `generate_frame_name` in LiCSAR_lib/framecare.py, `get_colat10` in
LiCSAR_lib/LiCSAR_misc.py): the centre is the centroid of the bursts' union, rounded to 0.01 degrees.

An id does not list its bursts. The three swaths begin a third of a burst cycle apart, so that there is one way to
lay the given numbers of bursts every 0.055 degrees of latitude; the one whose centre fits the id best is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import shapely
from sqlalchemy import select
from sqlalchemy.orm import Session

from satdaemon.db.bursts import to_value
from satdaemon.db.frame_choice import CYCLE_DS, NO_BURSTS, Choice, distinct
from satdaemon.db.models import Burst
from satdaemon.db.outline import union
from satdaemon.domain import Burst as BurstValue
from satdaemon.errors import RequestError
from satdaemon.planning.bursts import along_track, anx_difference

LICSAR_ID = re.compile(r"^(?P<track>[0-9]{3})(?P<direction>[AD])_(?P<colat>[0-9]{5})_(?P<counts>[0-9]{6})\Z")
_SWATHS = ("IW1", "IW2", "IW3")
_SEARCH_DEG = 1.0
"""Arrangements whose bursts' mean latitude is farther from the id's are not looked at."""
_BURST_DEG = 0.17
"""Latitude from one burst of a swath to the next."""
SURE_DEG = 0.03
"""Half a step between two ways to lay the bursts."""
FARTHEST_DEG = 0.1


@dataclass(frozen=True, slots=True)
class LicsarId:
    """The parts of a LiCSAR frame id."""

    track: int
    direction: str
    latitude_deg: float
    counts: tuple[int, int, int]
    """Bursts in IW1, IW2, IW3."""


def is_licsar_id(text: str) -> bool:
    """True where a text has the form of a LiCSAR frame id."""
    return LICSAR_ID.match(text) is not None


def parse_licsar_id(text: str) -> LicsarId:
    """Split a LiCSAR frame id; RequestError where it is not one."""
    match = LICSAR_ID.match(text)
    if match is None:
        raise RequestError(
            f"LiCSAR frame id: expected track, A or D, colatitude and bursts a swath, such as 132A_03579_131313, got {text!r}"
        )
    colatitude = int(match["colat"]) / 100
    counts = tuple(int(match["counts"][i : i + 2]) for i in (0, 2, 4))
    if colatitude > 180 or sum(counts) == 0:
        raise RequestError(f"LiCSAR frame id {text}: expected a colatitude up to 18000 and at least one burst")
    return LicsarId(int(match["track"]), match["direction"], 90 - colatitude, (counts[0], counts[1], counts[2]))


def licsar_id(bursts: Sequence[BurstValue]) -> str:
    """The LiCSAR id of a set of bursts of one track."""
    latitude = _centre(bursts)
    counts = "".join(f"{sum(b.swath == swath for b in bursts):02d}" for swath in _SWATHS)
    colatitude = 9000 - round(latitude * 100)
    return f"{bursts[0].track:03d}{bursts[0].orbit_direction}_{colatitude:05d}_{counts}"


def by_licsar_id(session: Session, text: str) -> Choice:
    """The bursts of the database that an id stands for. RequestError where none fit."""
    wanted = parse_licsar_id(text)
    reach = _SEARCH_DEG + max(wanted.counts) * _BURST_DEG
    box = Burst.miny <= wanted.latitude_deg + reach, Burst.maxy >= wanted.latitude_deg - reach
    same = (Burst.track == wanted.track, Burst.orbit_direction == wanted.direction)
    rows = session.scalars(select(Burst).where(*same, *box)).all()
    if not rows:
        if session.scalar(select(Burst.id).limit(1)) is None:
            raise RequestError(f"{text}: {NO_BURSTS}")
        raise RequestError(f"{text}: the database has no burst of track {wanted.track} {wanted.direction} near {_place(wanted)}")
    bursts, off_deg = fit(wanted, [to_value(row) for row in rows])
    if not bursts or abs(off_deg) > FARTHEST_DEG:
        nearest = f"; the nearest way to lay them has its centre {abs(off_deg):.2f} degrees away" if bursts else ""
        asked = ", ".join(f"{count} bursts of {swath}" for swath, count in _counts(wanted))
        raise RequestError(
            f"{text}: expected {asked} in a row around {_place(wanted)}, found none among {len(rows)} bursts there{nearest}"
        )
    warnings = []
    if abs(off_deg) > SURE_DEG:
        warnings.append(
            f"{text}: the best fit has its centre {abs(off_deg):.2f} degrees from {_place(wanted)}: check it on a map"
        )
    return Choice(wanted.track, wanted.direction, tuple(bursts), tuple(warnings))


def fit(wanted: LicsarId, bursts: Iterable[BurstValue]) -> tuple[list[BurstValue], float]:
    """The bursts that an id stands for among those of its track, and by how much their centre lies north of the id's, degrees."""
    line = distinct(bursts)
    windows = {swath: _windows([b for b in line if b.swath == swath], n) for swath, n in _counts(wanted)}
    best: list[BurstValue] = []
    best_off = float("inf")
    tried: set[tuple[str, ...]] = set()
    for centre in [place for found in windows.values() for place, _ in found]:
        chosen = [min(found, key=lambda w: abs(anx_difference(w[0], centre))) for found in windows.values() if found]
        if len(chosen) < len(windows) or any(abs(anx_difference(place, centre)) > CYCLE_DS for place, _ in chosen):
            continue
        laid = along_track(burst for _, window in chosen for burst in window)
        key = tuple(b.id for b in laid)
        if key in tried or abs(_mean_latitude(laid) - wanted.latitude_deg) > _SEARCH_DEG:
            continue
        tried.add(key)
        off = _centre(laid) - wanted.latitude_deg
        if abs(off) < abs(best_off):
            best, best_off = laid, off
    return best, best_off


def _counts(wanted: LicsarId) -> list[tuple[str, int]]:
    return [(swath, n) for swath, n in zip(_SWATHS, wanted.counts, strict=True) if n]


def _windows(line: list[BurstValue], count: int) -> list[tuple[float, list[BurstValue]]]:
    """Every run of `count` consecutive bursts of a swath, with the ANX time of its middle."""
    found = []
    for start in range(len(line) - count + 1):
        window = line[start : start + count]
        if all(round(anx_difference(b.anx, a.anx) / CYCLE_DS) == 1 for a, b in pairwise(window)):
            found.append((window[0].anx + anx_difference(window[-1].anx, window[0].anx) / 2, window))
    return found


def _mean_latitude(bursts: Sequence[BurstValue]) -> float:
    known = [lat for b in bursts for _, lat in b.footprint]
    return sum(known) / len(known) if known else float("inf")


def _centre(bursts: Sequence[BurstValue]) -> float:
    return float(union(shapely.Polygon(b.footprint) for b in bursts if len(b.footprint) >= 3).centroid.y)


def _place(wanted: LicsarId) -> str:
    return f"{abs(wanted.latitude_deg):.2f} degrees {'north' if wanted.latitude_deg >= 0 else 'south'}"
