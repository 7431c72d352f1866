"""Points of ingest products that the points database does not show: loaded before the fix, shown with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from satdaemon.db.consistency.report import PointsChange
from satdaemon.db.models import PointsVersion
from satdaemon.db.points import activate, load_version
from satdaemon.db.store import Store
from satdaemon.errors import TransientError

NO_JOB = 0
"""In place of the job that loaded them."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A version of points that nobody sees yet."""

    change: PointsChange
    version: int


def load(db: Store, changes: Sequence[PointsChange]) -> list[Loaded]:
    """Load the points of each frame. CorruptProduct where a product cannot be loaded."""
    return [Loaded(c, load_version(db, c.frame_id, c.path, NO_JOB, 0)) for c in changes]


def show_here(db: Store, session: Session, loaded: Sequence[Loaded]) -> None:
    """Show them, where the points are in the processing database."""
    if db.points_engine is db.engine:
        _show(session, loaded)


def show_elsewhere(db: Store, loaded: Sequence[Loaded]) -> None:
    """Show them, where the points have a database of their own."""
    if db.points_engine is db.engine or not loaded:
        return
    with Session(db.points_engine) as session, session.begin():
        _show(session, loaded)


def _show(session: Session, loaded: Sequence[Loaded]) -> None:
    for one in loaded:
        if session.get(PointsVersion, one.version, with_for_update=True) is None:
            raise TransientError(f"frame {one.change.frame_id}: its points were removed while they were loaded; try again")
        activate(session, one.version)
