"""Whether a better orbit has appeared since a date was downloaded. By file names first; a file is opened only to confirm."""

from __future__ import annotations

import hashlib
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from satdaemon.archive import orbits
from satdaemon.archive.eof import OrbitFile
from satdaemon.errors import NotReady

PRECISE = "_POEORB_"
_SETTLED_NS = 2_000_000_000
"""A directory's time is trusted where it is older than this: file systems count it in steps."""
_NEAR = timedelta(days=2)
"""A precise orbit is valid for 26 hours."""


def precise_names(orbit_path: Path) -> set[str]:
    """Names of the precise orbit files below a directory; none where it is not there (not mounted: nothing has appeared)."""
    return set(_listing(str(orbit_path)).names)


class _Listing:
    """Names of the precise orbits below a directory, which stay true for as long as no directory there changes."""

    def __init__(self, folder: str) -> None:
        self._began_ns = time.time_ns()
        self._changed_ns: dict[str, int | None] = {}
        self.names = frozenset(self._read(folder))

    def is_current(self) -> bool:
        """False also where a directory changed just before it was read: its time might not tell the next change."""
        settled_ns = self._began_ns - _SETTLED_NS
        known = self._changed_ns.items()
        return all(at is not None and at < settled_ns and _changed_ns(folder) == at for folder, at in known)

    def _read(self, folder: str) -> Iterator[str]:
        self._changed_ns[folder] = _changed_ns(folder)
        try:
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError:
            return
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                yield from self._read(entry.path)
            elif PRECISE in entry.name and entry.name.endswith(".EOF"):
                yield entry.name

    @cached_property
    def digest(self) -> str:
        """Of all names."""
        return hashlib.sha256("\n".join(sorted(self.names)).encode()).hexdigest()

    @cached_property
    def issued_again(self) -> list[str]:
        """Those of which there is more than one issue, sorted."""
        issues = defaultdict(list)
        for name in self.names:
            issues[name[:3], name.partition("_V")[2]].append(name)
        return sorted(name for same in issues.values() if len(same) > 1 for name in same)

    @cached_property
    def by_start(self) -> dict[tuple[str, str], list[OrbitFile]]:
        """(platform, day of the validity's start) -> files."""
        found = defaultdict(list)
        for name in self.names:
            file = OrbitFile.from_name(Path(name))
            if file is not None:
                found[file.platform, f"{file.start_utc:%Y%m%d}"].append(file)
        return dict(found)


_listings: dict[str, _Listing] = {}
"""By directory: thousands of names, which every plan asks for."""


def _listing(folder: str) -> _Listing:
    known = _listings.get(folder)
    if known is None or not known.is_current():
        known = _listings[folder] = _Listing(folder)
    return known


def _changed_ns(folder: str) -> int | None:
    try:
        return Path(folder).stat().st_mtime_ns
    except OSError:
        return None


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

    @property
    def names(self) -> frozenset[str]:
        """Names of the precise orbit files."""
        return self._listing.names

    @property
    def digest(self) -> str:
        """Of all names."""
        return self._listing.digest

    @property
    def issued_again(self) -> list[str]:
        """Those of which there is more than one issue, sorted."""
        return self._listing.issued_again

    @cached_property
    def _listing(self) -> _Listing:
        return _listing(str(self.orbit_path))

    def _promises(self, used: Sequence[str], platform: str, start_utc: datetime, stop_utc: datetime) -> bool:
        first, last = orbits.needed_interval(start_utc, stop_utc)
        days = (first - timedelta(days=n) for n in range(_NEAR.days + 1))
        near = [f for day in days for f in self._listing.by_start.get((platform, f"{day:%Y%m%d}"), ()) if f.covers(first, last)]
        if not all(PRECISE in name for name in used):
            return bool(near)
        mine = [f for name in used if (f := OrbitFile.from_name(Path(name))) is not None]
        return any(_replaces(file, own) for file in near for own in mine)


def _replaces(file: OrbitFile, own: OrbitFile) -> bool:
    """True for a later issue of the same orbit. The next day's file may cover a date as well, and is no better."""
    same = (file.start_utc, file.stop_utc) == (own.start_utc, own.stop_utc)
    return same and file.created_utc > own.created_utc
