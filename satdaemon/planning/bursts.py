"""Which burst of a file is which burst of a frame. Ids differ by 0..3 between dates, so equality is never enough."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from shapely.geometry import Polygon

from satdaemon.domain import ORBIT_S, REPEAT_ORBITS, Burst

ORBIT_DS = ORBIT_S * 10
"""One orbit in tenths of a second, the unit of `anx`."""
ANX_TOLERANCE_DS = 3
"""Largest difference seen between dates (January 2015), tenths of a second. Neighbours are 27 or 28 apart."""
LEAST_OVERLAP = 0.5
"""Share of the smaller footprint that two views of one burst have in common; neighbours share about a tenth."""


def anx_difference(anx1: float, anx2: float) -> float:
    """`anx1 - anx2` in tenths of a second, taken round the orbit: from -T/2 to T/2."""
    return (anx1 - anx2 + ORBIT_DS / 2) % ORBIT_DS - ORBIT_DS / 2


def anx_matches(one: Burst, other: Burst, tolerance_ds: float = ANX_TOLERANCE_DS) -> bool:
    """True where two bursts are one by track, swath and time since the ascending node.

    The times wrap at one orbit. Where a pass crosses the node its track number steps by one, so that the
    last moment of a track and the first of the next are the same place.
    """
    if one.swath != other.swath:
        return False
    if one.track == other.track:
        return abs(anx_difference(one.anx, other.anx)) <= tolerance_ds
    steps = (one.track - other.track) % REPEAT_ORBITS
    if steps == 1:
        return abs(one.anx + ORBIT_DS - other.anx) <= tolerance_ds
    if steps == REPEAT_ORBITS - 1:
        return abs(other.anx + ORBIT_DS - one.anx) <= tolerance_ds
    return False


def footprints_overlap(one: Burst, other: Burst, least: float = LEAST_OVERLAP) -> bool:
    """True where the footprints share at least `least` of the smaller, or where one of them is not known.

    Footprints are compared in degrees; one that crosses the 180th meridian is unrolled first.
    """
    if len(one.footprint) < 3 or len(other.footprint) < 3:
        return True
    lon0 = one.footprint[0][0]
    first, second = _polygon(one.footprint, lon0), _polygon(other.footprint, lon0)
    smaller = min(first.area, second.area)
    if smaller == 0:
        return bool(first.intersects(second))
    return bool(first.intersection(second).area >= least * smaller)


def match_bursts(frame_bursts: Iterable[Burst], scene_bursts: Iterable[Burst]) -> dict[str, str]:
    """Frame burst id -> id of the same burst in a scene, for each frame burst that the scene has.

    Two bursts are one where their ESA ids are equal or `anx_matches`, and their footprints overlap (a wrong
    annotated ANX time is so found out). Where several fit, an equal ESA id wins, then the nearest time, then
    the smaller id; no burst of the scene serves twice.
    """
    candidates = []
    scene = list(scene_bursts)
    for wanted in frame_bursts:
        for found in scene:
            same_id = _same_esa_id(wanted, found)
            if (same_id or anx_matches(wanted, found)) and footprints_overlap(wanted, found):
                distance = abs(anx_difference(wanted.anx, found.anx))
                candidates.append((not same_id, distance, wanted.id, found.id))
    matches: dict[str, str] = {}
    taken: set[str] = set()
    for _, _, wanted_id, found_id in sorted(candidates):
        if wanted_id not in matches and found_id not in taken:
            matches[wanted_id] = found_id
            taken.add(found_id)
    return matches


def along_track(bursts: Iterable[Burst]) -> list[Burst]:
    """Bursts in the order of acquisition, also where the frame crosses the ascending node.

    The circle of one orbit is cut at its widest gap; a frame is never as long as half an orbit.
    """
    ordered = sorted(bursts, key=lambda b: (b.anx, b.swath, b.id))
    if len(ordered) < 2:
        return ordered
    gaps = [(ordered[i].anx - ordered[i - 1].anx) % ORBIT_DS for i in range(1, len(ordered))]
    gaps.insert(0, ordered[0].anx - ordered[-1].anx + ORBIT_DS)
    start = max(range(len(ordered)), key=lambda i: (gaps[i], -i))
    return ordered[start:] + ordered[:start]


def merge_matches(matches: Iterable[Mapping[str, str]]) -> frozenset[str]:
    """Frame bursts that at least one scene of a date has."""
    return frozenset(frame_id for match in matches for frame_id in match)


def _same_esa_id(one: Burst, other: Burst) -> bool:
    return one.esa_id is not None and one.esa_id == other.esa_id and one.swath == other.swath


def _polygon(corners: Sequence[tuple[float, float]], lon0: float) -> Polygon:
    first = (corners[0][0] - lon0 + 180) % 360 - 180
    unrolled = Polygon([(first + (lon - corners[0][0] + 180) % 360 - 180, lat) for lon, lat in corners])
    return unrolled if unrolled.is_valid else unrolled.convex_hull
