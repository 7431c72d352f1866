"""What a plan costs after the everyday change: a job has ended, its row is DONE, a product is recorded."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.database.cpu import Cost, cost_of, median
from bench.database.ratio import Ratio
from satdaemon.config import Machine
from satdaemon.db import Database, Master, Product, RunningJob, inputs, jobs, machines, planning, runs, staleness
from satdaemon.db.clock import now_utc
from satdaemon.domain import StageResult, Usage
from satdaemon.processors.registry import versions

JOBS = 8
"""So many jobs for each line."""


def measure(db: Database, frame_id: str, where: str, most_s: float, *, series: bool) -> list[Ratio]:
    """Of one frame with all its products: the look for what is stale alone, and whole plans.

    Without a `series` it is on its way to its first; with one, the series is stale by the first pair that is unwrapped.
    """
    programs = versions()
    where = f"{where}, {'its series stale' if series else 'no series yet'}"
    if not series:
        _take_series(db, frame_id)
    planning.plan(db, [frame_id], processors=programs)
    planning.plan(db, processors=programs)
    with tempfile.TemporaryDirectory() as place:
        ending = _endings(db, frame_id, Path(place))
        looks, plans = [], []
        for _ in range(JOBS):
            next(ending)
            looks.append(cost_of(db, lambda: staleness.mark(db, [frame_id], programs)))
            planning.plan(db, processors=programs)
            next(ending)
            plans.append(cost_of(db, lambda: planning.plan(db, processors=programs)))
    return [*_lines(f"[{where}] what is stale after a finished job", median(looks), most_s),
            *_lines(f"[{where}] plan after a finished job", median(plans), most_s)]  # fmt: skip


def _lines(name: str, cost: Cost, most_s: float) -> list[Ratio]:
    note = f"Python {1000 * cost.python_s:.1f} ms"
    return [
        Ratio(f"{name}: its SQL (CPU), of {1000 * most_s:g} ms", cost.server_s, most_s),
        Ratio(f"{name}: wall, of {1000 * most_s:g} ms", cost.wall_s, most_s, note=note),
    ]


def _endings(db: Database, frame_id: str, place: Path) -> Iterator[None]:
    """Each turn ends one job of the frame as its worker would: a date's satsar, or a pair's coherence."""
    machines.register(db, [Machine(name=f"f{n}", cpu=16.0, memory_gb=64.0) for n in range(4)])
    assert runs.claim_frame(db, frame_id, "bench")
    (place / "product").write_bytes(b"x" * 1000)
    while True:
        runs.beat_frame(db, frame_id, "bench")
        granted = jobs.grant_pass(db)
        if not granted:
            raise AssertionError(f"{frame_id}: expected more jobs to end, got none")
        for grant in granted:
            assert jobs.start(
                db, grant.job_id, grant.attempt, pid=1, host="here", log_path=None, flow_run_id=None, task_run_id=None
            )
            inputs.stage_input(db, grant.job_id, grant.attempt, place)
            _beat(db)
        planning.plan(db, processors=versions())
        for grant in granted:
            _beat(db)
            name, version = versions()[grant.job.stage]
            result = StageResult((), processor=name, processor_version=version)
            assert jobs.finish(db, grant.job_id, grant.attempt, result, Usage(1.0, 1.0, 0.1), place)
            yield


def _beat(db: Database) -> None:
    """The jobs that wait for their turn to end are alive."""
    with db.session_scope() as session:
        session.query(RunningJob).update({"heartbeat_utc": now_utc()})


def _take_series(db: Database, frame_id: str) -> None:
    with db.session_scope() as session:
        session.query(Product).filter(Product.frame_id == frame_id, Product.stage.in_(("timeseries", "ingest"))).delete()
        session.query(Master).filter(Master.frame_id == frame_id).update({"proc_stage": 4})
