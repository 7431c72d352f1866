"""The dates of a frame as candidates for its master."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from satdaemon.archive import orbits
from satdaemon.archive.eof import OrbitFile
from satdaemon.db.baselines import Baselines
from satdaemon.db.dates import Day
from satdaemon.db.store import Store
from satdaemon.domain import Frame
from satdaemon.errors import NotReady
from satdaemon.planning.master import Choice, MasterCandidate, choose_master

SETTLED = timedelta(days=30)
"""The precise orbit of a date so old has been published: an archive of orbits gives it when the date is downloaded."""


@dataclass(frozen=True, slots=True)
class PreciseOrbits:
    """Which dates have a precise orbit: a file that is there, or one that an archive has."""

    files: tuple[OrbitFile, ...] = ()
    settled_utc: datetime | None = None
    """Dates before this have one in the archives; None where no archive of orbits is configured."""

    def has(self, found: Day) -> bool:
        """True where the date's scenes have, or will get, a precise orbit."""
        if found.start is None or found.stop is None:
            return False
        if self.settled_utc is not None and found.start < self.settled_utc:
            return True
        return orbits.has_precise(self.files, found.scenes[0].platform, found.start, found.stop)


def precise_of(db: Store) -> PreciseOrbits:
    """By name: a master wants a date with a precise orbit."""
    settled = datetime.now(UTC) - SETTLED if db.settings.download.orbit_archives else None
    try:
        return PreciseOrbits(orbits.scan(db.settings.parameters.orbit_path), settled)
    except NotReady:
        return PreciseOrbits((), settled)


def choose(
    frame: Frame,
    days: Mapping[date, Day],
    usable: Collection[date],
    precise: PreciseOrbits,
    known: Baselines,
    *,
    after_days: int,
    wish: date | None = None,
) -> Choice:
    """The rule on those dates that are usable. Raises NotReady and RequestError as `choose_master`."""
    bperp_m = known.to_first()
    total = {b.id for b in frame.bursts}
    candidates = [
        MasterCandidate(day, len(total & found.bursts), len(total), precise.has(found), bperp_m.get(day))
        for day, found in days.items()
        if day in usable
    ]
    return choose_master(candidates, datetime.now(UTC).date(), reference_after_days=after_days, user_date=wish)
