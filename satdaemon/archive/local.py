"""An archive that is a directory of product zips, in any depth."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from satdaemon.archive import transfer
from satdaemon.archive.area import Area, Place, before
from satdaemon.archive.base import Progress, no_progress
from satdaemon.archive.product import QuickLook, quick_look, scene_of_name
from satdaemon.archive.verify import algorithm_of, check_checksum, check_product, check_size, check_zip
from satdaemon.domain import Frame, Scene
from satdaemon.errors import ArchiveError, CorruptProduct, RequestError, SatDaemonError

DAY_S = 86400.0
SAME_PLACE_S = 60.0
"""All satellites pass a place of a track at one time of the day (the repeat is 12 days); slices move by seconds."""


class LocalArchive:
    """Product zips below `path`, brought to the data directory by copy or hard link."""

    name = "local"

    def __init__(self, path: Path, transfer: Literal["copy", "link"] = "copy") -> None:
        self.path = path
        self.transfer = transfer

    def search(self, frame: Frame) -> list[Scene]:
        """Scenes of the frame's track and direction whose footprint meets the frame's, sorted by start.

        Names and manifests are read, nothing else. A zip whose manifest cannot be read is listed too where its name puts
        it on the track at the time of the day of the others: its date has to fail with a reason, not to be absent.
        """
        looks = [look for path in self._zips() if (look := _look(path, frame)) is not None]
        area = _area_of(frame)
        good = [look.scene for look in looks if not look.problem and _shows(look, frame, area)]
        clocks = [scene.start_utc for scene in good]
        for look in looks:
            if look.problem and (not clocks or _near_one(look.scene.start_utc, clocks)):
                good.append(replace(look.scene, orbit_direction=frame.orbit_direction))
        return sorted(good, key=lambda s: (s.start_utc, s.id))

    def fetch(self, scene: Scene, target_dir: Path, progress: Progress = no_progress) -> Scene:
        """See `Archive.fetch`. A file that is there already and passes all checks is left as it is."""
        source = self._source(scene)
        with transfer.writing(target_dir):
            target_dir.mkdir(parents=True, exist_ok=True)
        target = target_dir / f"{scene.id}.zip"
        if (there := _valid(target, scene, progress)) is not None:
            return there
        with transfer.reading(source):
            if target.exists() and source.samefile(target):
                return check_product(target, scene, progress)
        with transfer.locked_part(target) as part:
            try:
                # Another job may have brought it while this one waited for the lock.
                found = _valid(target, scene, progress) or self._bring(source, part, target, scene, progress)
            except ArchiveError:
                if part.stat().st_size:
                    raise  # The next try carries it on.
                part.unlink()
                raise
            except SatDaemonError:
                part.unlink(missing_ok=True)
                raise
            part.unlink(missing_ok=True)
        return found

    def _bring(self, source: Path, part: Path, target: Path, scene: Scene, progress: Progress) -> Scene:
        if self.transfer == "link":
            with transfer.reading(source):
                found = check_product(source, scene, progress)
            with transfer.writing(target):
                linked = transfer.link(source, target)
            if linked:
                return replace(found, path=target)
        checksum = self._copy(source, part, scene, progress)
        size = part.stat().st_size
        transfer.publish(part, target)
        return replace(scene, path=target, size=size, checksum=checksum)

    def _copy(self, source: Path, part: Path, scene: Scene, progress: Progress) -> str:
        with transfer.reading(source):
            check_size(source, scene.size)
        checksum = transfer.copy(source, part, algorithm_of(scene.checksum), lambda done: progress(done / 2))
        check_checksum(source, scene.checksum, checksum)
        try:
            check_zip(part, scene.id, lambda done: progress(0.5 + done / 2))
        except CorruptProduct as error:
            # The part equals the source byte for byte: it is the archive's file that is bad.
            raise CorruptProduct(str(error).replace(str(part), str(source))) from error
        return checksum

    def _source(self, scene: Scene) -> Path:
        parts = urlsplit(scene.url)
        if parts.scheme != "file":
            raise RequestError(f"{scene.id}: expected a file:// address in the local archive, got {scene.url!r}")
        return Path(unquote(parts.path))

    def _zips(self) -> Iterator[Path]:
        if not self.path.is_dir():
            raise ArchiveError(f"{self.path}: expected the archive's directory (archive_path), found none; is its disk mounted?")

        def unreadable(error: OSError) -> None:
            raise ArchiveError(f"{error.filename}: this part of the archive cannot be read: {error}") from error

        for folder, _, names in os.walk(self.path, onerror=unreadable, followlinks=True):
            yield from (Path(folder) / name for name in names if name.endswith(".zip") and not name.startswith("."))


def _look(path: Path, frame: Frame) -> QuickLook | None:
    """Name and manifest, where they speak of the frame's track and direction."""
    named = scene_of_name(path)
    # A slice may begin on the track before and cross the equator.
    if named is None or named.track not in (frame.track, before(frame.track)):
        return None
    with transfer.reading(path):
        look = quick_look(path)
    if look is None or (look.problem and named.track != frame.track):
        return None
    return None if look.scene.orbit_direction not in ("", frame.orbit_direction) else look


def _valid(target: Path, scene: Scene, progress: Progress) -> Scene | None:
    """The scene at `target` if it is there and passes all checks; a bad one is as good as none."""
    with transfer.writing(target):
        try:
            return check_product(target, scene, progress)
        except (FileNotFoundError, CorruptProduct):
            return None


def _shows(look: QuickLook, frame: Frame, area: Area) -> bool:
    if not area.places or len(look.footprint) < 3:
        return look.scene.track == frame.track
    return area.shows(look.scene, look.footprint)


def _area_of(frame: Frame) -> Area:
    """The frame's bursts whose footprints are known, on whatever track: names were looked at; empty where there are none."""
    footprints = tuple(burst.footprint for burst in frame.bursts if len(burst.footprint) >= 3)
    return Area((Place(frame.id, footprints),) if footprints else ())


def _near_one(moment: datetime, clocks: Iterable[datetime]) -> bool:
    def apart_s(other: datetime) -> float:
        return abs(((moment - other).total_seconds() + DAY_S / 2) % DAY_S - DAY_S / 2)

    return any(apart_s(other) <= SAME_PLACE_S for other in clocks)
