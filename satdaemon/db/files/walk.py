"""The zips below the subdirectories that start with T, whatever else stands there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Zip:
    """One zip, and what tells whether it changed."""

    path: Path
    size: int
    mtime_ns: int


@dataclass(slots=True)
class Walk:
    """What stands below a data directory."""

    root: Path
    zips: dict[str, Zip] = field(default_factory=dict)
    """By absolute path; of one file that has several names or links, one."""
    problems: dict[str, str] = field(default_factory=dict)
    """Path -> why it cannot be looked at."""
    unseen: list[str] = field(default_factory=list)
    """Directories that could not be listed: what is below them is not known to be missing."""
    outside: int = 0
    """Zips directly in the data directory, which are left alone."""

    def covers(self, path: str) -> bool:
        """True where a file at `path` would have been found."""
        below = path.startswith(f"{self.root}{os.sep}T")
        return below and not any(path.startswith(f"{place}{os.sep}") for place in self.unseen)


def walk(root: Path) -> Walk:
    """Look for zips. Links to directories are followed once; nothing is opened.

    Pipes, devices, broken links, directories that may not be listed and names that are not UTF-8 are problems.
    """
    found = Walk(root)
    entries: list[tuple[bool, str, os.stat_result]] = []
    places = set[tuple[int, int]]()
    for entry in _list(root, found):
        if entry.name.startswith("T") and _is_directory(entry):
            entries += _below(entry.path, entry.is_symlink(), found, places)
        elif entry.name.lower().endswith(".zip"):
            found.outside += 1
    same = set[tuple[int, int]]()
    for _, path, status in sorted(entries, key=lambda e: e[:2]):
        if (status.st_dev, status.st_ino) in same:
            continue
        same.add((status.st_dev, status.st_ino))
        found.zips[path] = Zip(Path(path), status.st_size, status.st_mtime_ns)
    return found


def escaped(path: str) -> str:
    """A path as text that a database and a terminal take: bytes that are not UTF-8, and controls, written out."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _below(folder: str, linked: bool, found: Walk, places: set[tuple[int, int]]) -> Iterator[tuple[bool, str, os.stat_result]]:
    """(reached through a link, path, status) of every zip below; each directory once."""
    waiting = [(folder, linked)]
    while waiting:
        folder, linked = waiting.pop()
        try:
            status = os.stat(folder)  # noqa: PTH116 - tens of thousands of paths stay text
        except OSError as error:
            found.problems[escaped(folder)] = f"cannot be looked at: {error.strerror}"
            continue
        if (status.st_dev, status.st_ino) in places:
            continue
        places.add((status.st_dev, status.st_ino))
        for entry in _list(folder, found):
            through = linked or entry.is_symlink()
            if _is_directory(entry):
                waiting.append((entry.path, through))
            elif entry.name.lower().endswith(".zip") and (known := _status(entry, found)) is not None:
                yield through, entry.path, known


def _list(folder: Path | str, found: Walk) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        found.problems[escaped(str(folder))] = f"directory cannot be listed: {error.strerror}"
        found.unseen.append(str(folder))
        return []


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _status(entry: os.DirEntry[str], found: Walk) -> os.stat_result | None:
    """Status of a zip; None, and a problem, where it cannot be one."""
    try:
        entry.path.encode()
        status = entry.stat()
    except UnicodeEncodeError:
        found.problems[escaped(entry.path)] = "its name is not UTF-8: rename it"
        return None
    except OSError as error:
        what = "a link to nothing" if entry.is_symlink() else "cannot be looked at"
        found.problems[escaped(entry.path)] = f"{what}: {error.strerror}"
        return None
    if not stat.S_ISREG(status.st_mode):
        found.problems[entry.path] = "no regular file"
        return None
    return status
