"""download: the product zips of one date, brought to the data directory and verified, and its orbit chosen.

Writes `download.json`: `scenes` (id, path, size, checksum) and `orbit` (paths, type).
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from satdaemon.archive import Archive, LocalArchive, OrbitChoice, orbit_fetch
from satdaemon.archive.orbit_offers import archives_of
from satdaemon.domain import Scene, StageInput, StageResult
from satdaemon.errors import ConfigError, DataError, RequestError
from satdaemon.processors.base import METADATA_NAME, Report, write_metadata
from satdaemon.processors.registry import VERSION
from satdaemon.status import Stage

FILE_NAME = "download.json"


class DownloadProcessor:
    """Built-in processor of the download stage."""

    name = "download"
    version = VERSION[Stage.DOWNLOAD]

    def run(self, job: StageInput, report: Report) -> StageResult:
        """Fetch and verify every scene of the date, after making sure that it has an orbit.

        Settings used: `archives`, `transfer`, `accept_resorb`, `orbit_archives`, `orbit_retry_s`; places: `data`, `orbits`,
        `archive`.

        Raises
        ------
        NotReady
            No orbit serves yet: the date waits.
        CorruptProduct
            A zip is not the product that it should be.
        ArchiveError, TransientError
            The archive or the disk does not answer, or is full.
        """
        if not job.scenes:
            raise DataError(f"{job.frame.id} {job.key}: expected at least one product of the date, got none; ingest its files")
        archive = _archive(job)
        # First what costs nothing: a date without an orbit need not be fetched yet.
        orbit = _orbit(job, report)
        scenes = _fetch_all(job, archive, report)
        _write(job.out_dir / FILE_NAME, scenes, orbit)
        metrics: dict[str, float | int | str] = {
            "scenes": len(scenes),
            "gigabytes": round(sum(s.size or 0 for s in scenes) / 1e9, 6),
            "orbit_type": orbit.kind,
        }
        described = {FILE_NAME: {"description": "Verified product zips of the date and its orbit files", "unit": "bytes (size)"}}
        notes = {"orbit_type": orbit.kind}
        write_metadata(job, processor=self.name, version=self.version, files=described, metrics=metrics, extra=notes)
        return StageResult(
            files=(FILE_NAME, METADATA_NAME),
            metrics=metrics,
            warnings=orbit.notes,
            scenes=scenes,
            processor=self.name,
            processor_version=self.version,
        )


def _archive(job: StageInput) -> Archive:
    named = job.settings.get("archives", ("local",))
    unknown = [name for name in named if name != LocalArchive.name]
    if unknown or not named:
        raise ConfigError(f"[DOWNLOAD] archives: expected local, got {', '.join(unknown) or 'nothing'}")
    transfer = job.settings.get("transfer", "copy")
    return LocalArchive(job.paths.get("archive", _place(job, "data", "data_path")), transfer)


def _orbit(job: StageInput, report: Report) -> OrbitChoice:
    platforms = {scene.platform for scene in job.scenes}
    if len(platforms) != 1:
        found = ", ".join(sorted(platforms))
        raise DataError(f"{job.frame.id} {job.key}: expected the products of one satellite, got {found}; exclude those of one")
    choice = orbit_fetch.choose(
        _place(job, "orbits", "orbit_path"),
        archives_of(job.settings.get("orbit_archives", ())),
        platforms.pop(),
        min(scene.start_utc for scene in job.scenes),
        max(scene.stop_utc for scene in job.scenes),
        accept_resorb=bool(job.settings.get("accept_resorb", True)),
        retry_after_s=float(job.settings.get("orbit_retry_s", 3600.0)),
    )
    warnings = tuple(f"orbit: {note}" for note in choice.notes)
    for warning in warnings:
        report.warning(warning)
    return replace(choice, notes=warnings)


def _fetch_all(job: StageInput, archive: Archive, report: Report) -> tuple[Scene, ...]:
    data = _place(job, "data", "data_path")
    total = sum(_weight(scene) for scene in job.scenes)
    done = 0
    fetched = []
    for scene in job.scenes:

        def progress(fraction: float, scene: Scene = scene, before: int = done) -> None:
            report.progress((before + fraction * _weight(scene)) / total, f"fetch and verify {scene.id}")

        fetched.append(archive.fetch(_addressed(scene), data / f"T{scene.track:03d}", progress))
        done += _weight(scene)
    return tuple(replace(found, url=scene.url) for found, scene in zip(fetched, job.scenes, strict=True))


def _addressed(scene: Scene) -> Scene:
    """A product that was ingested where it stands has no address in an archive but its own."""
    if not scene.url and scene.path is not None:
        return replace(scene, url=scene.path.absolute().as_uri())
    if urlsplit(scene.url).scheme != "file":
        raise RequestError(f"{scene.id}: expected the file:// address of a product in the local archive, got {scene.url!r}")
    return scene


def _weight(scene: Scene) -> int:
    return scene.size or 1


def _place(job: StageInput, name: str, key: str) -> Path:
    try:
        return job.paths[name]
    except KeyError:
        raise ConfigError(f"download: expected the place {name!r} ({key} in satdaemon.cfg), got none") from None


def _write(path: Path, scenes: tuple[Scene, ...], orbit: OrbitChoice) -> None:
    document: dict[str, Any] = {
        "scenes": [{"id": s.id, "path": str(s.path), "size": s.size, "checksum": s.checksum} for s in scenes],
        "orbit": {"paths": [str(p) for p in orbit.paths], "type": orbit.kind},
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
