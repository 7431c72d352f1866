"""A frame's flow on real parts: Prefect server, Dask scheduler and workers, process worker, child processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from engine_parts import FRAME, lines_of, make_frame, make_settings, runs_of, until
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Cancelling

from deployments.deploy import deploy
from deployments.services import dask_scheduler, dask_worker, process_worker
from satdaemon.config import Settings
from satdaemon.db import Database, FailedJob, Ifg, Master, PendingJob, RunningJob, jobs, runs
from satdaemon.machines.supervisor import Service, Supervisor
from satdaemon.status import ProcStatus, Stage
from tasks.dispatch import plan_and_dispatch
from tasks.prefect_api import frame_deployments, prefect_client

pytestmark = [pytest.mark.slow]


class System:
    """All parts but the Prefect server, for one configuration."""

    def __init__(self, settings: Settings, client: SyncPrefectClient) -> None:
        self.settings = settings
        self.client = client
        self.supervisor = Supervisor()
        self.supervisor.add(dask_scheduler(settings))
        self.workers: list[Service] = [self.supervisor.add(dask_worker(settings, machine)) for machine in settings.machines]
        self.flows = self.supervisor.add(process_worker(settings))

    def database(self, dates: int, stages: tuple[Stage, ...] = (Stage.DOWNLOAD,)) -> Database:
        database = make_frame(self.settings, dates=dates, stages=stages)
        deploy(self.client, database, schedules=False)
        return database

    def start(self, database: Database) -> FlowRun:
        deployment = frame_deployments(self.client, [FRAME])[FRAME]
        return self.client.create_flow_run_from_deployment(deployment)

    def run(self, database: Database, within_s: float = 120.0) -> FlowRun:
        return self.ended(self.start(database), within_s)

    def ended(self, run: FlowRun, within_s: float = 120.0) -> FlowRun:
        return self.wait(run, lambda found: found.state is not None and found.state.is_final(), within_s)

    def wait(self, run: FlowRun, true: Any, within_s: float = 60.0) -> FlowRun:
        def look() -> FlowRun | None:
            self.supervisor.tend()
            found = self.client.read_flow_run(run.id)
            return found if true(found) else None

        found: FlowRun = until(look, within_s, f"flow run, log: {self.flows.log.read_text()[-4000:]}")
        return found

    def until(self, true: Any, within_s: float = 60.0, what: str = "") -> Any:
        def look() -> Any:
            self.supervisor.tend()
            return true()

        return until(look, within_s, what)

    def order(self, **orders: Any) -> None:
        (runs_of(self.settings) / "orders.json").write_text(json.dumps(orders))

    def task_runs(self, run: FlowRun) -> list[Any]:
        chosen = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
        return self.client.read_task_runs(flow_run_filter=chosen)


@pytest.fixture
def system(tmp_path: Path, prefect_port: int, request: pytest.FixtureRequest) -> Iterator[System]:
    parameters = getattr(request, "param", {})
    settings = make_settings(tmp_path, machines=2, prefect_port=prefect_port, work_pool=tmp_path.name, **parameters)
    make_frame(settings, dates=1, frame_id="132A_OTHER").close()
    with prefect_client(settings) as client:
        deploy(client, Database(settings), schedules=False)
        found = System(settings, client)
        yield found
        found.supervisor.stop()
    left = [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(p.info["cmdline"] or ())]
    assert left == [], f"left running: {[p.info['cmdline'] for p in left]}"


def statuses(database: Database) -> Counter[ProcStatus]:
    rows = [*database.query(Master, frame_id=FRAME), *database.query(Ifg, frame_id=FRAME)]
    return Counter(ProcStatus(row.proc_status) for row in rows)


def once_each(settings: Settings, word: str = "ended") -> bool:
    count = Counter(line.split()[0] for line in lines_of(settings, word))
    return set(count.values()) == {1}


def test_a_frame_is_done_and_can_be_read_in_prefect(system: System) -> None:
    database = system.database(dates=6, stages=(Stage.DOWNLOAD, Stage.SLC))
    run = system.run(database)
    assert run.state_type is StateType.COMPLETED, run.state
    assert statuses(database) == {ProcStatus.DONE: 6}
    assert len(lines_of(system.settings, "ended")) == 12
    assert once_each(system.settings)
    tasks = system.task_runs(run)
    assert sorted(task.name for task in tasks)[0] == f"download {FRAME} 20230101"
    assert {task.state_type for task in tasks} == {StateType.COMPLETED}
    assert all(task.tags == [task.name.split()[0]] for task in tasks)
    again = system.run(database)
    assert again.state_type is StateType.COMPLETED
    assert system.task_runs(again) == []
    assert runs.holder(database, FRAME) is None


def test_a_second_flow_run_ends_at_once_and_says_who_holds_the_frame(system: System) -> None:
    database = system.database(dates=1)
    system.order(**{"*": {"sleep_s": 12}})
    first = system.start(database)
    system.until(lambda: lines_of(system.settings, "begun"), what="the first job's start")
    second = system.run(database)
    assert second.state_name == "AlreadyRunning"
    assert str(first.id) in str(second.state.message if second.state else "")
    assert system.ended(first).state_type is StateType.COMPLETED
    assert len(lines_of(system.settings, "begun")) == 1


def test_failed_jobs_fail_the_flow_run_by_name_and_its_retry_runs_only_them(system: System) -> None:
    database = system.database(dates=3)
    system.order(**{"download-2023-01-13-None": {"exit": 4}})
    run = system.run(database)
    assert run.state_type is StateType.FAILED
    assert f"download {FRAME} 20230113: ProcessingError" in str(run.state.message if run.state else "")
    assert statuses(database) == {ProcStatus.DONE: 2, ProcStatus.FAILED: 1}
    system.order()
    retry = [sys.executable, "-m", "prefect", "flow-run", "retry", str(run.id)]
    subprocess.run(retry, check=True, timeout=60, capture_output=True)
    system.until(lambda: statuses(database) == {ProcStatus.DONE: 3}, what="the retry")
    assert system.ended(run).state_type is StateType.COMPLETED
    assert database.query(FailedJob) == []
    assert once_each(system.settings)


def test_a_job_that_may_run_again_is_a_retry_of_its_task_run(system: System) -> None:
    database = system.database(dates=1)
    system.order(**{"*": {"exit": 75, "first_only": True}})
    run = system.run(database)
    assert run.state_type is StateType.COMPLETED, run.state
    (task,) = system.task_runs(run)
    assert task.run_count == 2
    assert len(lines_of(system.settings, "ended")) == 1


@pytest.mark.faults
def test_a_killed_worker_costs_only_time(system: System) -> None:
    database = system.database(dates=8)
    system.order(**{"*": {"sleep_s": 6, "daemon": True, "first_only": True}})
    run = system.start(database)
    system.until(lambda: len(lines_of(system.settings, "begun")) >= 4, what="jobs running")
    begun = {int(line.split()[-1]) for line in lines_of(system.settings, "begun")}
    victim = next(w for w in system.workers if any(job.machine == w.name for job in database.query(RunningJob)))
    assert victim.process is not None
    os.kill(victim.process.pid, signal.SIGKILL)
    found = system.ended(run)
    assert found.state_type is StateType.COMPLETED, found.state
    assert statuses(database) == {ProcStatus.DONE: 8}
    assert once_each(system.settings)
    assert database.query(RunningJob) == []
    assert not any(psutil.pid_exists(pid) for pid in begun)


@pytest.mark.faults
def test_a_cancelled_flow_run_ends_all_child_processes(system: System) -> None:
    database = system.database(dates=4)
    system.order(**{"*": {"sleep_s": 120, "daemon": True}})
    run = system.start(database)
    system.until(lambda: len(lines_of(system.settings, "begun")) >= 4, what="jobs running")
    pids = {int(line.split()[-1]) for line in lines_of(system.settings, "begun")}
    system.client.set_flow_run_state(run.id, Cancelling())
    system.until(lambda: not any(psutil.pid_exists(pid) for pid in pids), 10.0, "the end of all children")
    assert system.ended(run, 30.0).state_type is StateType.CANCELLED
    system.until(lambda: len(database.query(PendingJob, frame_id=FRAME)) == 4, 10.0, "jobs given back")
    assert {job.tries for job in database.query(PendingJob, frame_id=FRAME)} == {0}


@pytest.mark.faults
def test_a_killed_flow_run_is_taken_up_by_another(system: System) -> None:
    database = system.database(dates=4)
    system.order(**{"*": {"sleep_s": 30, "first_only": True}})
    run = system.start(database)
    system.until(lambda: len(lines_of(system.settings, "begun")) >= 4, what="jobs running")
    pids = {int(line.split()[-1]) for line in lines_of(system.settings, "begun")}
    assert system.flows.process is not None
    below = psutil.Process(system.flows.process.pid).children(recursive=True)
    (engine,) = [process for process in below if "prefect.engine" in process.cmdline()]
    engine.kill()
    system.until(lambda: not any(psutil.pid_exists(pid) for pid in pids), 20.0, "the end of all children")
    assert system.ended(run, 60.0).state_type is StateType.CRASHED

    def dispatched() -> bool:
        done = plan_and_dispatch(database, system.client)
        return done is not None and FRAME in done.started

    system.until(dispatched, 60.0, "another flow run")
    system.until(lambda: statuses(database) == {ProcStatus.DONE: 4}, 90.0, "the frame's end")
    assert once_each(system.settings)
    assert jobs.rescue(database) == []
