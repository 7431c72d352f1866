"""Planning and granting at two sizes: what changed is paid for, not what exists."""

from __future__ import annotations

import time
from itertools import pairwise

from sqlalchemy import text

from bench.database import finished, made, scale
from bench.database.cpu import Cost, cost_of, least, median
from bench.database.ratio import Ratio, seconds
from satdaemon.config import Machine, Settings
from satdaemon.db import Database, FrameRun, jobs, machines, planning, runs
from satdaemon.db.clock import now_utc

FRAMES = {True: (10, 100), False: (1000, 10_000)}
ON_SQLITE = 20
"""SQLite is for small places: so many times fewer frames."""
MANY = 100
READY = 1000
CLAIMED = 50
ONE_FRAME_S = 0.005
_BARE = (
    "SELECT job_id, frame_id, stage, kind, date1, date2, priority, attempt, cpu, memory_gb, disk FROM pending_jobs"
    f" ORDER BY priority DESC, stage_rank DESC, job_id LIMIT {READY}"
)


def measure(settings: Settings, small: bool) -> list[Ratio]:
    """At a tenth and at the whole of the size."""
    db = Database(settings)
    found: list[Ratio] = []
    costs: list[dict[int, float]] = []
    done = 0
    for frames in FRAMES[small]:
        frames = frames if db.on_postgresql else max(frames // ON_SQLITE, 5)
        build_s = seconds(lambda n=frames, d=done: scale.build(db, d + 1, n))  # type: ignore[misc]
        done = frames
        size = scale.rows(db)
        lines, cost = _at(db, frames, f"{frames} frames")
        note = ", ".join(f"{name} {count}" for name, count in size.items())
        found += [Ratio(f"[{frames} frames] built", build_s, build_s, note=note), *lines]
        costs.append(cost)
    for changed in costs[0]:
        name = f"plan of {changed} changed frame(s), CPU of its SQL: at ten times the size"
        found.append(Ratio(name, costs[1][changed], costs[0][changed], most=2.0))
    db.close()
    return found


def _at(db: Database, frames: int, where: str) -> tuple[list[Ratio], dict[int, float]]:
    """What is held against something else within this size, and what a plan costs by the number of changed frames."""
    products = made.build(db, _some(db, min(MANY, frames)))
    began = time.perf_counter()
    first = planning.plan(db, everything=True)
    whole_s = time.perf_counter() - began
    again_s, longest_s = _again(db)
    waiting = scale.rows(db)["waiting"]
    with db.engine.connect() as connection:
        scan = text("SELECT count(*) FROM (SELECT frame_id, proc_stage, proc_status FROM rsar_ifg) q WHERE proc_status >= 0")
        bare_s = seconds(lambda: connection.execute(scan).all())
    found = [
        Ratio(
            f"[{where}] first plan of every frame, beside reading rsar_ifg once", whole_s, bare_s, note=f"{first.added} queued"
        ),
        Ratio(f"[{where}] the same again, nothing to do", again_s, bare_s, note=f"{waiting} waiting"),
        Ratio(f"[{where}] what changes meanwhile waits for so much of it", longest_s, again_s),
        _first_ready(db, where),
    ]
    cost = {}
    for changed in (1, 10, min(MANY, frames)):
        _change(db, changed)
        planning.plan(db)
        cost[changed] = least(_plan_costs(db, changed, 9)).server_s
    one = _plan_costs(db, 1, 25)
    one_s, most = least(one).server_s, 1.0 if db.on_postgresql else None
    usual = median(one)
    note = f"median {1e3 * usual.server_s:.1f} ms, wall {1e3 * usual.wall_s:.1f} ms; a frame of {products} products"
    name = f"[{where}] SQL of a plan of one changed frame (CPU, least of 25), of 5 ms"
    found.append(Ratio(name, one_s, ONE_FRAME_S, most=most, note=note))
    for series, frame_id in zip((False, True), _some(db, 2), strict=True):
        found += finished.measure(db, frame_id, where, ONE_FRAME_S, series=series)
    found.append(_grant(db, where))
    return found, cost


def _first_ready(db: Database, where: str) -> Ratio:
    def bare() -> None:
        with db.read_scope() as session:
            session.execute(text(_BARE)).all()

    bare()
    jobs.first(db, READY)
    ours_s, bare_s = seconds(lambda: jobs.first(db, READY), 15), seconds(bare, 15)
    return Ratio(f"[{where}] first {READY} ready jobs, beside a bare SELECT", ours_s, bare_s, most=3.0)


def _again(db: Database) -> tuple[float, float]:
    """Seconds of a plan of every frame with nothing to do, and of its longest part."""
    moments = [time.perf_counter()]
    planning.plan(db, everything=True, between=lambda: moments.append(time.perf_counter()))
    moments.append(time.perf_counter())
    return moments[-1] - moments[0], max(after - before for before, after in pairwise(moments))


def _some(db: Database, frames: int) -> list[str]:
    """The frames that are changed."""
    with db.read_scope() as session:
        return list(session.scalars(text(f"SELECT id FROM frames WHERE processing ORDER BY id LIMIT {frames}")))


def _change(db: Database, frames: int) -> None:
    """Somebody writes something to so many frames that leaves what is owed as it is."""
    with db.session_scope() as session:
        some = f"SELECT id FROM frames WHERE processing ORDER BY id LIMIT {frames}"
        session.execute(text(f"UPDATE ifg SET reason = reason WHERE proc_status = 0 AND frame_id IN ({some})"))


def _plan_costs(db: Database, changed: int, repeats: int) -> list[Cost]:
    """What a plan after so many frames changed costs, each time."""
    spent = []
    for _ in range(repeats):
        _change(db, changed)
        spent.append(cost_of(db, lambda: planning.plan(db)))
    return spent


def _grant(db: Database, where: str) -> Ratio:
    """A grant pass of 50 claimed frames on 20 machines, beside moving as many rows one by one without any rule."""
    machines.register(db, [Machine(name=f"m{n}", cpu=16.0, memory_gb=64.0) for n in range(20)])
    with db.read_scope() as session:
        names = session.execute(text(f"SELECT id FROM frames WHERE processing ORDER BY priority DESC, id LIMIT {CLAIMED}"))
        chosen = list(names.scalars())
    for name in chosen:
        runs.claim_frame(db, name, "bench")
    began = time.perf_counter()
    granted = jobs.grant_pass(db)
    ours_s = time.perf_counter() - began
    began = time.perf_counter()
    with db.session_scope() as session:
        for grant in granted:
            session.execute(text("UPDATE running_jobs SET progress = 0.1 WHERE job_id = :j"), {"j": grant.job_id})
            session.execute(text("UPDATE job_keys SET place = place WHERE job_id = :j"), {"j": grant.job_id})
            session.execute(
                text(f"UPDATE {grant.job.kind} SET proc_status = 1 WHERE frame_id = :f AND proc_status = 1"),
                {"f": grant.job.frame_id},
            )
    bare_s = time.perf_counter() - began
    with db.session_scope() as session:
        session.query(FrameRun).update({"heartbeat_utc": now_utc(-1e6)})
    return Ratio(
        f"[{where}] grant pass of {CLAIMED} claimed frames, beside 3 bare updates a job",
        ours_s,
        bare_s,
        note=f"{len(granted)} jobs",
    )
