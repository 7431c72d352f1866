"""Whether a better orbit has appeared since a date was downloaded. By file names first; a file is opened only to confirm."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from satdaemon.archive import orbits
from satdaemon.archive.eof import OrbitFile
from satdaemon.errors import NotReady

PRECISE = "_POEORB_"
_NEAR = timedelta(days=2)
"""A precise orbit is valid for 26 hours."""


def precise_names(orbit_path: Path) -> set[str]:
    """Names of the precise orbit files below a directory; none where it is not there (not mounted: nothing has appeared)."""
    return set(_names(str(orbit_path)))


def _names(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except OSError:
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from _names(entry.path)
        elif PRECISE in entry.name and entry.name.endswith(".EOF"):
            yield entry.name


class OrbitShelf:
    """The precise orbits there are, read once, when first asked for."""

    def __init__(self, orbit_path: Path, accept_resorb: bool = True) -> None:
        self.orbit_path = orbit_path
        self.accept_resorb = accept_resorb

    def better(self, used: Sequence[str], platform: str, start_utc: datetime, stop_utc: datetime) -> str | None:
        """What is better than the orbit files `used`, in words; None where nothing is.

        A precise orbit for a date that used restituted ones; one that ESA issued again, of the same validity.
        A damaged file is no better orbit: `orbits.choose` decides, by the rule that a new download would follow.
        """
        if not used or not self._promises(used, platform, start_utc, stop_utc):
            return None
        try:
            choice = orbits.choose(self.orbit_path, platform, start_utc, stop_utc, accept_resorb=self.accept_resorb)
        except NotReady:
            return None
        names = [path.name for path in choice.paths]
        if choice.kind != "POEORB" or set(names) == set(used):
            return None
        return f"made with the orbit {', '.join(sorted(used))}; now there is {', '.join(names)}"

    @cached_property
    def names(self) -> set[str]:
        """Names of the precise orbit files."""
        return precise_names(self.orbit_path)

    @cached_property
    def issued_again(self) -> list[str]:
        """Those of which there is more than one issue, sorted."""
        issues = defaultdict(list)
        for name in self.names:
            issues[name[:3], name.partition("_V")[2]].append(name)
        return sorted(name for same in issues.values() if len(same) > 1 for name in same)

    @cached_property
    def _by_start(self) -> dict[tuple[str, str], list[OrbitFile]]:
        """(platform, day of the validity's start) -> files."""
        found = defaultdict(list)
        for name in self.names:
            file = OrbitFile.from_name(Path(name))
            if file is not None:
                found[file.platform, f"{file.start_utc:%Y%m%d}"].append(file)
        return dict(found)

    def _promises(self, used: Sequence[str], platform: str, start_utc: datetime, stop_utc: datetime) -> bool:
        first, last = orbits.needed_interval(start_utc, stop_utc)
        days = (first - timedelta(days=n) for n in range(_NEAR.days + 1))
        near = [f for day in days for f in self._by_start.get((platform, f"{day:%Y%m%d}"), ()) if f.covers(first, last)]
        if not all(PRECISE in name for name in used):
            return bool(near)
        mine = [f for name in used if (f := OrbitFile.from_name(Path(name))) is not None]
        return any(_replaces(file, own) for file in near for own in mine)


def _replaces(file: OrbitFile, own: OrbitFile) -> bool:
    """True for a later issue of the same orbit. The next day's file may cover a date as well, and is no better."""
    same = (file.start_utc, file.stop_utc) == (own.start_utc, own.stop_utc)
    return same and file.created_utc > own.created_utc
