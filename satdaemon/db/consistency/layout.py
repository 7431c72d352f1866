"""What stands in the processing directory: products, attempts, and what does not belong there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from satdaemon.status import Stage

METADATA = "product.json"
"""As every processor writes it (satdaemon.processors.base)."""
ATTEMPTS = ".attempts"
"""As the runner makes it (satdaemon.runner.attempt)."""
_KEY = re.compile(r"^(?:[0-9]{8}(?:_[0-9]{8})?|frame)\Z")
_OF_THE_DISK = ("lost+found", ".snapshot", ".Trash")
_NFS = ".nfs"
"""A file that was removed while somebody had it open, on NFS."""


@dataclass(slots=True)
class FrameDirectory:
    """What was found below one frame's directory."""

    path: Path
    exists: bool = False
    products: dict[tuple[Stage, str], Path] = field(default_factory=dict)
    attempts: list[Path] = field(default_factory=list)
    odd: list[Path] = field(default_factory=list)
    """Files and directories that no stage makes."""


def look(path: Path) -> FrameDirectory:
    """List a frame's directory two levels deep; nothing is opened."""
    found = FrameDirectory(path, path.is_dir())
    for place in entries(path):
        if place.name == ATTEMPTS:
            found.attempts += entries(place)
        elif place.name in set(Stage) and place.is_dir():
            _products(Stage(place.name), place, found)
        else:
            found.odd.append(place)
    return found


def entries(path: Path) -> list[Path]:
    """What a directory holds, by name; nothing where it is gone."""
    try:
        return sorted(p for p in path.iterdir() if p.name not in _OF_THE_DISK and not p.name.startswith(_NFS))
    except (FileNotFoundError, NotADirectoryError):
        return []


def files_below(path: Path) -> Iterator[tuple[str, int]]:
    """Name relative to `path`, and size, of every file below it, in the order of the names."""
    for place in sorted(p for p in path.rglob("*") if p.is_file()):
        yield place.relative_to(path).as_posix(), place.stat().st_size


def _products(stage: Stage, folder: Path, found: FrameDirectory) -> None:
    for place in entries(folder):
        if is_key(place.name) and place.is_dir():
            found.products[stage, place.name] = place
        else:
            found.odd.append(place)


def is_key(name: str) -> bool:
    """True for `20230101`, `20230101_20230113` and `frame`."""
    if not _KEY.match(name):
        return False
    try:
        for day in () if name == "frame" else name.split("_"):
            datetime.strptime(day, "%Y%m%d")
    except ValueError:
        return False
    return True
