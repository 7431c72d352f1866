"""What jobs of each class are configured to ask for, what they were seen to need, and what they ask for now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, select

from satdaemon.db import learned
from satdaemon.db.daemon import changed
from satdaemon.db.models import LearnedCost
from satdaemon.db.models.learned import ALL_MACHINES
from satdaemon.db.needs import STEPS
from satdaemon.db.store import Store
from satdaemon.planning.quantiles import quantile
from satdaemon.status import RowKind, Stage


@dataclass(frozen=True, slots=True)
class ClassOfJobs:
    """Jobs of one stage, kind of row and size of frame; times in s, memory and space in GB."""

    stage: Stage
    kind: RowKind
    bursts: tuple[int, int] | None
    """Fewest and most bursts of the frames; None where no job of the stage has ended yet."""
    samples: int
    ooms: int
    configured_memory_gb: float
    asked_memory_gb: float
    usual_memory_gb: float | None
    """Half of the jobs needed no more."""
    most_memory_gb: float | None
    usual_wall_s: float | None
    predicted_wall_s: float | None
    """What the next job is predicted to run: four of five end earlier. None where too few have ended."""
    usual_cpu_s: float | None
    space_gb: float | None
    wall_s_of: dict[str, float] = field(default_factory=dict)
    """Half of the jobs on a machine ended within this."""


def classes(db: Store) -> list[ClassOfJobs]:
    """Every stage of every kind of row, in the order of the chain; with each size that jobs have ended for."""
    with db.read_scope() as session:
        rows = list(session.scalars(select(LearnedCost).order_by(LearnedCost.size_class)))
    found = []
    for step in STEPS:
        mine = [row for row in rows if (row.stage, row.kind) == (step.stage.value, step.kind.value)]
        whole = [row for row in mine if row.machine == ALL_MACHINES]
        if not whole:
            found.append(_class(db, step.stage, step.kind, None, {}))
        for row in whole:
            times = _times({r.machine: r for r in mine if r.size_class == row.size_class})
            found.append(_class(db, step.stage, step.kind, row, times))
    return sorted(found, key=lambda one: (list(Stage).index(one.stage), list(RowKind).index(one.kind), one.bursts or (0, 0)))


def forget(db: Store, stage: Stage | None, *, who: str) -> int:
    """Forget what was learned of a stage, or of all: jobs ask for what is configured until it is learned anew."""
    with db.session_scope() as session:
        where = () if stage is None else (LearnedCost.stage == stage.value,)
        gone = session.execute(delete(LearnedCost).where(*where).returning(LearnedCost.machine)).scalars().all()
        count = sum(machine == ALL_MACHINES for machine in gone)
        changed(session, who=who, what=f"forgot what {stage or 'all'} jobs cost ({count} classes)", replan=False)
    return count


def _times(rows: Mapping[str, LearnedCost]) -> dict[str, float]:
    found = {name: quantile(row.wall_counts, 0.5) for name, row in rows.items() if name != ALL_MACHINES}
    return {name: seconds for name, seconds in sorted(found.items()) if seconds is not None}


def _class(db: Store, stage: Stage, kind: RowKind, row: LearnedCost | None, times: dict[str, float]) -> ClassOfJobs:
    seen: dict[str, Any] = {}
    for name in ("memory", "wall", "cpu"):
        seen[name] = None if row is None else quantile(getattr(row, f"{name}_counts"), 0.5)
    return ClassOfJobs(
        stage=stage,
        kind=kind,
        bursts=None if row is None else (2**row.size_class if row.size_class else 0, 2 ** (row.size_class + 1) - 1),
        samples=0 if row is None else row.samples,
        ooms=0 if row is None else row.ooms,
        configured_memory_gb=db.settings.stage(stage).memory_gb,
        asked_memory_gb=learned.memory_gb(db.settings, stage, row),
        usual_memory_gb=seen["memory"],
        most_memory_gb=None if row is None else row.most_memory_gb,
        usual_wall_s=seen["wall"],
        predicted_wall_s=None if row is None else row.wall_s,
        usual_cpu_s=seen["cpu"],
        space_gb=None if row is None else row.space_gb,
        wall_s_of=times,
    )
