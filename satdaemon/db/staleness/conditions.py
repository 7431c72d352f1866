"""What a product depends on beside other products: settings that play a part, polarisation, program, DEM, bursts.

One definition, for what is recorded with a product and for what it is compared with later.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from satdaemon.config import NetworkSettings, Settings, StageSettings
from satdaemon.db.models import Frame
from satdaemon.db.staleness.orbits import precise_names
from satdaemon.db.store import Store
from satdaemon.status import RowKind, Stage

Processors = Mapping[Stage, tuple[str, str]]
"""Stage to (name, version) of the built-in processor that would run it now."""
COMMON = frozenset(StageSettings.model_fields)
GATES = frozenset({"min_coverage", "initial_stack", "accept_failed_share"})
"""Settings that decide whether and when a job runs, and on which dates. Those dates are recorded themselves."""
_FOR_SIBLINGS = frozenset(
    {"window_az", "window_rg", "amplitude_ratio", "dispersion_tolerance", "min_siblings", "max_siblings", "min_dates"}
)
_FOR_PAIRS = frozenset({"threshold", "false_alarm", "min_looks", "remove_fringes"})
_FOR_DATES = frozenset({"esd_cell_lines", "esd_cell_samples", "esd_min_coherence", "esd_max_shift_px", "esd_max_sd_px"})
_UNUSED: dict[tuple[RowKind, Stage], frozenset[str]] = {
    (RowKind.MASTER, Stage.SATSAR): _FOR_DATES,
    (RowKind.MASTER, Stage.COHERENCE): _FOR_PAIRS,
    (RowKind.RSAR_IFG, Stage.COHERENCE): _FOR_SIBLINGS,
}
"""Settings of a section that its built-in processor does not look at for one kind of row."""
ON_FRAME_GRID = frozenset(set(Stage) - {Stage.DOWNLOAD, Stage.SLC})
"""Stages whose products lie on the master's grid."""


def stage_settings(settings: Settings, frame: Frame, stage: Stage, network: NetworkSettings) -> dict[str, Any]:
    """The settings that a processor is given: the stage's own of satdaemon.cfg, overridden by the frame's."""
    own = {k: v for k, v in settings.stage(stage).model_dump(mode="json").items() if k not in COMMON}
    if stage is Stage.SATSAR:
        own |= dem_settings(settings)
    own |= {"min_coverage": network.min_coverage, "initial_stack": network.initial_stack}
    if frame.accept_failed_share is not None and "accept_failed_share" in own:
        own["accept_failed_share"] = frame.accept_failed_share
    return own | dict((frame.stage_settings or {}).get(stage.value, {}))


def names_playing(settings: Settings, kind: RowKind, stage: Stage) -> frozenset[str] | None:
    """The settings that a stage's product depends on; None where a site's own program may look at any but the gates.

    A download depends on what it finds, not on how it looks.
    """
    if stage is Stage.DOWNLOAD:
        return frozenset()
    if command_of(settings, stage) is not None:
        return None
    return frozenset(type(settings.stage(stage)).model_fields) - COMMON - GATES - _UNUSED.get((kind, stage), frozenset())


def counting(names: frozenset[str] | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the settings `given` to a processor that `names_playing` says."""
    return {name: value for name, value in given.items() if (name not in GATES if names is None else name in names)}


def playing(settings: Settings, kind: RowKind, stage: Stage, given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the settings `given` to a processor that its product depends on."""
    return counting(names_playing(settings, kind, stage), given)


def command_of(settings: Settings, stage: Stage) -> str | None:
    """Program, arguments and variables of a stage that a site's own program runs; None for a built-in one."""
    section = settings.stage(stage)
    if section.processor != "command":
        return None
    return f"{section.command} with {section.environment}" if section.environment else section.command


def program_of(settings: Settings, stage: Stage, processors: Processors | None) -> tuple[str, str] | None:
    """(name, version) of what would run a stage now, as a product records it; None where nobody told."""
    command = command_of(settings, stage)
    if command is not None:
        return Path(shlex.split(command)[0]).name, ""
    return None if processors is None else processors.get(stage)


def dem_settings(settings: Settings) -> dict[str, str]:
    """Where heights come from and what they are above, where that is not a file of ellipsoidal heights."""
    parameters = settings.parameters
    heights = "EGM2008" if parameters.dem_source == "glo_30" else parameters.dem_heights
    if (parameters.dem_source, heights) == ("file", "ellipsoid"):
        return {}
    return {"dem_source": parameters.dem_source, "dem_heights": heights}


def dem_of(settings: Settings) -> list[Any] | None:
    """[name, ...] of the DEM; None where there is none to be seen.

    Of a file bytes and modification time in ns, then, where its heights are not ellipsoidal, the geoid and its grid.
    """
    parameters, special = settings.parameters, dem_settings(settings)
    found = _seen_file(parameters.dem) if parameters.dem_source == "file" else [parameters.dem_source]
    if found is None or not special:
        return found
    geoid = _seen_file(parameters.geoid) or []
    return [*found, special["dem_heights"], *geoid[:2]]


def _seen_file(path: Path | None) -> list[Any] | None:
    try:
        stat = None if path is None else path.stat()
    except OSError:
        return None  # a disk that is not mounted is not another DEM
    return None if path is None or stat is None else [path.name, stat.st_size, stat.st_mtime_ns]


def recorded(
    settings: Settings, kind: RowKind, stage: Stage, given: Mapping[str, Any], master: date, bursts: Sequence[str]
) -> dict[str, Any]:
    """What is kept with a job for the fingerprint of its product, beside its inputs and scenes.

    Parameters
    ----------
    given
        The settings that the processor is given (`stage_settings`).
    bursts
        Ids of the frame's bursts.
    """
    if stage is Stage.DOWNLOAD:
        return {}
    kept: dict[str, Any] = {
        "settings": playing(settings, kind, stage, given),
        "polarisation": settings.parameters.polarisation,
    }
    if (command := command_of(settings, stage)) is not None:
        kept["command"] = command
    if stage in ON_FRAME_GRID:
        kept["master"] = master.isoformat()
    if stage is Stage.SLC:
        kept["bursts"] = sorted(bursts)
    if stage is Stage.SATSAR and kind is RowKind.MASTER and (dem := dem_of(settings)) is not None:
        kept["dem"] = dem
    return kept


def outside_digest(db: Store, processors: Processors | None = None) -> str:
    """Digest of all outside the database that products depend on: cheap enough for every turn of the planner.

    Settings that enter fingerprints, programs and their versions, the DEM, names of the precise orbits that are there.
    """
    return digest([conditions_digest(db.settings, processors), sorted(precise_names(db.settings.parameters.orbit_path))])


def conditions_digest(settings: Settings, processors: Processors | None = None) -> str:
    """Digest of settings that enter fingerprints, programs with their versions, and the DEM."""
    parts: dict[str, Any] = {"polarisation": settings.parameters.polarisation, "dem": dem_of(settings)}
    parts["accept_resorb"] = settings.download.accept_resorb
    for stage in Stage:
        own = {k: v for k, v in settings.stage(stage).model_dump(mode="json").items() if k not in COMMON | GATES}
        shown = {} if stage is Stage.DOWNLOAD else own
        parts[stage.value] = [shown, command_of(settings, stage), program_of(settings, stage, processors)]
    return digest(parts)


def digest(value: Any) -> str:
    """SHA-256 of a value that json can write; equal values give equal digests on every machine."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
