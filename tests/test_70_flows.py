"""A frame's flow on real parts: Prefect server, Dask scheduler and workers, process worker, child processes."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psutil
import pytest
from engine_parts import lines_of, make_frame, make_settings, runs_of, until
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import AwaitingRetry, Cancelling

from deployments.services import dask_scheduler, dask_worker, process_worker
from flows.planner import planner
from satdaemon.config import Settings
from satdaemon.control import SatDaemonController
from satdaemon.db import FailedJob, Frame, Ifg, Master, PendingJob, RunningJob, init_database, jobs, runs
from satdaemon.machines.supervisor import Service, Supervisor
from satdaemon.status import ProcStatus, Stage
from tasks.deployed import deploy_frames, deploy_services
from tasks.dispatch import plan_and_dispatch
from tasks.prefect_api import ensure_work_pool, prefect_client

pytestmark = [pytest.mark.slow]


class System:
    """All parts but the Prefect server, for all tests of this module; each test has frames of its own."""

    def __init__(self, settings: Settings, client: SyncPrefectClient) -> None:
        self.settings = settings
        self.client = client
        self.database = init_database(settings)
        ensure_work_pool(client, settings)
        self.supervisor = Supervisor()
        self.supervisor.add(dask_scheduler(settings))
        self.workers: list[Service] = [self.supervisor.add(dask_worker(settings, machine)) for machine in settings.machines]
        self.flows = self.supervisor.add(process_worker(settings))

    def frame(self, name: str, dates: int, stages: tuple[Stage, ...] = (Stage.DOWNLOAD,), **order: Any) -> Made:
        """A frame with its deployment, and what its jobs are told to do."""
        frame_id = f"132A_{name}"
        make_frame(self.settings, dates=dates, stages=stages, frame_id=frame_id).close()
        (deployment,) = deploy_frames(self.client, self.database, [frame_id]).values()
        made = Made(self, frame_id, deployment)
        made.order(**order)
        return made

    def until(self, true: Any, within_s: float = 60.0, what: str = "") -> Any:
        def look() -> Any:
            self.supervisor.tend()
            return true()

        return until(look, within_s, what)


@dataclass
class Made:
    """A frame of a test."""

    system: System
    id: str
    deployment: UUID

    def order(self, **order: Any) -> None:
        """What every job of the frame does."""
        self.order_one(self.id, **order)

    def order_one(self, name: str, **order: Any) -> None:
        """What the job of that name does."""
        path = runs_of(self.system.settings) / "orders.json"
        orders = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**orders, name: order}))

    def start(self) -> FlowRun:
        return self.system.client.create_flow_run_from_deployment(self.deployment)

    def run(self) -> FlowRun:
        return self.ended(self.start())

    def ended(self, run: FlowRun, within_s: float = 120.0) -> FlowRun:
        def look() -> FlowRun | None:
            found = self.system.client.read_flow_run(run.id)
            return found if found.state is not None and found.state.is_final() else None

        found: FlowRun = self.system.until(look, within_s, f"end of {run.id}; see {self.system.flows.log}")
        return found

    def task_runs(self, run: FlowRun) -> list[Any]:
        return self.system.client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id])))

    def lines(self, word: str) -> list[str]:
        return lines_of(self.system.settings, word, self.id)

    def begun(self, count: int) -> set[int]:
        """The processes of the frame's jobs, once so many have begun."""
        self.system.until(lambda: len(self.lines("begun")) >= count, 90.0, f"{count} jobs running")
        return {int(line.split()[-1]) for line in self.lines("begun")}

    def statuses(self) -> Counter[ProcStatus]:
        database = self.system.database
        rows = [*database.query(Master, frame_id=self.id), *database.query(Ifg, frame_id=self.id)]
        return Counter(ProcStatus(row.proc_status) for row in rows)

    def each_once(self) -> bool:
        """True where every job that ended did so once."""
        return set(Counter(line.split()[0] for line in self.lines("ended")).values()) == {1}


def are_gone(pids: set[int]) -> bool:
    return not any(psutil.pid_exists(pid) for pid in pids)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, prefect_port: int) -> Iterator[System]:
    place = tmp_path_factory.mktemp("system")
    settings = make_settings(place, machines=2, prefect_port=prefect_port, work_pool=place.name)
    with prefect_client(settings) as client:
        found = System(settings, client)
        yield found
        found.supervisor.stop()
    left = [p.info["cmdline"] for p in psutil.process_iter(["cmdline"]) if str(place) in " ".join(p.info["cmdline"] or ())]
    assert left == [], f"left running: {left}"


def test_a_frame_is_done_and_can_be_read_in_prefect(system: System) -> None:
    frame = system.frame("WHOLE", 4, (Stage.DOWNLOAD, Stage.SLC))
    run = frame.run()
    assert run.state_type is StateType.COMPLETED, run.state
    assert "download 4, slc 4" in str(run.state and run.state.message)
    assert frame.statuses() == {ProcStatus.DONE: 4}
    assert len(frame.lines("ended")) == 8
    assert frame.each_once()
    tasks = frame.task_runs(run)
    assert min(task.name for task in tasks) == f"download {frame.id} 20230101"
    assert {task.state_type for task in tasks} == {StateType.COMPLETED}, [task.state for task in tasks]
    assert all(task.tags == [task.name.split()[0]] for task in tasks)
    again = frame.run()
    assert again.state_type is StateType.COMPLETED
    assert frame.task_runs(again) == []
    assert runs.holder(system.database, frame.id) is None
    assert system.flows.log is not None
    log = system.flows.log.read_text()
    assert "flow server: ready" in log and "started without it" not in log, "the flow runs were forks"


def test_a_second_flow_run_ends_at_once_and_says_who_holds_the_frame(system: System) -> None:
    enough = runs_of(system.settings) / "enough"
    frame = system.frame("TWICE", 1, until=str(enough))
    first = frame.start()
    frame.begun(1)
    second = frame.run()
    assert second.state_name == "AlreadyRunning"
    assert str(first.id) in str(second.state and second.state.message)
    enough.touch()
    assert frame.ended(first).state_type is StateType.COMPLETED
    assert len(frame.lines("begun")) == 1


def test_failed_jobs_fail_the_flow_run_by_name_and_its_retry_runs_only_them(system: System) -> None:
    frame = system.frame("FAILS", 3)
    bad = f"{frame.id}-download-2023-01-13-None"
    frame.order_one(bad, exit=4)
    run = frame.run()
    assert run.state_type is StateType.FAILED
    assert f"download {frame.id} 20230113: ProgramFailed" in str(run.state and run.state.message)
    assert frame.statuses() == {ProcStatus.DONE: 2, ProcStatus.FAILED: 1}
    frame.order_one(bad)
    system.client.set_flow_run_state(run.id, AwaitingRetry(), force=True)  # the UI's Retry
    system.until(lambda: frame.statuses() == {ProcStatus.DONE: 3}, what="the retry")
    assert frame.ended(run).state_type is StateType.COMPLETED
    assert system.database.query(FailedJob, frame_id=frame.id) == []
    assert frame.each_once()


def test_a_job_that_may_run_again_is_a_retry_of_its_task_run(system: System) -> None:
    frame = system.frame("AGAIN", 1, exit=75, first_only=True)
    run = frame.run()
    assert run.state_type is StateType.COMPLETED, run.state
    (task,) = frame.task_runs(run)
    assert task.run_count == 2
    assert len(frame.lines("ended")) == 1


@pytest.mark.faults
def test_a_killed_worker_costs_only_time(system: System) -> None:
    frame = system.frame("WORKER", 8, sleep_s=6, daemon=True, first_only=True)
    run = frame.start()
    pids = frame.begun(4)
    running = system.database.query(RunningJob, frame_id=frame.id)
    victim = next(worker for worker in system.workers if any(job.machine == worker.name for job in running))
    assert victim.process is not None
    os.kill(victim.process.pid, signal.SIGKILL)
    found = frame.ended(run)
    assert found.state_type is StateType.COMPLETED, found.state
    assert frame.statuses() == {ProcStatus.DONE: 8}
    assert frame.each_once()
    assert system.database.query(RunningJob, frame_id=frame.id) == []
    assert are_gone(pids)


@pytest.mark.faults
def test_a_cancelled_flow_run_ends_all_child_processes(system: System) -> None:
    frame = system.frame("CANCEL", 4, sleep_s=120, daemon=True)
    run = frame.start()
    pids = frame.begun(4)
    system.client.set_flow_run_state(run.id, Cancelling())
    system.until(lambda: are_gone(pids), 10.0, "the end of all children")
    assert frame.ended(run, 60.0).state_type is StateType.CANCELLED
    pending = system.until(lambda: system.database.query(PendingJob, frame_id=frame.id), 10.0, "jobs given back")
    assert {job.tries for job in pending} == {0}
    left = plan_and_dispatch(system.database, system.client)
    assert left is not None
    assert "cancelled by hand" in left.left[frame.id]
    system.database.update(Frame, {"processing": False}, id=frame.id)


@pytest.mark.faults
def test_a_killed_flow_run_is_taken_up_by_another(system: System) -> None:
    frame = system.frame("KILLED", 4, sleep_s=30, first_only=True)
    run = frame.start()
    pids = frame.begun(4)
    assert system.flows.process is not None
    below = psutil.Process(system.flows.process.pid).children(recursive=True)
    (engine,) = [process for process in below if "deployments.flow_run" in process.cmdline()]
    engine.kill()
    system.until(lambda: are_gone(pids), 20.0, "the end of all children")
    assert frame.ended(run, 60.0).state_type is StateType.CRASHED

    def is_started() -> bool:
        done = plan_and_dispatch(system.database, system.client)
        return done is not None and frame.id in done.started

    system.until(is_started, 60.0, "another flow run")
    system.until(lambda: frame.statuses() == {ProcStatus.DONE: 4}, 90.0, "the frame's end")
    assert frame.each_once()
    assert jobs.rescue(system.database) == []


def test_the_planner_starts_what_can_move_and_only_that(system: System) -> None:
    frame = system.frame("PLANNED", 2)
    idle = system.frame("IDLE", 1)
    system.database.update(Frame, {"processing": False}, id=idle.id)
    assert system.settings.source is not None
    state = planner(str(system.settings.source), return_state=True)
    assert state.is_completed()
    assert frame.id in str(state.message)
    assert idle.id not in str(state.message)
    system.until(lambda: frame.statuses() == {ProcStatus.DONE: 2}, 90.0, "the frame's end")
    assert idle.statuses() == {ProcStatus.WAITING: 1}
    assert system.client.read_deployment(idle.deployment).paused
    by_hand = idle.run()
    assert (by_hand.state_name, by_hand.state_type) == ("Off", StateType.COMPLETED)
    assert idle.statuses() == {ProcStatus.WAITING: 1}


def test_a_change_is_planned_at_once_by_the_deployment_alone(system: System) -> None:
    """No planner part is up and no schedule is on. The last test here: from now on whatever changes is started."""
    deploy_services(system.client, system.settings, schedules=False)
    frame = system.frame("NUDGED", 2)
    system.database.update(Frame, {"processing": False}, id=frame.id)
    SatDaemonController(system.settings).set_frame_download(frame.id, True)
    system.until(lambda: frame.statuses() == {ProcStatus.DONE: 2}, 120.0, "the frame's end")
