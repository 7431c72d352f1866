"""Several real processes on one database: nothing twice, nothing lost, whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from frames_made import FRAME, make_frame, plan

from satdaemon.config import Settings
from satdaemon.db import Database, Frame, Ifg, JobEvent, Machine, PendingJob, RunningJob
from satdaemon.db.models import JobKey
from satdaemon.db.planning import planner_lock
from satdaemon.status import ProcStatus

HERE = Path(__file__).resolve().parent


def claimer(settings: Settings, root: Path, name: str, slow_s: float) -> subprocess.Popen[str]:
    command = [sys.executable, str(HERE / "claimer.py"), settings.parameters.database, str(root), name, str(slow_s)]
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=root)


@pytest.mark.faults
@pytest.mark.slow
def test_claimers_share_the_work_and_one_is_killed(database: Database, settings: Settings, tmp_path: Path) -> None:
    dates = make_frame(database, 12)
    database.update(Frame, {"do_satsar": False}, id=FRAME)
    plan(database)
    workers = [claimer(settings, tmp_path, f"c{i}", 0.01) for i in range(2)]
    victim = claimer(settings, tmp_path, "victim", 600.0)
    assert victim.stdout is not None
    line = ""
    while not line.startswith("holds"):  # it has a job, and will never end it
        line = victim.stdout.readline()
        assert line, "the victim ended by itself"
    held = int(line.split()[1])
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    said = [worker.communicate(timeout=240)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]

    events = database.query(JobEvent)
    grants = Counter((e.job_id, e.attempt) for e in events if e.event == "granted")
    starts = Counter((e.job_id, e.attempt) for e in events if e.event == "started")
    finished = Counter(e.job_id for e in events if e.event == "finished")
    assert max(grants.values()) == max(starts.values()) == max(finished.values()) == 1
    assert len(finished) == 2 * len(dates), "a download and an slc of each date"
    assert finished[held] == 1 and (held, 2) in grants
    assert {row.status for row in database.query(Ifg)} == {ProcStatus.DONE}
    assert database.query(PendingJob) == database.query(RunningJob) == database.query(JobKey) == []
    by_whom = Counter(line.split()[-1] for text in said for line in text.splitlines() if line.startswith("finished"))
    assert sum(by_whom.values()) == 2 * len(dates) and len(by_whom) == 2


@pytest.mark.faults
def test_no_machine_is_over_committed_by_many_passes(database: Database, settings: Settings, tmp_path: Path) -> None:
    make_frame(database, 24)
    plan(database)
    code = (
        "import sys; from pathlib import Path; from databases import make_settings; from satdaemon.db import Database, jobs\n"
        "db = Database(make_settings(Path(sys.argv[2]), sys.argv[1], lease_s=600.0))\n"
        "for _ in range(8): jobs.grant_pass(db)\n"
        "db.close()"
    )
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    command = [sys.executable, "-c", code, settings.parameters.database, str(tmp_path)]
    processes = [subprocess.Popen(command, env=environment, cwd=tmp_path) for _ in range(3)]
    assert [process.wait(timeout=120) for process in processes] == [0] * 3
    sizes = {m.name: (m.cpu, m.memory_gb, m.disk) for m in database.query(Machine)}
    running = database.query(RunningJob)
    for name, size in sizes.items():
        mine = [(j.cpu, j.memory_gb, j.disk) for j in running if j.machine == name]
        assert all(sum(column) <= limit for column, limit in zip(zip(*mine, strict=True), size, strict=True))
    assert len(running) == 6, "as many as fit"


def test_one_planner_at_a_time(database: Database, settings: Settings) -> None:
    other = Database(settings)
    with planner_lock(database) as first, planner_lock(other) as second:
        assert (first, second) == (True, False)
    with planner_lock(other) as third:
        assert third
    other.close()


@pytest.mark.faults
def test_the_planners_lock_ends_with_its_process(database: Database, settings: Settings, tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from databases import make_settings\n"
        "from satdaemon.db import Database, planning\n"
        "with planning.planner_lock(Database(make_settings(Path(sys.argv[2]), sys.argv[1]))) as got:\n"
        "    print(got, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", code, settings.parameters.database, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path) as process:
        assert process.stdout is not None and process.stdout.readline() == "True\n"
        with planner_lock(database) as got:
            assert not got
        process.kill()
    for _ in range(50):
        with planner_lock(database) as got:
            if got:
                return
    pytest.fail("a dead planner keeps the lock")


@pytest.mark.postgis
@pytest.mark.faults
def test_a_crash_of_postgresql_in_the_middle_loses_nothing(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The server dies between grant and finish; calls made meanwhile go through once it is back."""
    from databases import make_settings
    from frames_made import run_all
    from postgres import cluster

    from satdaemon.db import init_database, jobs
    from satdaemon.domain import StageResult, Usage

    with cluster(options="-c fsync=off") as server:  # fsync matters for the machine's crash, not for the server's
        server.sql("CREATE DATABASE crash")
        db = init_database(make_settings(tmp_path, server.url("crash")))
        make_frame(db, 4)
        plan(db)
        grants = jobs.grant_pass(db)
        server.stop("immediate")
        server.start()
        for grant in grants:
            assert jobs.start(db, grant.job_id, grant.attempt, pid=1, host="h", log_path=None)
            assert jobs.finish(db, grant.job_id, grant.attempt, StageResult(()), Usage(), None)
        titles = run_all(db)
        assert titles[-1] == f"ingest {FRAME}" and len(titles) + len(grants) == len(set(titles)) + len(grants)
        assert {row.status for row in db.query(Ifg)} == {ProcStatus.DONE}
        db.close()
