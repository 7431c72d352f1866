"""How much was finished and how much failed of late, a stage and an hour."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import select

from satdaemon.db.clock import now_utc, seconds_since
from satdaemon.db.costs import FINISHED
from satdaemon.db.events import among_newest
from satdaemon.db.models import JobEvent
from satdaemon.db.store import Store
from satdaemon.status import Stage

_ENDS = (FINISHED, "failed", "retry")


@dataclass(frozen=True, slots=True)
class StageRate:
    """Jobs of one stage that ended within the last hours."""

    stage: Stage
    finished: tuple[int, ...]
    """An hour each, the oldest first; the last hour is the one until now."""
    failed: int
    """Attempts that failed, all hours together."""
    mean_wall_s: float | None
    """Of those that finished."""

    @property
    def total(self) -> int:
        """Finished jobs, all hours together."""
        return sum(self.finished)


def throughput(db: Store, hours: int = 24) -> list[StageRate]:
    """The last hours, in the order of the chain."""
    age = seconds_since(JobEvent.at_utc)
    columns = (JobEvent.stage, JobEvent.event, age, JobEvent.wall_s)
    counts: dict[str, list[int]] = defaultdict(lambda: [0] * hours)
    failed: dict[str, int] = defaultdict(int)
    wall: dict[str, float] = defaultdict(float)
    with db.read_scope() as session:
        recent = (among_newest(session), JobEvent.at_utc > now_utc(-3600.0 * hours), JobEvent.event.in_(_ENDS))
        for name, event, age_s, wall_s in session.execute(select(*columns).where(*recent, JobEvent.stage.is_not(None))):
            stage = str(name)
            if event == FINISHED:
                counts[stage][hours - 1 - min(int(max(age_s, 0.0) // 3600), hours - 1)] += 1
                wall[stage] += wall_s or 0.0
            else:
                failed[stage] += 1
    found = []
    for each in Stage:
        finished = tuple(counts[each.value])
        mean = wall[each.value] / sum(finished) if sum(finished) else None
        found.append(StageRate(each, finished, failed[each.value], mean))
    return found
