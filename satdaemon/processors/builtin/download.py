"""download: the product zips of one date, brought to the data directory and verified, and its orbit chosen.

Writes `download.json`: `scenes` (id, path, size, checksum) and `orbit` (paths, type). A scene of which only the frame's bursts
were fetched stands beside it; its path is relative.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from satdaemon.archive import OrbitChoice, orbit_fetch
from satdaemon.archive.orbit_offers import archives_of
from satdaemon.config import ArchiveSettings
from satdaemon.domain import BURSTS_ONLY, Scene, StageInput, StageResult
from satdaemon.errors import DataError
from satdaemon.processors.base import METADATA_NAME, Report, write_metadata
from satdaemon.processors.builtin.fetch import SITES, Fetched, fetch_all, place_of
from satdaemon.processors.registry import VERSION
from satdaemon.status import Stage

FILE_NAME = "download.json"
_PARTIAL = "The frame's bursts of this product and its whole annotation; bursts.json in it says which bursts are there"


class DownloadProcessor:
    """Built-in processor of the download stage."""

    name = "download"
    version = VERSION[Stage.DOWNLOAD]

    def run(self, job: StageInput, report: Report) -> StageResult:
        """Fetch and verify every scene of the date, after making sure that it has an orbit.

        Settings used: those of [DOWNLOAD], and [ARCHIVES] as `sites`; places: `data`, `orbits`, `archive`.

        Raises
        ------
        NotReady
            No orbit serves yet: the date waits. Throttled: an archive asks to be left alone.
        CredentialsError
            An archive's login is missing or refused.
        CorruptProduct
            A zip is not the product that it should be.
        ArchiveError, DiskFull, TransientError
            The archive or the disk does not answer, or is full.
        """
        if not job.scenes:
            raise DataError(f"{job.frame.id} {job.key}: expected at least one product of the date, got none; ingest its files")
        _places(job)
        # First what costs nothing: a date without an orbit need not be fetched yet.
        orbit = _orbit(job, report)
        fetched = fetch_all(job, report)
        scenes = fetched.scenes
        _write(job, fetched, orbit)
        metrics: dict[str, float | int | str] = {
            "scenes": len(scenes),
            "gigabytes": round(sum(s.size or 0 for s in scenes) / 1e9, 6),
            "orbit_type": orbit.kind,
            "tried_again": fetched.warned,
        }
        partial = tuple(scene for scene in scenes if scene.id in fetched.partial)
        if partial:
            metrics["bursts"] = fetched.bursts
        described: dict[str, dict[str, Any]] = {
            FILE_NAME: {"description": "Verified product zips of the date and its orbit files", "unit": "bytes (size)"}
        }
        described |= {f"{s.id}.zip": {"description": _PARTIAL, "unit": "digital number", "bytes": s.size} for s in partial}
        notes = {"orbit_type": orbit.kind}
        write_metadata(job, processor=self.name, version=self.version, files=described, metrics=metrics, extra=notes)
        return StageResult(
            files=(*described, METADATA_NAME),
            metrics=metrics,
            warnings=orbit.notes,
            scenes=tuple(scene for scene in scenes if scene.id not in fetched.partial),
            processor=self.name,
            processor_version=self.version,
            partial=partial,
        )


def _places(job: StageInput) -> None:
    """Say what is lacking before anything is done."""
    for name, key in (("data", "data_path"), ("orbits", "orbit_path")):
        place_of(job, name, key)


def _orbit(job: StageInput, report: Report) -> OrbitChoice:
    platforms = {scene.platform for scene in job.scenes}
    if len(platforms) != 1:
        found = ", ".join(sorted(platforms))
        raise DataError(f"{job.frame.id} {job.key}: expected the products of one satellite, got {found}; exclude those of one")
    choice = orbit_fetch.choose(
        place_of(job, "orbits", "orbit_path"),
        archives_of(job.settings.get("orbit_archives", ()), ArchiveSettings.model_validate(job.settings.get(SITES, {}))),
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


def _write(job: StageInput, fetched: Fetched, orbit: OrbitChoice) -> None:
    document: dict[str, Any] = {
        "scenes": [_listed(scene, scene.id in fetched.partial) for scene in fetched.scenes],
        "orbit": {"paths": [str(p) for p in orbit.paths], "type": orbit.kind},
    }
    if fetched.partial:
        bursts = [burst.id for burst in job.frame.bursts]
        document[BURSTS_ONLY] = {"scenes": sorted(fetched.partial), "bursts": bursts, "polarisation": job.polarisation}
    (job.out_dir / FILE_NAME).write_text(json.dumps(document, indent=1) + "\n")


def _listed(scene: Scene, is_partial: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"id": scene.id, "path": str(scene.path), "size": scene.size, "checksum": scene.checksum}
    if is_partial:
        found["path"] = f"{scene.id}.zip"
    return found
