"""Which bursts of a map the database knows already, under the same id or one that differs by 0 to 3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from satdaemon.db.burst_map.rows import MapBursts
from satdaemon.db.bursts import to_value
from satdaemon.db.models import Burst
from satdaemon.domain import REPEAT_ORBITS
from satdaemon.domain import Burst as BurstValue
from satdaemon.planning.bursts import ANX_TOLERANCE_DS, ORBIT_DS, footprints_overlap

CHUNK = 100_000
_ORBIT = round(ORBIT_DS)
_SHIFT = 1000
"""Keeps `anx` positive where a burst beside the node is seen from the next orbit."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """Bursts of a batch against the database, as places in the batch."""

    new: NDArray[np.int64]
    known: int
    complete: dict[int, int]
    """Place -> number of the known burst that lacks its ESA id or its polygon."""
    elsewhere: NDArray[np.int64]
    """Their id belongs to a burst that lies somewhere else."""


class KnownBursts:
    """The bursts of the database by number, time and ESA id: about 40 bytes a burst."""

    def __init__(self, session: Session) -> None:
        columns = (Burst.number, Burst.esa_id, Burst.geometry.is_not(None))
        result = session.execute(select(*columns).order_by(Burst.number).execution_options(yield_per=CHUNK))
        parts = [
            np.array([(number, -1 if esa is None else esa, bool(drawn)) for number, esa, drawn in rows], dtype=np.int64)
            for rows in result.partitions()
        ]
        table = np.concatenate(parts) if parts else np.empty((0, 3), dtype=np.int64)
        self._number, self._esa = table[:, 0], table[:, 1]
        self._whole = (table[:, 1] >= 0) & (table[:, 2] > 0)
        swath, anx, track = self._number & 3, (self._number >> 2) & 0xFFFF, self._number >> 18
        times, owners = _with_neighbours(track, anx, swath)
        order = np.argsort(times)
        self._times, self._owners = times[order], owners[order]
        ids = np.where(self._esa >= 0, self._esa * 4 + swath, -1)
        self._by_esa = np.argsort(ids, kind="stable")
        self._esa_sorted = ids[self._by_esa]

    def sort(self, session: Session, bursts: MapBursts) -> Sorted:
        """Tell new bursts from known ones. Footprints decide where the id or the ESA id is not the same."""
        same = self._same(bursts)
        candidates = self._candidates(bursts, ~same)
        values = self._values(session, sorted({owner for found in candidates.values() for owner in found}))
        new = ~same
        complete: dict[int, int] = {}
        elsewhere = []
        for place, owners in candidates.items():
            match = _best(bursts, place, owners, values)
            if match is not None:
                new[place] = False
                if not self._whole[match]:
                    complete[place] = int(self._number[match])
            elif any(self._number[owner] == bursts.number[place] for owner in owners):
                new[place] = False
                elsewhere.append(place)
        known = len(bursts) - int(new.sum()) - len(complete) - len(elsewhere)
        return Sorted(np.flatnonzero(new), known, complete, np.array(elsewhere, dtype=np.int64))

    def _candidates(self, bursts: MapBursts, wanted: NDArray[np.bool_]) -> dict[int, list[int]]:
        """Place -> known bursts near it in time, or of its ESA id; for those that have any."""
        times = _time_key(bursts.track, bursts.anx, bursts.swath)
        low = np.searchsorted(self._times, times - ANX_TOLERANCE_DS, "left")
        high = np.searchsorted(self._times, times + ANX_TOLERANCE_DS, "right")
        ids = np.where(bursts.esa_id >= 0, bursts.esa_id * 4 + bursts.swath, -2)
        first, last = np.searchsorted(self._esa_sorted, ids, "left"), np.searchsorted(self._esa_sorted, ids, "right")
        found = {}
        for place in np.flatnonzero(wanted & ((high > low) | (last > first))).tolist():
            near = self._owners[low[place] : high[place]].tolist() + self._by_esa[first[place] : last[place]].tolist()
            found[place] = sorted(set(near))
        return found

    def _same(self, bursts: MapBursts) -> NDArray[np.bool_]:
        """Known by the same id with the same ESA id (or none told), and whole."""
        if not len(self._number):
            return np.zeros(len(bursts), dtype=bool)
        at = np.minimum(np.searchsorted(self._number, bursts.number), len(self._number) - 1)
        agree = (bursts.esa_id < 0) | (self._esa[at] == bursts.esa_id)
        return (self._number[at] == bursts.number) & agree & self._whole[at]  # type: ignore[no-any-return]

    def _values(self, session: Session, owners: Sequence[int]) -> dict[int, BurstValue]:
        found = {}
        for start in range(0, len(owners), 500):
            chunk = owners[start : start + 500]
            places = {int(self._number[owner]): owner for owner in chunk}
            for row in session.scalars(select(Burst).where(Burst.number.in_(places))):
                found[places[row.number]] = to_value(row)
            session.expunge_all()
        return found


def value_of(bursts: MapBursts, place: int) -> BurstValue:
    """One burst of a map as a value."""
    esa_id = int(bursts.esa_id[place])
    return BurstValue(
        bursts.name(place),
        int(bursts.track[place]),
        str(bursts.direction[place]),
        int(bursts.anx[place]),
        f"IW{bursts.swath[place]}",
        esa_id if esa_id >= 0 else None,
        tuple((float(x), float(y)) for x, y in bursts.geometry[place].exterior.coords[:-1]),
    )


def _best(bursts: MapBursts, place: int, owners: Sequence[int], values: dict[int, BurstValue]) -> int | None:
    """The known burst that is this one: same place, the same ESA id first, then the nearest time."""
    mine = value_of(bursts, place)
    fitting = [owner for owner in owners if owner in values and footprints_overlap(mine, values[owner])]
    return min(fitting, key=lambda o: (values[o].esa_id != mine.esa_id, abs(values[o].anx - mine.anx), o), default=None)


def _time_key(track: NDArray[Any], anx: NDArray[Any], swath: NDArray[Any]) -> NDArray[np.int64]:
    return ((track * 4 + swath) << 17) + anx + _SHIFT  # type: ignore[no-any-return]


def _with_neighbours(
    track: NDArray[np.int64], anx: NDArray[np.int64], swath: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Time keys and their owners; a burst beside the node also as the orbits before and after number it."""
    every = np.arange(len(track))
    early, late = every[anx <= ANX_TOLERANCE_DS + 1], every[anx >= _ORBIT - ANX_TOLERANCE_DS - 1]
    before, after = (track[early] - 2) % REPEAT_ORBITS + 1, track[late] % REPEAT_ORBITS + 1
    keys = [_time_key(track, anx, swath)]
    keys += [_time_key(t, anx[early] + _ORBIT, swath[early]) for t in (track[early], before)]
    keys += [_time_key(t, anx[late] - _ORBIT, swath[late]) for t in (track[late], after)]
    return np.concatenate(keys), np.concatenate([every, early, early, late, late])
