"""Which bursts a product far away shows, told by its footprint: until it is here and is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from satdaemon.db.bursts import to_value
from satdaemon.db.links import tie_files
from satdaemon.db.models import Burst, files2bursts
from satdaemon.domain import REPEAT_ORBITS, Scene
from satdaemon.planning.slices import Middles

_MARGIN_DEG = 1.0


class Slice(Protocol):
    """A product with its corners."""

    @property
    def scene(self) -> Scene: ...

    @property
    def footprint(self) -> tuple[tuple[float, float], ...]: ...


class FootprintTies:
    """Ties slices to the bursts of the database; those of a track are read once for all of them."""

    def __init__(self, slices: Iterable[Slice]) -> None:
        self._latitudes: dict[tuple[int, str], list[float]] = {}
        for one in slices:
            self._latitudes.setdefault(_place(one.scene), []).extend(lat for _, lat in one.footprint)
        self._middles: dict[tuple[int, str], Middles] = {}

    def load(self, session: Session, slices: Iterable[Slice]) -> None:
        """Read the bursts around them, where that was not done yet."""
        for place in {_place(one.scene) for one in slices} - self._middles.keys():
            latitudes = self._latitudes.get(place)
            if not latitudes:
                self._middles[place] = Middles([])
                continue
            track, direction = place
            south, north = min(latitudes) - _MARGIN_DEG, max(latitudes) + _MARGIN_DEG
            # A slice may begin on the track before and cross the equator.
            on_track = (Burst.track.in_((track, track % REPEAT_ORBITS + 1)), Burst.orbit_direction == direction)
            near = select(Burst).where(*on_track, Burst.miny <= north, Burst.maxy >= south)
            self._middles[place] = Middles([to_value(row) for row in session.scalars(near)])

    def tie(self, session: Session, slices: Sequence[Slice]) -> None:
        """Tie them to the bursts that they show, and so to frames, where that was not done before."""
        link = files2bursts.c
        ids = [one.scene.id for one in slices]
        rows = session.execute(select(link.file_id, link.burst_id).where(link.file_id.in_(ids)))
        present = {(file_id, burst_id) for file_id, burst_id in rows}
        ties = {}
        for one in slices:
            shown = self._middles[_place(one.scene)].shown(one.scene, one.footprint)
            new = {burst: start for burst, start in shown.items() if (one.scene.id, burst) not in present}
            if new:
                ties[one.scene.id] = new
        tie_files(session, ties)


def _place(scene: Scene) -> tuple[int, str]:
    return scene.track, scene.orbit_direction
