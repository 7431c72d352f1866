"""What was made from inputs that have changed since: found, marked, listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from satdaemon.db.staleness.conditions import Processors, outside_digest
from satdaemon.db.staleness.series import mark_timeseries
from satdaemon.db.store import Store
from satdaemon.status import RowKind, Stage

__all__ = ["Marked", "Processors", "mark", "outside_digest"]


@dataclass(frozen=True, slots=True)
class Marked:
    """A row that `mark` moved."""

    frame_id: str
    kind: RowKind
    row_id: int
    date1: date
    date2: date | None
    stage: Stage
    """The first stage whose product is stale."""
    reason: str


def mark(db: Store, frames: Sequence[str] | None = None, processors: Processors | None = None) -> list[Marked]:
    """Make STALE what was made from inputs that have changed since, of these frames or of all."""
    mark_timeseries(db, None if frames is None else list(frames))
    return []
