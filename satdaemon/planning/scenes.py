"""Which files count, and to which date of a frame they belong."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, timedelta

from satdaemon.domain import Scene

ACQUISITION_LENGTH = 62
"""Characters of a product name that name the acquisition; the rest is a checksum of the manifest."""
SHIFT_S = 1.5
"""Start and stop of one acquisition may differ by a second between two processings."""
PASS_GAP_S = 600.0
"""Files of one pass over a frame lie closer than this; the next pass is a day away or more."""


def acquisition(scene_id: str) -> str:
    """The part of a product name that names the acquisition."""
    return scene_id[:ACQUISITION_LENGTH]


def same_acquisition(one: Scene, other: Scene) -> bool:
    """True where two products show the same seconds of the same pass in the same mode."""
    if one.id[:ACQUISITION_LENGTH] == other.id[:ACQUISITION_LENGTH]:
        return True
    return (
        one.platform == other.platform
        and one.absolute_orbit == other.absolute_orbit
        and one.id[:16] == other.id[:16]
        and abs((one.start_utc - other.start_utc).total_seconds()) <= SHIFT_S
        and abs((one.stop_utc - other.stop_utc).total_seconds()) <= SHIFT_S
    )


def newest_products(scenes: Iterable[Scene], bursts_of: Mapping[str, Collection[str]] | None = None) -> list[Scene]:
    """One product of each acquisition: the one with the newest processing time, sorted by start.

    With `bursts_of` (scene id -> burst ids) a product all of whose bursts are in one newer product of the same
    pass counts as replaced too, however its start and stop have moved. A product whose processing time is not
    known counts as the oldest; of two such the one that was published last, of two equal ones the greater name is taken.
    """
    kept: dict[tuple[str, int], list[Scene]] = {}
    for scene in sorted(scenes, key=_age, reverse=True):
        # Only products of the same pass can replace one another: those of this stretch of time and its neighbours.
        stretch = int(scene.start_utc.timestamp() // PASS_GAP_S)
        near = (newer for place in (stretch - 1, stretch, stretch + 1) for newer in kept.get((scene.platform, place), ()))
        if not any(_replaces(newer, scene, bursts_of) for newer in near):
            kept.setdefault((scene.platform, stretch), []).append(scene)
    return sorted((s for some in kept.values() for s in some), key=lambda s: (s.start_utc, s.id))


def split_dates(scenes: Iterable[Scene], first_burst_utc: Mapping[str, datetime] | None = None) -> dict[date, list[Scene]]:
    """The scenes of a frame by date; a pass across midnight is one date.

    `first_burst_utc` gives, by scene id, when the first burst **of the frame** in it starts; the earliest of a
    pass dates it. Without it the start of the first file counts. Should two passes fall on one date (a day
    apart within seconds of midnight), the longer one is kept, of equal ones the earlier.
    """
    starts = first_burst_utc or {}
    passes: list[list[Scene]] = []
    for scene in sorted(scenes, key=lambda s: (s.platform, s.start_utc, s.id)):
        if passes and _continues(passes[-1], scene):
            passes[-1].append(scene)
        else:
            passes.append([scene])
    dates: dict[date, list[Scene]] = {}
    for members in sorted(passes, key=lambda p: (-_seconds(p), p[0].start_utc, p[0].id)):
        known = [starts[s.id] for s in members if s.id in starts]
        day = min(known or [s.start_utc for s in members]).date()
        dates.setdefault(day, members)
    return dict(sorted(dates.items()))


def _age(scene: Scene) -> tuple[bool, datetime, str]:
    return scene.proc_utc is not None, scene.proc_utc or scene.published_utc or scene.start_utc, scene.id


def _replaces(newer: Scene, older: Scene, bursts_of: Mapping[str, Collection[str]] | None) -> bool:
    if same_acquisition(newer, older):
        return True
    if bursts_of is None or newer.platform != older.platform or newer.id[:16] != older.id[:16]:
        return False
    old = set(bursts_of.get(older.id, ()))
    near = abs((newer.start_utc - older.start_utc).total_seconds()) <= PASS_GAP_S
    return near and bool(old) and old <= set(bursts_of.get(newer.id, ()))


def _continues(members: list[Scene], scene: Scene) -> bool:
    last_stop = max(s.stop_utc for s in members)
    return members[-1].platform == scene.platform and scene.start_utc - last_stop <= timedelta(seconds=PASS_GAP_S)


def _seconds(members: list[Scene]) -> float:
    return (max(s.stop_utc for s in members) - min(s.start_utc for s in members)).total_seconds()
