"""What nobody's transaction tells of: disks that run full, machines that fell silent, dates that are late."""

from __future__ import annotations

import shutil
from pathlib import Path

from satdaemon.config import Settings
from satdaemon.db import machines, messages
from satdaemon.db.messages.late import PREFIX as LATE
from satdaemon.db.messages.late import late_dates
from satdaemon.db.messages.outbox import News
from satdaemon.db.store import Store

LEAST_FREE = 0.05
"""Free share of a disk below which people are told."""
_DISK, _GONE = "disk/", "gone/"


def watch(db: Store, *, late: bool = True) -> list[str]:
    """Tell once of each thing that has come to be so since the last look; their keys. `late` looks at dates too."""
    low = {f"{_DISK}{path}": _low(path, text) for path, text in full_disks(db.settings).items()}
    gone = {f"{_GONE}{name}": _gone(name, since) for name, since in machines.silent(db).items()}
    found = messages.follow(db, _DISK, low, over=_enough) + messages.follow(db, _GONE, gone)
    return found + (messages.follow(db, LATE, late_dates(db)) if late else [])


def full_disks(settings: Settings) -> dict[Path, str]:
    """The disks of products and zips, as this machine sees them, that are almost full, and how much is free."""
    found = {}
    for path in (settings.parameters.processing_path, settings.parameters.data_path):
        if path.is_dir():
            usage = shutil.disk_usage(path)
            if usage.free < LEAST_FREE * usage.total:
                found[path] = f"{usage.free / 1e9:.3g} GB of {usage.total / 1e9:.3g} GB are free"
    return found


def _low(path: Path, text: str) -> News:
    return News("disk", f"disk/low/{path}", f"disk low: {path}", f"{path}: {text}.", "error", at_once=True)


def _enough(key: str) -> News:
    path = key.removeprefix(_DISK)
    return News("disk", f"disk/enough/{path}", f"disk has room again: {path}", f"{path}.", "info", at_once=True)


def _gone(name: str, since: str) -> News:
    body = f"{name} has not been heard of since {since}; its jobs go to other machines."
    return News("machine", f"gone/{name}", f"machine {name} is gone", body, "error")
