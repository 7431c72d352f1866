"""How fast a frame goes on, and when it would be done at that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select

from satdaemon.db.clock import now_utc, seconds_since
from satdaemon.db.costs import FINISHED
from satdaemon.db.ledger import Entry
from satdaemon.db.models import JobEvent
from satdaemon.db.store import Store
from satdaemon.status import LedgerState

WINDOW_S = 86400.0
_OPEN = (LedgerState.READY, LedgerState.BLOCKED, LedgerState.RUNNING)


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """What is still owed, and the present rate."""

    open: int
    """Rows whose next stage is ready, blocked or running."""
    blocked: int
    """Of these blocked."""
    per_hour: float | None
    """Jobs of the frame that finished an hour, over the last day or since the first of them; None without any."""
    stages_left_s: float | None
    """Seconds for the next stage of all that could go on; None where nothing has finished of late, or nothing is open."""


def time_left(db: Store, frame_id: str, current: Iterable[Entry]) -> TimeLeft:
    """Of one frame, with the current entries of its ledger."""
    counts = Counter(entry.state for entry in current if entry.state in _OPEN)
    recent = (JobEvent.frame_id == frame_id, JobEvent.event == FINISHED, JobEvent.at_utc >= now_utc(-WINDOW_S))
    first = func.min(JobEvent.at_utc)
    with db.read_scope() as session:
        done, age_s = session.execute(select(func.count(), seconds_since(first)).where(*recent)).one()
    blocked = counts[LedgerState.BLOCKED]
    goes_on = counts.total() - blocked
    per_hour = 3600.0 * done / max(age_s, 60.0) if done else None
    left_s = 3600.0 * goes_on / per_hour if per_hour and goes_on else None
    return TimeLeft(counts.total(), blocked, per_hour, left_s)
