"""What a host sees: run here, and by Dask on each machine's worker."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from deployments.doctor.versions import PINNED, installed
from satdaemon import __version__
from satdaemon.archive.credentials import credentials_of
from satdaemon.archive.dem_tiles import HINT
from satdaemon.archive.dem_tiles import NAME as GLO_30
from satdaemon.archive.names import LOCAL
from satdaemon.config import Settings, load
from satdaemon.db import Database
from satdaemon.db.health import health
from satdaemon.errors import SatDaemonError
from satdaemon.runner.cgroup import delegation
from satdaemon.status import Stage

WRITTEN = ("data_path", "processing_path", "log_path")
"""Directories that every host writes and reads: the same ones everywhere, at the same places."""


@dataclass(frozen=True)
class Place:
    """A directory as one host sees it."""

    problem: str | None
    free_gb: float = 0.0
    total_gb: float = 0.0


@dataclass(frozen=True)
class Seen:
    """What one host sees."""

    host: str
    versions: Mapping[str, str]
    places: Mapping[str, Place]
    read: Mapping[str, str | None]
    """Text of the files that another host wrote, by directory; None where there was none."""
    unreadable: Mapping[str, str]
    missing: Mapping[str, str]
    """Programs of `processor = command` that are not found, by stage."""
    clock_offset_s: float | None = None
    database: str | None = None
    """Why the database is not reached from there."""
    differs: Mapping[str, str] = field(default_factory=dict)
    """Settings that are others there, by key."""
    logins: Mapping[str, str] = field(default_factory=dict)
    """Where the login of each configured archive was found, by archive: never its value."""
    lacking: Mapping[str, str] = field(default_factory=dict)
    """Why the login of an archive was not found there."""
    limits: str | None = None
    """How jobs are limited there, in words; None where no worker was asked."""


def look(settings: Settings, notes: Mapping[str, str], answer: str | None = None) -> Seen:
    """Look around on this host. `notes`: by directory, a file's name to read; `answer`: write it back beside, with this name."""
    places = {key: _place(Path(getattr(settings.parameters, key))) for key in WRITTEN}
    read = {key: _read(Path(getattr(settings.parameters, key)) / name) for key, name in notes.items()}
    if answer is not None:
        for key in notes:
            if places[key].problem is None:
                (Path(getattr(settings.parameters, key)) / answer).write_text(socket.gethostname())
    offset_s, database = _database(settings)
    logins, lacking = _logins(settings)
    return Seen(
        socket.gethostname(), versions(), places, read, _unreadable(settings), _missing(settings), offset_s, database, {},
        logins, lacking,
    )  # fmt: skip


def look_there(ours: Mapping[str, str], notes: Mapping[str, str], answer: str) -> Seen:
    """The same on a worker, by its own configuration file; `ours` are our places, to be compared."""
    settings = load(check_paths=False)
    seen = look(settings, notes, answer)
    theirs = shared_settings(settings)
    differs = {key: theirs[key] for key in ours if theirs.get(key) != ours[key]}
    return replace(seen, differs=differs, limits=delegation().in_words())


def shared_settings(settings: Settings) -> dict[str, str]:
    """Settings that have to be the same on every host."""
    keys = (*WRITTEN, "orbit_path", "dem", "dem_source", "dem_heights", "geoid", "lease_s", "heartbeat_s")
    return {key: str(getattr(settings.parameters, key)) for key in keys}


def versions() -> dict[str, str]:
    """Versions that have to be the same on every host."""
    found = {name: installed(name) or "none" for name in (*PINNED, "numpy", "numba", "zarr")}
    return {"Python": platform.python_version(), "SatDaemon": __version__, **found}


def _place(path: Path) -> Place:
    if not path.is_dir():
        return Place("is no directory")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Place("cannot be read and written by this user")
    usage = shutil.disk_usage(path)
    return Place(None, usage.free / 1e9, usage.total / 1e9)


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


def _unreadable(settings: Settings) -> dict[str, str]:
    found = {}
    parameters = settings.parameters
    for key in ("orbit_path", "dem", "geoid"):
        path = getattr(parameters, key)
        if path is not None and not os.access(path, os.R_OK):
            found[key] = f"{path} is not there or cannot be read"
    if settings.download.orbit_archives and "orbit_path" not in found and not os.access(parameters.orbit_path, os.W_OK):
        found["orbit_path"] = f"{parameters.orbit_path} cannot be written, and orbit_archives fetches orbits to it"
    if parameters.dem_source == GLO_30 and find_spec("dem_stitcher") is None:
        found["dem_source"] = f"{GLO_30} needs the package dem-stitcher: {HINT}"
    return found


def _missing(settings: Settings) -> dict[str, str]:
    places = os.pathsep.join([*settings.parameters.software_path, os.environ.get("PATH", os.defpath)])
    found = {}
    for stage in Stage:
        section = settings.stage(stage)
        words = shlex.split(section.command) if section.processor == "command" else []
        if words and "{" not in words[0] and shutil.which(words[0], path=places) is None:
            found[stage.value] = words[0]
    return found


def _logins(settings: Settings) -> tuple[dict[str, str], dict[str, str]]:
    """Where downloads that run here find the logins of the archives, and why not."""
    found, lacking = {}, {}
    wanted = dict.fromkeys((*settings.download.archives, *(one for one in settings.download.orbit_archives if one == "cdse")))
    for archive in wanted if settings.download.processor == "builtin" else ():
        if archive == LOCAL:
            continue
        try:
            found[archive] = credentials_of(archive).source
        except SatDaemonError as failure:
            lacking[archive] = str(failure)
    return found, lacking


def _database(settings: Settings) -> tuple[float | None, str | None]:
    database = Database(settings)
    try:
        return health(database).clock_offset_s, None
    except SatDaemonError as failure:
        return None, str(failure)
    finally:
        database.close()
