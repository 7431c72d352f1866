"""What all machines have in common, and how much of it is left: jobs of a stage at once, sessions of an archive, disk space."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from satdaemon.config import Settings
from satdaemon.db.jobs.candidates import Running
from satdaemon.db.jobs.packing import Budget
from satdaemon.status import Stage

_GB = 1e9


@dataclass(frozen=True, slots=True)
class Volume:
    """A file system that jobs write to."""

    name: str
    place: Path
    free_gb: float


def volumes(settings: Settings) -> dict[Stage, Volume]:
    """The file system that each stage writes to: downloads to data_path, all others to processing_path.

    Asks the file systems: not to be called while others wait for a lock.
    """
    parameters = settings.parameters
    data, processing = _volume(parameters.data_path), _volume(parameters.processing_path)
    return {stage: data if stage is Stage.DOWNLOAD else processing for stage in Stage}


def _volume(place: Path) -> Volume:
    there = next((p for p in (place, *place.parents) if p.exists()), Path("/"))
    return Volume(f"space {there.stat().st_dev}", place, shutil.disk_usage(there).free / _GB)


def budgets(settings: Settings, volume_of: Mapping[Stage, Volume], live: Iterable[Running]) -> dict[str, Budget]:
    """Each budget with what running jobs leave of it."""
    live = list(live)
    found = _limits(settings, live)
    floor_gb = settings.parameters.least_free_gb
    for volume in volume_of.values():
        if volume.name not in found:
            unwritten_gb = sum(job.unwritten_gb for job in live if volume_of[Stage(job.stage)].name == volume.name)
            why = f"no space: needs {{need}} GB on {volume.place}, {{left}} GB are free ({floor_gb:g} GB are left alone"
            why += ", and what running jobs are to write yet)" if unwritten_gb > 0 else ")"
            found[volume.name] = Budget(volume.free_gb - floor_gb - unwritten_gb, why, is_blocking=True)
    return found


def _limits(settings: Settings, live: list[Running]) -> dict[str, Budget]:
    running = Counter(job.stage for job in live)
    found = {}
    for stage in Stage:
        most = settings.stage(stage).at_once
        if most:
            why = f"{most} {stage} jobs run or go first: no more at once ([{stage.upper()}] at_once)"
            found[stage.value] = Budget(most - running[stage.value], why)
    sessions = Counter(job.archive for job in live if job.stage == Stage.DOWNLOAD)
    for name, most in settings.download.sessions.items():
        why = f"{most} downloads from {name} run or go first: no more at once ([DOWNLOAD] archive_sessions)"
        found[_of_archive(name)] = Budget(most - sessions[name], why)
    return found


def _of_archive(name: str) -> str:
    return f"archive {name}"


class Draws:
    """What jobs take of the budgets."""

    def __init__(self, found: Mapping[str, Budget], volume_of: Mapping[Stage, Volume]) -> None:
        self._found = found
        self._volume_of = {stage.value: volume.name for stage, volume in volume_of.items()}
        self._known: dict[tuple[str, float, str | None], tuple[tuple[str, float], ...]] = {}

    def of(self, stage: str, space_gb: float, archive: str | None) -> tuple[tuple[str, float], ...]:
        """What a job of a stage takes, of which budget."""
        key = (stage, space_gb, archive)
        if key not in self._known:
            all_ = [(stage, 1.0), (self._volume_of[stage], space_gb)]
            if archive is not None:
                all_.append((_of_archive(archive), 1.0))
            self._known[key] = tuple((name, amount) for name, amount in all_ if name in self._found)
        return self._known[key]
