"""What products depend on beside other products: settings that play a part, polarisation, program, DEM.

One definition for what is recorded with a product (`kept`) and for what it is compared with later.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from satdaemon.archive.eof import OrbitFile
from satdaemon.config import NetworkSettings, Settings, StageSettings
from satdaemon.db.models import Frame
from satdaemon.db.store import Store
from satdaemon.status import RowKind, Stage

Processors = Mapping[Stage, tuple[str, str]]
"""Stage to (name, version) of the program that would run it now."""
COMMON = frozenset(StageSettings.model_fields)
_SIBLINGS = frozenset(
    {"window_az", "window_rg", "amplitude_ratio", "dispersion_tolerance", "min_siblings", "max_siblings", "min_dates"}
)
_NO_PART: dict[tuple[RowKind, Stage], frozenset[str]] = {
    (RowKind.MASTER, Stage.COHERENCE): frozenset({"threshold", "false_alarm", "min_looks", "remove_fringes"}),
    (RowKind.RSAR_IFG, Stage.COHERENCE): _SIBLINGS,
}
"""Settings of a section that the built-in processor of one kind of row does not look at."""
_GATES = frozenset({"min_coverage", "initial_stack", "accept_failed_share"})
"""They decide whether and when a job runs, and on which dates; these are recorded themselves."""


def stage_settings(settings: Settings, frame: Frame, stage: Stage, network: NetworkSettings) -> dict[str, Any]:
    """The settings that a processor is given: the stage's own of satdaemon.cfg, overridden by the frame's."""
    own = {k: v for k, v in settings.stage(stage).model_dump(mode="json").items() if k not in COMMON}
    own |= {"min_coverage": network.min_coverage, "initial_stack": network.initial_stack}
    if frame.accept_failed_share is not None and "accept_failed_share" in own:
        own["accept_failed_share"] = frame.accept_failed_share
    return own | dict((frame.stage_settings or {}).get(stage.value, {}))


def playing(settings: Settings, kind: RowKind, stage: Stage, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a stage's settings that its product depends on."""
    if stage is Stage.DOWNLOAD:
        return {}
    none = _GATES if is_command(settings, stage) else _GATES | _NO_PART.get((kind, stage), frozenset())
    return {name: value for name, value in values.items() if name not in none}


def is_command(settings: Settings, stage: Stage) -> bool:
    """True where a site's own program runs the stage."""
    return settings.stage(stage).processor == "command"


def command_of(settings: Settings, stage: Stage) -> str | None:
    """Program and arguments of a stage that a site's own program runs; None for a built-in one."""
    return settings.stage(stage).command if is_command(settings, stage) else None


def program_of(settings: Settings, stage: Stage, processors: Processors | None) -> tuple[str, str] | None:
    """(name, version) of what would run a stage now; None where nobody told."""
    command = command_of(settings, stage)
    if command is not None:
        return Path(shlex.split(command)[0]).name, ""
    return None if processors is None else processors.get(stage)


def dem_of(settings: Settings) -> list[Any] | None:
    """[name, bytes, modification time in ns] of the DEM; None where there is none, or none to be seen."""
    dem = settings.parameters.dem
    if dem is None:
        return None
    try:
        stat = dem.stat()
    except OSError:
        return None
    return [dem.name, stat.st_size, stat.st_mtime_ns]


def outside_digest(db: Store, processors: Processors | None = None) -> str:
    """Digest of all that fingerprints depend on outside the database: cheap enough for every turn of the planner.

    Settings that enter fingerprints, programs and their versions, the DEM, the names of the precise orbits there.
    """
    settings = db.settings
    parts: dict[str, Any] = {"polarisation": settings.parameters.polarisation, "dem": dem_of(settings)}
    for stage in Stage:
        own = {k: v for k, v in settings.stage(stage).model_dump(mode="json").items() if k not in COMMON | _GATES}
        parts[stage.value] = [own, command_of(settings, stage), program_of(settings, stage, processors)]
    parts["orbits"] = orbit_names(settings.parameters.orbit_path)
    return digest(parts)


def orbit_names(orbit_path: Path) -> list[str]:
    """Names of the precise orbit files below a directory, sorted; none where the directory is not there."""
    return sorted(name for name in _names(str(orbit_path)) if "_POEORB_" in name and OrbitFile.from_name(Path(name)))


def _names(folder: str) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return  # not mounted: nothing better has appeared
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _names(entry.path)
        elif entry.name.endswith(".EOF"):
            yield entry.name


def digest(value: Any) -> str:
    """SHA-256 of a value that json can write; equal values give equal digests on every machine."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
