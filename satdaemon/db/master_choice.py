"""The dates of a frame as candidates for its master."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime

from satdaemon.archive import orbits
from satdaemon.archive.eof import OrbitFile
from satdaemon.db.baselines import Baselines
from satdaemon.db.dates import Day
from satdaemon.db.store import Store
from satdaemon.domain import Frame
from satdaemon.errors import NotReady
from satdaemon.planning.master import Choice, MasterCandidate, choose_master


def orbit_files(db: Store) -> tuple[OrbitFile, ...]:
    """The orbit files there are, by name: a master wants a date with a precise orbit."""
    try:
        return orbits.scan(db.settings.parameters.orbit_path)
    except NotReady:
        return ()


def choose(
    frame: Frame,
    days: Mapping[date, Day],
    usable: Collection[date],
    files: tuple[OrbitFile, ...],
    known: Baselines,
    *,
    after_days: int,
    wish: date | None = None,
) -> Choice:
    """The rule on those dates that are usable. Raises NotReady and RequestError as `choose_master`."""
    bperp_m = known.to_first()
    total = {b.id for b in frame.bursts}
    candidates = [
        MasterCandidate(day, len(total & found.bursts), len(total), _has_precise(found, files), bperp_m.get(day))
        for day, found in days.items()
        if day in usable
    ]
    return choose_master(candidates, datetime.now(UTC).date(), reference_after_days=after_days, user_date=wish)


def _has_precise(found: Day, files: tuple[OrbitFile, ...]) -> bool:
    if found.start is None or found.stop is None:
        return False
    return orbits.has_precise(files, found.scenes[0].platform, found.start, found.stop)
