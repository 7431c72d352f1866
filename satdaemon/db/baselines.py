"""Perpendicular baselines between the dates of a frame, at its middle, from the orbits recorded with its files.

Metres, positive where the date's satellite is higher across the line of sight than the other's, as in `bperp.tif`
(ISCE2's sign reversed).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from satdaemon.db.dates import Day
from satdaemon.db.file_orbits import arcs_of
from satdaemon.domain import Frame
from satdaemon.errors import DataError
from satdaemon.insar.baseline import View, baseline_m, view
from satdaemon.insar.ellipsoid import to_cartesian, to_lon_lat
from satdaemon.insar.orbit import OrbitArc


@dataclass(frozen=True, slots=True, eq=False)
class Baselines:
    """Where the satellite stood on each date when it passed the middle of the frame."""

    point_m: NDArray[np.float64]
    views: Mapping[date, View]

    @classmethod
    def none(cls) -> Self:
        """Where nothing is known."""
        return cls(np.zeros(3), {})

    def to(self, day: date) -> dict[date, float]:
        """Baselines to one date of all those that are known, to a millimetre; empty where its own orbit is not known."""
        first = self.views.get(day)
        if first is None:
            return {}
        return {other: round(baseline_m(first, seen, self.point_m), 3) for other, seen in self.views.items()}

    def to_first(self) -> dict[date, float]:
        """Baselines to the earliest date that is known: the same whatever the order of the dates."""
        return self.to(min(self.views)) if self.views else {}


def baselines(session: Session, frame: Frame, days: Mapping[date, Day]) -> Baselines:
    """Of those of a frame's dates whose orbit is recorded. Nothing is opened: `file_orbits.complete` does that."""
    point = _middle(frame)
    if point is None:
        return Baselines.none()
    scenes = {day: sorted({s.id for s in found.scenes} or found.made_of) for day, found in days.items()}
    arcs = arcs_of(session, {scene for some in scenes.values() for scene in some})
    views = {day: seen for day, some in sorted(scenes.items()) if (seen := _view(arcs, some, point)) is not None}
    return Baselines(point, views)


def _view(arcs: Mapping[str, OrbitArc], scenes: list[str], point_m: NDArray[np.float64]) -> View | None:
    """By the slice nearest to the middle of the pass whose vectors reach the middle of the frame."""
    for _, scene in sorted((abs(k - (len(scenes) - 1) / 2), scene) for k, scene in enumerate(scenes)):
        if scene in arcs:
            try:
                return view(arcs[scene], point_m)
            except DataError:
                continue  # the next slice may reach it; where none does, the date's baseline is not known, which is said
    return None


def _middle(frame: Frame) -> Any:
    """(3,) point on the ellipsoid in the middle of the bursts; None where no footprint is known."""
    corners = np.array([corner for burst in frame.bursts for corner in burst.footprint], np.float64).reshape(-1, 2)
    if not len(corners):
        return None
    mean = to_cartesian(corners[:, 0], corners[:, 1], np.zeros(len(corners))).mean(axis=0)
    return to_cartesian(*to_lon_lat(mean[None]), np.zeros(1))[0]
