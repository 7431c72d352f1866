"""What a task does with its job: waits for a grant, and shows how the job went."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed.utils import LoopRunner, sync
from engine_parts import FRAME, make_frame, make_settings, until
from prefect import flow
from prefect.client.schemas.objects import StateType
from prefect.futures import PrefectConcurrentFuture
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_SERVER_ALLOW_EPHEMERAL_MODE,
    temporary_settings,
)
from prefect.states import Failed

from deployments.services import free_port
from satdaemon.db import Database, PendingJob, jobs, runs
from satdaemon.domain import Failure, Job, StageResult, Usage
from satdaemon.errors import Disposition
from satdaemon.status import Stage
from tasks.cluster import ClusterTaskRunner, _is_of_a_cancelled_wait, current_cluster
from tasks.grants import Grants
from tasks.job import JobAgain, JobFailed, _ended_meanwhile, _ProgressBar, _shown, is_again, run_name
from tasks.stages import TASKS
from tasks.stop import Stopped, Withdrawn


def test_a_wait_that_dask_cancelled_is_told_from_an_error_of_ours() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    def ours() -> Any:
        if found is None:
            value = 1
        return value

    runner = LoopRunner(asynchronous=False)
    runner.start()
    try:
        with pytest.raises(UnboundLocalError) as found:
            sync(runner.loop, cancelled)
    finally:
        runner.stop()
    assert _is_of_a_cancelled_wait(found.value)
    with pytest.raises(UnboundLocalError) as other:
        ours()
    assert not _is_of_a_cancelled_wait(other.value)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = make_frame(make_settings(tmp_path, machines=1), dates=2)
    yield found
    found.close()


@pytest.fixture
def grants(database: Database) -> Iterator[Grants]:
    assert runs.claim_frame(database, FRAME, "the test")
    with Grants(database, FRAME, "the test") as found:
        yield found


def first_job(database: Database) -> Job:
    return jobs.pending_of_frame(database, FRAME, 10)[0]


def wait_in_thread(grants: Grants, job: Job, stop: threading.Event) -> tuple[threading.Thread, list[Any]]:
    found: list[Any] = []

    def wait() -> None:
        try:
            found.append(grants.wait(job.id, stop))
        except (Stopped, Withdrawn) as error:
            found.append(type(error))

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: grants.waiting == 1 or found)
    return thread, found


def test_a_waiting_job_gets_a_machine(database: Database, grants: Grants) -> None:
    state = grants.wait(first_job(database).id, threading.Event())
    assert (state.status, state.machine, state.attempt) == ("granted", "m1", 1)
    assert grants.waiting == 0


def test_a_job_that_fits_nowhere_waits_until_it_is_withdrawn(database: Database, grants: Grants) -> None:
    job = first_job(database)
    database.update(PendingJob, {"cpu": 100.0}, job_id=job.id)
    thread, found = wait_in_thread(grants, job, threading.Event())
    time.sleep(0.3)
    assert found == []
    grants.withdraw()
    thread.join(5)
    assert found == [Withdrawn]


def test_a_stopped_flow_run_wakes_its_waiting_jobs(database: Database, grants: Grants) -> None:
    job = first_job(database)
    database.update(PendingJob, {"cpu": 100.0}, job_id=job.id)
    stop = threading.Event()
    thread, found = wait_in_thread(grants, job, stop)
    stop.set()
    thread.join(5)
    assert found == [Stopped]


def test_a_cancelled_job_does_not_wait_for_ever(database: Database, grants: Grants) -> None:
    job = first_job(database)
    database.update(PendingJob, {"cpu": 100.0}, job_id=job.id)
    thread, found = wait_in_thread(grants, job, threading.Event())
    jobs.cancel(database, job_id=job.id, who="the test", reason="not now")
    thread.join(10)
    assert found[0].held
    assert "not now" in found[0].reason


def test_a_claim_lost_to_another_ends_the_waiting(tmp_path: Path) -> None:
    database = make_frame(make_settings(tmp_path, machines=1, lease_s=1), dates=1)
    with Grants(database, FRAME, "nobody, whose claim was never made") as grants:
        until(lambda: grants.has_lost_claim, 10.0)
        with pytest.raises(Withdrawn):
            grants.wait(first_job(database).id, threading.Event())
    database.close()


def test_progress_of_running_jobs_is_known(database: Database, grants: Grants) -> None:
    job = first_job(database)
    state = grants.wait(job.id, threading.Event())
    assert jobs.start(database, job.id, state.attempt, pid=1, host="h", log_path="l")
    jobs.beat(database, job.id, state.attempt, progress=0.25, message="a quarter")
    until(lambda: grants.progress.get(job.id) == (0.25, "a quarter"), 10.0)


def test_an_attempt_that_lost_its_lease_is_not_waited_for(
    database: Database, grants: Grants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.grants._PROGRESS_S", 0.1)
    monkeypatch.setattr("tasks.grants._TAKEN_S", 1.0)
    job = first_job(database)
    state = grants.wait(job.id, threading.Event())
    assert jobs.start(database, job.id, state.attempt, pid=1, host="h", log_path="l")
    is_taken = grants.watch(job.id, state.attempt)
    looked = grants._looked_s
    until(lambda: grants._looked_s > looked + 1.5)
    assert not is_taken(), "it is held"
    lost = Failure("MachineLost", "not heard of", "", Disposition.RETRY)
    assert jobs.fail(database, job.id, state.attempt, lost, Usage()).kind == "retry"
    assert not is_taken(), "its result may be on its way"
    until(is_taken, 10.0)


def test_a_job_that_ended_while_its_report_was_lost_is_shown_as_it_ended(database: Database, grants: Grants) -> None:
    good, bad = jobs.pending_of_frame(database, FRAME, 2)
    for job in (good, bad):
        attempt = grants.wait(job.id, threading.Event()).attempt
        assert jobs.start(database, job.id, attempt, pid=1, host="h", log_path="l")
    assert jobs.finish(database, good.id, 1, StageResult(files=()), Usage(wall_s=2.0), None)
    assert jobs.fail(database, bad.id, 1, Failure("ProgramFailed", "exit 4", "", Disposition.FAIL), Usage()).kind == "failed"
    end = _ended_meanwhile(grants, good, grants.wait(good.id, threading.Event()))
    assert end.type is StateType.COMPLETED and "done in 2.0 s by attempt 1 on m1" in end.message
    with pytest.raises(JobFailed, match="ProgramFailed: exit 4"):
        _ended_meanwhile(grants, bad, grants.wait(bad.id, threading.Event()))
    unwanted = _ended_meanwhile(grants, good, jobs.JobState("pending", held=True, reason="not now"))
    assert (unwanted.name, unwanted.type) == ("TakenBack", StateType.CANCELLED)
    forgotten = dataclasses.replace(good, id=good.id + 1000)
    assert _ended_meanwhile(grants, forgotten, grants.wait(forgotten.id, threading.Event())).name == "TakenBack"


@pytest.mark.filterwarnings("ignore:Artifact creation outside of a flow")
def test_a_prefect_server_that_is_away_ends_no_job_for_its_progress(database: Database, grants: Grants) -> None:
    bar = _ProgressBar(first_job(database), grants, _next_s=0.0)
    away = {PREFECT_API_URL: f"http://127.0.0.1:{free_port('127.0.0.1')}/api", PREFECT_CLIENT_MAX_RETRIES: 0}
    with temporary_settings({**away, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False}):
        bar.look()
    assert bar._id is None and bar._shown == 0.0


def test_every_stage_has_a_task_of_its_name() -> None:
    assert {stage: task.name for stage, task in TASKS.items()} == {stage: stage.value for stage in Stage}
    assert all(task.tags == {stage.value} for stage, task in TASKS.items())


def test_task_runs_are_named_after_their_jobs(database: Database) -> None:
    assert run_name({"job": first_job(database)}).startswith(f"download {FRAME} 2023")


def test_only_what_the_database_wants_again_is_a_retry() -> None:
    task: Any = TASKS[Stage.UNWRAP]
    run: Any = None
    assert is_again(task, run, Failed(data=JobAgain("lost its machine")))
    assert not is_again(task, run, Failed(data=JobFailed("for good")))
    assert not is_again(task, run, Failed(data=ValueError("a bug")))


def summary(outcome: str) -> dict[str, Any]:
    numbers = {"wall_s": 1.0, "cpu_s": 1.0, "peak_memory_gb": 0.1}
    return {"outcome": outcome, "message": "because", "metrics": {}, "warnings": [], "log": "/l", **numbers}


@pytest.mark.parametrize(
    ("outcome", "error"), [("retry", JobAgain), ("discarded", JobAgain), ("failed", JobFailed)]
)
def test_ends_that_raise(database: Database, outcome: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.job.get_run_logger", lambda: None)
    with pytest.raises(error, match="because"):
        _shown(first_job(database), summary(outcome))


@pytest.mark.parametrize("outcome", ["waiting", "excluded"])
def test_ends_that_are_states(database: Database, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.job.get_run_logger", lambda: None)
    state = _shown(first_job(database), summary(outcome))
    assert (state.type, state.name) == (StateType.COMPLETED, outcome.capitalize())


@flow(name="threads", task_runner=ClusterTaskRunner(address="tcp://127.0.0.1:1"))
def in_threads() -> tuple[bool, list[str]]:
    """Submit through the runner; no cluster is needed for tasks that send nothing to it."""
    from prefect import task

    @task
    def where() -> str:
        assert isinstance(current_cluster(), ClusterTaskRunner)
        return threading.current_thread().name

    futures = [where.submit() for _ in range(3)]
    return all(isinstance(future, PrefectConcurrentFuture) for future in futures), [future.result() for future in futures]


def test_tasks_run_in_threads_of_the_flow_process(prefect_port: int) -> None:
    are_ours, names = in_threads()
    assert are_ours
    assert all(name.startswith("task") for name in names)


def test_a_job_outside_of_a_flow_is_refused() -> None:
    with pytest.raises(RuntimeError, match="ClusterTaskRunner"):
        current_cluster()
