"""The points of a frame that readers see, and one consistent look at them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from satdaemon.db.models import Point, PointsVersion
from satdaemon.db.models.points import ACTIVE
from satdaemon.db.points.fetch import KINDS, fetch_points, fetch_series
from satdaemon.db.points.product import COLUMNS
from satdaemon.db.session import READ_ONLY
from satdaemon.db.store import Store
from satdaemon.errors import RequestError, TransientError

BEYOND = float(np.float32(3.4e38))


@dataclass(frozen=True, slots=True)
class Points:
    """Some points of a frame, as arrays of equal length."""

    version: int
    point_id: NDArray[np.int64]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    values: dict[str, NDArray[np.float32]]
    """height_m, velocity, velocity_std, temporal_coherence ... NaN where unknown."""

    def __len__(self) -> int:
        return len(self.point_id)

    def take(self, chosen: Any) -> Points:
        """Some of them: a mask, places or a slice."""
        values = {name: v[chosen] for name, v in self.values.items()}
        return Points(self.version, self.point_id[chosen], self.lon[chosen], self.lat[chosen], values)


@dataclass(frozen=True, slots=True)
class Quality:
    """Which points are good enough. A point whose value is unknown does not meet a bound on it."""

    min_coherence: float | None = None
    """Temporal coherence, 0..1."""
    min_velocity: float | None = None
    """mm/yr, positive towards the satellite."""
    max_velocity: float | None = None
    max_velocity_std: float | None = None
    """mm/yr"""

    def conditions(self) -> list[Any]:
        """The bounds in SQL. Both ends are always given: for PostgreSQL NaN is greater than every number."""
        bounds = {
            Point.temporal_coherence: (self.min_coherence, None),
            Point.velocity: (self.min_velocity, self.max_velocity),
            Point.velocity_std: (None, self.max_velocity_std),
        }
        return [
            column.between(-BEYOND if low is None else _as_stored(low), BEYOND if high is None else _as_stored(high))
            for column, (low, high) in bounds.items()
            if low is not None or high is not None
        ]


ANY_QUALITY = Quality()


class Shown:
    """The points of one frame as they are shown, within one transaction."""

    def __init__(self, session: Session, version: PointsVersion) -> None:
        self.session = session
        self.version = version
        self.dates = [date.fromisoformat(day) for day in version.dates]

    def points(
        self,
        where: Sequence[Any] = (),
        *,
        columns: Sequence[str] | None = None,
        order: Sequence[Any] = (),
        limit: int | None = None,
        cells: bool = False,
    ) -> tuple[Points, NDArray[np.int64] | None]:
        """Points that meet conditions, and their cells where asked for. RequestError for an unknown column."""
        wanted = list(COLUMNS) if columns is None else list(columns)
        if unknown := sorted(set(wanted) - set(COLUMNS)):
            raise RequestError(f"points: expected columns out of {', '.join(COLUMNS)}, got {', '.join(unknown)}")
        names = ["point_id", "lon", "lat", *wanted, *(["cell"] if cells else [])]
        found = fetch_points(self.session, names, [Point.version_id == self.version.id, *where], order, limit)
        if not len(found["point_id"]):
            self._check_still_there()
        values = {name: found[name] for name in wanted}
        return Points(self.version.id, found["point_id"], found["lon"], found["lat"], values), found.get("cell")

    def series(self, ids: NDArray[np.int64]) -> NDArray[np.int16]:
        """Series of points, in the order of `ids`. (points, dates), 0.1 mm, -32768 where unknown."""
        return fetch_series(self.session, self.version.id, ids, len(self.dates))

    def _check_still_there(self) -> None:
        """A version that was replaced twice may be removed under a reader that had not touched its rows yet."""
        if self.session.scalar(select(PointsVersion.id).where(PointsVersion.id == self.version.id)) is None:
            raise TransientError(f"points of frame {self.version.frame_id}: replaced and removed just now; ask again")


@contextmanager
def shown(db: Store, frame_id: str) -> Iterator[Shown]:
    """One consistent look at a frame's points, however long; RequestError where it has none."""
    with reading(db) as session:
        version = _active(session, frame_id)
        if version is None:
            raise RequestError(f"frame {frame_id}: expected points, found none ingested yet")
        yield Shown(session, version)


def version_of(db: Store, frame_id: str) -> PointsVersion | None:
    """The version of a frame's points that is shown; None where there is none."""
    with reading(db) as session:
        return _active(session, frame_id)


def versions(db: Store, frame_id: str | None = None) -> list[PointsVersion]:
    """All versions, of one frame or of all: loading, active and old, newest first within a frame."""
    wanted = select(PointsVersion).order_by(PointsVersion.frame_id, PointsVersion.id.desc())
    if frame_id is not None:
        wanted = wanted.where(PointsVersion.frame_id == frame_id)
    with reading(db) as session:
        return list(session.scalars(wanted))


@contextmanager
def reading(db: Store) -> Iterator[Session]:
    """A session on the points database that never waits for a writer."""
    engine = db.points_engine.execution_options(**{READ_ONLY: True})
    with Session(engine, expire_on_commit=False) as session:
        yield session


def _active(session: Session, frame_id: str) -> PointsVersion | None:
    return session.scalar(select(PointsVersion).where(PointsVersion.frame_id == frame_id, PointsVersion.state == ACTIVE))


def _as_stored(value: float) -> float:
    """A bound rounded as the values are, so that a bound of 0.7 takes a point of 0.7."""
    return float(np.float32(value))


__all__ = ["ANY_QUALITY", "KINDS", "Points", "Quality", "Shown", "reading", "shown", "version_of", "versions"]
