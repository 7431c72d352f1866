"""The search side of an archive that is a directory: names and manifests are read, nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from satdaemon.archive import transfer
from satdaemon.archive.area import Area, Place, before
from satdaemon.archive.found import Finds, Found, Listed
from satdaemon.archive.product import QuickLook, quick_look, scene_of_name
from satdaemon.domain import Scene
from satdaemon.errors import ArchiveError

DAY_S = 86400.0
SAME_PLACE_S = 60.0
"""All satellites pass a place of a track at one time of the day (the repeat is 12 days); slices move by seconds."""


@dataclass(frozen=True, slots=True)
class _Zip:
    named: Scene
    look: QuickLook
    put_utc: datetime


class LocalCatalogue:
    """Product zips below a directory, in any depth. Without footprints, a place's track decides."""

    name = "local"

    def __init__(self, path: Path) -> None:
        self.path = path

    def search(self, area: Area) -> Found:
        """Scenes of the area, sorted by start. Raises ArchiveError where the directory cannot be read.

        A zip whose manifest cannot be read is listed too where its name puts it on the track at the time of the day of the
        others, without footprint: its date has to fail with a reason, not to be absent.
        """
        tracks = {track for place in area.places if place.track is not None for track in (place.track, before(place.track))}
        everywhere = not area.places or any(place.track is None for place in area.places)
        zips = [one for path in self._zips() if (one := _look(path, None if everywhere else tracks, area)) is not None]
        finds = Finds()
        if not area.places:
            for one in zips:
                finds.add(_listed(one, one.look.scene.orbit_direction))
        for place in area.places:
            for one, direction in _at(place, zips):
                finds.add(_listed(one, direction))
        listed = sorted(finds.listed.values(), key=lambda each: (each.scene.start_utc, each.scene.id))
        return Found(tuple(listed), {}, 0, 0)

    def _zips(self) -> Iterator[Path]:
        if not self.path.is_dir():
            raise ArchiveError(f"{self.path}: expected the archive's directory (archive_path), found none; is its disk mounted?")

        def unreadable(error: OSError) -> None:
            raise ArchiveError(f"{error.filename}: this part of the archive cannot be read: {error}") from error

        for folder, _, names in os.walk(self.path, onerror=unreadable, followlinks=True):
            yield from (Path(folder) / name for name in names if name.endswith(".zip") and not name.startswith("."))


def _look(path: Path, tracks: set[int] | None, area: Area) -> _Zip | None:
    """Name and manifest, where they speak of one of the tracks and of the times."""
    named = scene_of_name(path)
    # A slice may begin on the track before and cross the equator.
    if named is None or (tracks is not None and named.track not in tracks):
        return None
    if area.start_utc is not None and named.stop_utc < area.start_utc:
        return None
    if area.stop_utc is not None and named.start_utc > area.stop_utc:
        return None
    with transfer.reading(path):
        about = path.stat()
        put_utc = datetime.fromtimestamp(max(about.st_mtime, about.st_ctime), UTC)
        if area.since_utc is not None and put_utc < area.since_utc:
            return None
        if area.until_utc is not None and put_utc >= area.until_utc:
            return None
        look = quick_look(path)
    return None if look is None else _Zip(named, look, put_utc)


def _at(place: Place, zips: Iterable[_Zip]) -> Iterator[tuple[_Zip, str]]:
    """What a place is shown by, with the direction that it is flown over in."""
    area = Area((replace(place, track=None, direction=None),) if place.footprints else ())
    near = [one for one in zips if _may_be(one, place)]
    good = [one for one in near if not one.look.problem and _shows(one.look, place, area)]
    yield from ((one, one.look.scene.orbit_direction) for one in good)
    clocks = [one.look.scene.start_utc for one in good]
    for one in near:
        if one.look.problem and (not clocks or _near_one(one.look.scene.start_utc, clocks)):
            yield one, one.look.scene.orbit_direction or place.direction or ""


def _may_be(one: _Zip, place: Place) -> bool:
    if place.track is not None:
        allowed = (place.track,) if one.look.problem else (place.track, before(place.track))
        if one.named.track not in allowed:
            return False
    return place.direction is None or one.look.scene.orbit_direction in ("", place.direction)


def _shows(look: QuickLook, place: Place, area: Area) -> bool:
    if not area.places or len(look.footprint) < 3:
        return place.track is None or look.scene.track == place.track
    return area.shows(look.scene, look.footprint)


def _listed(one: _Zip, direction: str) -> Listed:
    return Listed(replace(one.look.scene, orbit_direction=direction), one.look.footprint, one.put_utc)


def _near_one(moment: datetime, clocks: Iterable[datetime]) -> bool:
    def apart_s(other: datetime) -> float:
        return abs(((moment - other).total_seconds() + DAY_S / 2) % DAY_S - DAY_S / 2)

    return any(apart_s(other) <= SAME_PLACE_S for other in clocks)
