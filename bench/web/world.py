"""A system as large as operations may grow, with what pages show of it: bursts, frames on the map, failures, machines, points."""

from __future__ import annotations

import tempfile
from pathlib import Path

from points_made import show_points, write_points
from sqlalchemy import Connection, text

from bench.database import bursts, made, scale
from satdaemon.config import Machine
from satdaemon.db import Database, jobs, machines, planning, runs
from satdaemon.db.burst_map import load_burst_map
from satdaemon.insar.bursts import BURSTS_PER_REPEAT

DATES, LINKS = 400, (1, 2, 3, 4)
"""Of the large frame: 400 dates, 1,590 interferograms."""
BURSTS = 24
FAILED = 3000
POINTS = (1_000_000, 100)
CLAIMED = 50
_EVENTS = (
    "INSERT INTO job_events (at_utc, event, job_id, attempt, frame_id, kind, stage, date1, date2, machine, wall_s, cpu_s)"
    " SELECT now() - random() * interval '60 days', {event}, {job}, 1, {of}.frame_id, {kind}, {stage}, {dates}, 'm1', 600, 900"
)


def build(db: Database, frames: int) -> str:
    """All of it; the id of the large frame."""
    scale.build(db, 1, frames)
    scale.build(db, frames + 1, frames + 1, dates=DATES, links=LINKS)
    large = scale.frame_id(frames + 1)
    with tempfile.TemporaryDirectory() as place:
        share = max(frames, 100) / 10_000
        load_burst_map(db, bursts.make_map(Path(place) / "bursts.parquet", int(BURSTS_PER_REPEAT * share)))
        write_points(Path(place) / "points", int(POINTS[0] * share), POINTS[1])
        show_points(db, large, Path(place) / "points")
    with db.engine.begin() as connection:
        _onto_the_map(connection)
        _failures(connection)
        _events(connection)
    made.build(db, [large])
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    planning.plan(db, everything=True)
    _running(db)
    return large


def _onto_the_map(connection: Connection) -> None:
    """Each frame gets bursts of its track, in a row."""
    connection.execute(
        text(
            "INSERT INTO frames2bursts (frame_id, burst_id)"
            " WITH b AS (SELECT id, track, row_number() OVER (PARTITION BY track ORDER BY number) - 1 AS n,"
            " count(*) OVER (PARTITION BY track) AS most FROM bursts),"
            " f AS (SELECT id, track, row_number() OVER (PARTITION BY track ORDER BY id) - 1 AS n FROM frames)"
            f" SELECT f.id, b.id FROM f JOIN b ON b.track = f.track AND b.n / {BURSTS} = f.n % greatest(b.most / {BURSTS}, 1)"
        )
    )
    shape = "SELECT ST_Multi(ST_ConvexHull(ST_Collect(b.geometry))) FROM frames2bursts l JOIN bursts b ON b.id = l.burst_id"
    connection.execute(text(f"UPDATE frames f SET geometry = ({shape} WHERE l.frame_id = f.id)"))


def _failures(connection: Connection) -> None:
    """Some of the pairs that failed, of ten causes."""
    connection.execute(
        text(
            "INSERT INTO failed_jobs (job_id, frame_id, kind, row_id, stage, date1, date2, priority, stage_rank, cpu, memory_gb,"
            " disk, attempt, tries, created_utc, machine, granted_utc, heartbeat_utc, progress, message, error_class, traceback,"
            " finished_utc) SELECT 1000000000 + id, frame_id, 'rsar_ifg', id, 'unwrap', date1, date2, 0, 5, 1, 1, 1, 1, 3, now(),"
            " 'm' || id % 20, now(), now(), 0.5, 'pixel ' || id || ' of cause ' || id % 10, 'ProcessingError',"
            " 'Traceback' || chr(10) || '  File unwrap.py, line ' || id % 10 || chr(10) || 'ProcessingError: cause ' || id % 10"
            f", now() - (id % 100) * interval '1 hour' FROM rsar_ifg WHERE proc_status = 4 ORDER BY frame_id LIMIT {FAILED}"
        )
    )


def _events(connection: Connection) -> None:
    """What was finished within sixty days: of every frame something, of the large one all."""
    dates = {"event": "'finished'", "of": "r", "stage": "s", "job": "r.id"}
    for table, stages, days in (
        ("ifg", "('download'), ('slc'), ('satsar')", "r.date, NULL"),
        ("rsar_ifg", "('coherence'), ('unwrap')", "r.date1, r.date2"),
    ):
        sql = _EVENTS.format(kind=f"'{table}'", dates=days, **dates)
        rows = f" FROM {table} r CROSS JOIN (VALUES {stages}) v(s) WHERE r.proc_status = 2 AND"
        last = "(SELECT max(id) FROM frames WHERE substr(id, 6) = (SELECT max(substr(id, 6)) FROM frames))"
        connection.execute(text(f"{sql}{rows} (r.id % 25 = 0 OR r.frame_id = {last})"))


def _running(db: Database) -> None:
    """Twenty machines, and jobs on them."""
    machines.register(db, [Machine(name=f"m{n}", cpu=16.0, memory_gb=64.0) for n in range(20)])
    with db.read_scope() as session:
        some = text(f"SELECT id FROM frames WHERE processing ORDER BY priority DESC, id LIMIT {CLAIMED}")
        chosen = list(session.scalars(some))
    for name in chosen:
        runs.claim_frame(db, name, "bench")
    jobs.grant_pass(db)
