"""What a search of an archive finds: scenes with their footprints, and how much was no scene."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from satdaemon.archive.area import Area
from satdaemon.archive.product import PRODUCT_NAME, scene_of_name
from satdaemon.domain import REPEAT_ORBITS, Scene

MD5 = re.compile(r"[0-9a-fA-F]{32}\Z")
MOST_CORNERS = 1000
SLACK_S = 2.0
"""Times of sensing and those of the name, which are whole seconds, agree within it."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A scene as an archive lists it, without a path."""

    scene: Scene
    footprint: tuple[tuple[float, float], ...]
    """Corners, (lon, lat) degrees, not closed."""
    published_utc: datetime | None = None
    """When the archive made it known, or changed it last."""


class NotListed(ValueError):
    """An entry of an answer that is no Sentinel-1 SLC scene, or not told completely; the message is the reason."""


@dataclass(slots=True)
class Finds:
    """Gathers what the pages of a search list: each scene once, and why entries were left out."""

    listed: dict[str, Listed] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0

    def add(self, listed: Listed) -> bool:
        """True where the scene was not known yet."""
        if listed.scene.id in self.listed:
            self.duplicates += 1
            return False
        self.listed[listed.scene.id] = listed
        return True

    def skip(self, reason: str) -> None:
        """Count an entry that was left out."""
        self.skipped[reason] += 1

    def of(self, area: Area, requests: int) -> Found:
        """Those that the area shows, in order of time."""
        shown = [each for each in self.listed.values() if area.shows(each.scene, each.footprint)]
        shown.sort(key=lambda each: (each.scene.start_utc, each.scene.id))
        return Found(tuple(shown), dict(self.skipped), self.duplicates, requests)


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a search."""

    listed: tuple[Listed, ...]
    """Sorted by start of sensing; both products where one was reissued."""
    skipped: Mapping[str, int]
    """Entries that were no usable scene: how many, by reason."""
    duplicates: int
    """Entries that were listed before, on another page."""
    requests: int
    """Requests that it took, repeated ones included."""


class Catalogue(Protocol):
    """The search side of an archive. No login is needed."""

    name: str

    def search(self, area: Area) -> Found:
        """All SLC scenes of the area. Raises ArchiveError where the archive does not answer as it should."""


def listed_scene(
    name: Any,
    *,
    start: Any,
    stop: Any,
    track: Any,
    direction: Any,
    url: str,
    ring: Any,
    size: Any = None,
    md5: Any = None,
    processed: Any = None,
    published: Any = None,
) -> Listed:
    """A scene from the fields of an answer, none of which is trusted. Raises NotListed."""
    if not isinstance(name, str) or not name.isascii() or PRODUCT_NAME.fullmatch(name) is None:
        raise NotListed("no IW SLC product by its name")
    scene = scene_of_name(Path(name))
    if scene is None:
        raise NotListed("times in the name that are none")
    start_utc, stop_utc = moment(start), moment(stop)
    if start_utc is None or stop_utc is None:
        raise NotListed("no times of sensing")
    if max(abs((a - b).total_seconds()) for a, b in ((start_utc, scene.start_utc), (stop_utc, scene.stop_utc))) > SLACK_S:
        raise NotListed("times of sensing that are not those of the name")
    if direction not in ("ASCENDING", "DESCENDING"):
        raise NotListed("no direction of flight")
    proc_utc = moment(processed)
    known = replace(
        scene,
        start_utc=start_utc,
        stop_utc=stop_utc,
        date=start_utc.date(),
        track=_track(track, scene.track),
        orbit_direction=direction[0],
        # An archive that knows no time of processing may put the start of sensing in its place.
        proc_utc=proc_utc if proc_utc is not None and proc_utc >= stop_utc else None,
        url=url,
        size=size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else None,
        checksum=f"md5:{md5.lower()}" if isinstance(md5, str) and MD5.match(md5) else None,
    )
    return Listed(known, footprint_of(ring), moment(published))


def moment(value: Any) -> datetime | None:
    """A time in ISO 8601, UTC where it names no zone; None for anything else."""
    try:
        found = datetime.fromisoformat(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def footprint_of(ring: Any) -> tuple[tuple[float, float], ...]:
    """Corners of a ring [[lon, lat], ...], not closed. Raises NotListed."""
    if not isinstance(ring, Sequence) or isinstance(ring, str) or not 3 <= len(ring) <= MOST_CORNERS:
        raise NotListed("no footprint")
    corners = [_corner(each) for each in ring]
    if corners[0] == corners[-1]:
        corners.pop()
    if len(set(corners)) < 3:
        raise NotListed("no footprint")
    return tuple(corners)


def first_of(values: Iterable[Any]) -> Any:
    """The first that is not None."""
    return next((value for value in values if value is not None), None)


def _corner(value: Any) -> tuple[float, float]:
    try:
        lon, lat = (float(each) for each in value)
    except (TypeError, ValueError, OverflowError) as error:
        raise NotListed("a footprint that is none") from error
    if not (math.isfinite(lon) and abs(lon) <= 360 and abs(lat) <= 90):
        raise NotListed("a footprint that is none")
    return lon, lat


def _track(value: Any, by_name: int) -> int:
    """What the archive says, where it is a track; else what the absolute orbit of the name gives."""
    is_track = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= REPEAT_ORBITS
    return int(value) if is_track else by_name
