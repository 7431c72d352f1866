"""What one grant pass costs that looks at 5,000 pending jobs."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from statistics import median

import shapely
from sqlalchemy import text

from bench.admission.mix import KINDS, MACHINES
from satdaemon.config import Machine as MachineSettings
from satdaemon.config import Settings
from satdaemon.db import Burst, Database, Frame, Ifg, Master, RunningJob, jobs, machines, planning, runs
from satdaemon.domain import StageResult, Usage
from satdaemon.status import Stage

FRAMES, A_FRAME = 160, 32
REPEATS = 15
FIRST = date(2016, 1, 1)


def queue(db: Database, frames: int, a_frame: int, *, name: str = "132A_BENCH{:04d}") -> list[str]:
    """Claimed frames with so many downloads each in the queue."""
    if not db.query(Burst):
        box = shapely.box(10.0, 45.0, 10.8, 45.2)
        db.insert(Burst(id="132_8600_IW1", track=132, orbit_direction="A", anx=8600, swath="IW1", geometry=box))
    made = [name.format(n) for n in range(frames)]
    switches = {f"do_{stage.value}": stage is Stage.DOWNLOAD for stage in Stage}
    for frame_id in made:
        db.make_new_frame_using_burstlist(["132_8600_IW1"], frame_id)
        db.insert(Master(frame_id=frame_id, date=FIRST))
        db.insert([Ifg(frame_id=frame_id, date=FIRST + timedelta(days=12 * n)) for n in range(1, a_frame)])
        seen = {"procdates_utc": datetime.now(UTC), "files_changed_utc": None}
        db.update(Frame, {"processing": True, **seen, **switches}, id=frame_id)
    planning.plan(db)
    for frame_id in made:
        runs.claim_frame(db, frame_id, "bench")
    return made


def set_machines(db: Database) -> None:
    """The mix's machines and no other."""
    with db.session_scope() as session:
        session.execute(text("DELETE FROM machines"))
    machines.register(db, [MachineSettings(name=n, cpu=c, memory_gb=m, disk=d) for n, (c, m, d) in MACHINES.items()])


def measure(settings: Settings) -> dict[str, float]:
    """Median milliseconds of a pass that gives nothing, of one after a job's end, and how many jobs it looks at."""
    db = Database(settings)
    set_machines(db)
    queue(db, FRAMES, A_FRAME)
    draw = random.Random(1)
    names, shares = list(KINDS), [share for _, share in KINDS.values()]
    with db.session_scope() as session:
        for (job_id,) in session.execute(text("SELECT job_id FROM pending_jobs")).all():
            kind = draw.choices(names, shares)[0]
            cpu, memory_gb, disk = KINDS[kind][0]
            values = {"c": cpu, "m": memory_gb, "d": disk, "p": 60.0 * (1 + names.index(kind)), "j": job_id}
            sql = "UPDATE pending_jobs SET cpu = :c, memory_gb = :m, disk = :d, predicted_s = :p WHERE job_id = :j"
            session.execute(text(sql), values)
    if db.on_postgresql:
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    first = jobs.grant_pass(db)
    jobs.grant_pass(db)
    full = [_timed(db) for _ in range(REPEATS)]
    one = []
    for _ in range(REPEATS):
        live = db.query(RunningJob)[0]
        jobs.start(db, live.job_id, live.attempt, pid=1, host="x", log_path=None)
        jobs.finish(db, live.job_id, live.attempt, StageResult(()), Usage(), None)
        one.append(_timed(db))
    with db.read_scope() as session:
        left = session.execute(text("SELECT count(*) FROM pending_jobs")).scalar() or 0
    db.close()
    return {
        "looked_at": float(left),
        "first_pass_gave": float(len(first)),
        "pass_that_gives_nothing_ms": round(1000 * median(full), 1),
        "pass_after_one_end_ms": round(1000 * median(one), 1),
        "cpu_of_ours_ms": round(1000 * median(_timed(db, time.process_time) for _ in range(REPEATS)), 1),
    }


def _timed(db: Database, clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    jobs.grant_pass(db)
    return clock() - began
