"""An archive that is a directory of product zips, in any depth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from satdaemon.archive import transfer
from satdaemon.archive.area import Area
from satdaemon.archive.base import Progress, no_progress
from satdaemon.archive.local_catalogue import LocalCatalogue
from satdaemon.archive.verify import algorithm_of, check_checksum, check_product, check_size, check_zip
from satdaemon.domain import Frame, Scene
from satdaemon.errors import ArchiveError, CorruptProduct, RequestError, SatDaemonError


class LocalArchive:
    """Product zips below `path`, brought to the data directory by copy or hard link."""

    name = "local"

    def __init__(self, path: Path, transfer: Literal["copy", "link"] = "copy") -> None:
        self.path = path
        self.transfer = transfer

    def search(self, frame: Frame) -> list[Scene]:
        """Scenes of the frame's track and direction whose footprint meets the frame's (where known), as `LocalCatalogue` does."""
        area = Area.of_frames([frame], bare=True)
        return [listed.scene for listed in LocalCatalogue(self.path).search(area).listed]

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


def _valid(target: Path, scene: Scene, progress: Progress) -> Scene | None:
    """The scene at `target` if it is there and passes all checks; a bad one is as good as none."""
    with transfer.writing(target):
        try:
            return check_product(target, scene, progress)
        except (FileNotFoundError, CorruptProduct):
            return None
