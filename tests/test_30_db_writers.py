"""Sixteen writers at once, some killed, the server killed in the middle: nothing lost, nothing double."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from frames_made import FRAME, make_frame, plan, run_all
from sqlalchemy import text, update

from satdaemon.config import Settings
from satdaemon.db import Database, Ifg, JobEvent, Machine, Master, PendingJob, RsarIfg, RunningJob, init_database, jobs
from satdaemon.db.clock import now_utc
from satdaemon.db.models import JobKey
from satdaemon.status import ProcStatus

HERE = Path(__file__).resolve().parent
SECONDS = 8.0


def write_and_kill(settings: Settings, root: Path, crash: bool = False, server: object = None) -> None:
    """Let sixteen processes write, kill one of each role, and where asked the server."""
    command = [sys.executable, str(HERE / "writers.py"), settings.parameters.database, str(root), str(SECONDS)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=root) as process:
        assert process.stdout is not None
        victims: dict[str, int] = {}
        for _ in range(16):
            pid, role = process.stdout.readline().split()
            victims[role] = int(pid)
        time.sleep(SECONDS / 3)
        for pid in victims.values():
            os.kill(pid, signal.SIGKILL)
        if crash:
            server.stop("immediate")  # type: ignore[attr-defined]
            time.sleep(0.5)
            server.start()  # type: ignore[attr-defined]
        said = process.stdout.read()
        assert process.wait(60) == 0, said
    assert said.count("ended") == 12 and said.count("gone") == 4, said


def check_and_finish(db: Database, rows: Counter[str]) -> None:
    """The next plan puts all right, and the frame goes to its end."""
    with db.session_scope() as session:
        session.execute(update(RunningJob).values(heartbeat_utc=now_utc(-1000)))
    plan(db)
    pending, running, keys = db.query(PendingJob), db.query(RunningJob), db.query(JobKey)
    assert running == []
    assert {(k.kind, k.row_id, k.stage) for k in keys} == {(j.kind, j.row_id, j.stage) for j in pending}
    assert len(keys) == len(pending)
    for model in (Master, Ifg, RsarIfg):
        assert [row for row in db.query(model) if row.status is ProcStatus.RUNNING] == []
    with db.read_scope() as session:
        owed = set(session.execute(text("SELECT kind, row_id, stage FROM ledger WHERE is_next AND is_owed")).all())
    assert {(j.kind, j.row_id, j.stage) for j in pending} == owed
    events = db.query(JobEvent)
    for name in ("granted", "started", "finished"):
        assert max(Counter((e.job_id, e.attempt) for e in events if e.event == name).values()) == 1, name
    assert len(db.query(Ifg)) == rows["ifg"] and len(db.query(RsarIfg)) >= rows["rsar_ifg"], "no row is lost"
    with db.session_scope() as session:
        session.execute(text("UPDATE ifg SET proc_status = 0, reason = NULL, automatic = FALSE WHERE proc_status IN (4, 5)"))
        session.execute(text("UPDATE frames SET reprocess = TRUE, network_due = TRUE"))
        session.execute(text("UPDATE pending_jobs SET not_before = created_utc"))
    jobs.retry(db, frame_id=FRAME, who="x")
    run_all(db)
    (master,) = db.query(Master)
    assert (master.stage, master.status.is_done) == ("ingest", True)


def frame(db: Database) -> Counter[str]:
    make_frame(db, 12)
    db.update(Machine, {"cpu": 16.0, "memory_gb": 64.0}, name="large")
    plan(db)
    return Counter({"ifg": len(db.query(Ifg)), "rsar_ifg": len(db.query(RsarIfg))})


@pytest.mark.faults
@pytest.mark.slow
def test_sixteen_writers_of_which_four_are_killed(database: Database, settings: Settings, tmp_path: Path) -> None:
    rows = frame(database)
    write_and_kill(settings, tmp_path)
    check_and_finish(database, rows)


@pytest.mark.postgis
@pytest.mark.faults
@pytest.mark.slow
def test_sixteen_writers_and_the_server_killed_in_the_middle(tmp_path: Path) -> None:
    from databases import make_settings
    from postgres import cluster

    with cluster(options="-c fsync=off") as server:
        server.sql("CREATE DATABASE writers")
        settings = make_settings(tmp_path, server.url("writers"))
        db = init_database(settings)
        rows = frame(db)
        write_and_kill(settings, tmp_path, crash=True, server=server)
        check_and_finish(db, rows)
        db.close()
