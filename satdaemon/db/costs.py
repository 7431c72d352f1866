"""What jobs cost, from the append-only record."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from satdaemon.db.models import JobEvent
from satdaemon.db.store import Store
from satdaemon.status import RowKind, Stage

FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class StageCost:
    """Jobs of one stage of a frame."""

    stage: Stage
    jobs: int
    """Finished jobs."""
    attempts: int
    """Attempts that ended, in whatever way."""
    wall_s: float
    cpu_s: float
    peak_memory_gb: float


def stage_costs(db: Store, frame_id: str) -> list[StageCost]:
    """What each stage of a frame has cost so far, in the order of the chain."""
    ended = JobEvent.wall_s.is_not(None)
    columns = (
        JobEvent.stage,
        func.sum(case((JobEvent.event == FINISHED, 1), else_=0)),
        func.count(),
        func.sum(JobEvent.wall_s),
        func.coalesce(func.sum(JobEvent.cpu_s), 0.0),
        func.coalesce(func.max(JobEvent.peak_memory_gb), 0.0),
    )
    where = (JobEvent.frame_id == frame_id, JobEvent.stage.is_not(None), ended)
    with db.read_scope() as session:
        rows = session.execute(select(*columns).where(*where).group_by(JobEvent.stage)).all()
    costs = [StageCost(Stage(s), int(done), int(all_), float(w), float(c), float(m)) for s, done, all_, w, c, m in rows]
    return sorted(costs, key=lambda cost: list(Stage).index(cost.stage))


def typical_cpu_s(session: Session, frame_id: str) -> dict[tuple[RowKind, Stage], float]:
    """Mean CPU seconds of the finished jobs of a frame, by kind of row and stage."""
    where = (JobEvent.frame_id == frame_id, JobEvent.event == FINISHED, JobEvent.cpu_s.is_not(None))
    columns = (JobEvent.kind, JobEvent.stage, func.avg(JobEvent.cpu_s))
    rows = session.execute(select(*columns).where(*where).group_by(JobEvent.kind, JobEvent.stage))
    return {(RowKind(kind), Stage(stage)): float(mean) for kind, stage, mean in rows if kind is not None and stage is not None}
