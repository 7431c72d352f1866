"""One frame's chain, from its first download to its points. READ FIRST: the story of the system.

A flow run claims its frame, asks the database what can be done now, runs each such job as one Prefect task, and asks
again whenever one ends, until nothing of the frame can move. What runs where, how often and in what order is the
database's business (satdaemon.db.planning, satdaemon.db.jobs); what a job does is its processor's.

    plan -> pending job -> task waits for a grant -> child process on the granted machine -> product, row DONE -> plan
"""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask
from prefect import flow, get_run_logger, runtime
from prefect.client.schemas.objects import State

from flows.ending import end_state, held_state
from satdaemon.db import Database, daemon, jobs, messages, planning, runs
from satdaemon.domain import Job
from satdaemon.machines.cluster import dask_resources
from satdaemon.processors.registry import versions
from tasks.cluster import ClusterTaskRunner, current_cluster
from tasks.grants import Grants
from tasks.stages import TASKS

REPLAN_S = 10.0
"""A frame is planned anew at least so often, for what operators and other frames change."""
SOON_S = 60.0
"""A job that may start within so many seconds is worth waiting for."""
_BATCH_S = 0.05
_RUNNER: Any = ClusterTaskRunner()
"""Of no type here: prefect-dask's runner, its base, is not generic in its futures as Prefect's is."""


@flow(name="process-frame", flow_run_name="{frame_id}", task_runner=_RUNNER, validate_parameters=False)
def process_frame(frame_id: str, config: str | None = None) -> State[Any]:
    """Run everything that is owed for one frame.

    Ends Completed where all is done; Completed under the name Waiting where the rest waits for something that no
    machine can hasten; Failed where jobs failed for good. A retry of the flow run tries exactly those again.
    """
    database = Database(config)
    holder = f"flow run {runtime.flow_run.id}"
    if runtime.flow_run.run_count > 1:
        jobs.retry(database, frame_id=frame_id, who=holder)
    with claimed(database, frame_id, holder) as mine:
        if not mine:
            return held_state(database, frame_id)
        with Grants(database, frame_id, holder) as grants:
            current_cluster().connect(database.settings)
            did_something = run_all(database, frame_id, grants)
    state = end_state(database, frame_id)
    if did_something and state.name == "Completed":
        messages.frame_finished(database, frame_id, state.message or "")
    return state


@contextmanager
def claimed(database: Database, frame_id: str, holder: str) -> Iterator[bool]:
    """Hold the frame while its chain runs; yields False where another flow run holds it."""
    if not runs.claim_frame(database, frame_id, holder):
        yield False
        return
    try:
        yield True
    finally:
        runs.release_frame(database, frame_id, holder)


def run_all(database: Database, frame_id: str, grants: Grants) -> bool:
    """Plan, start what can start, wait until a job ends, and again, until nothing can move. True where a job was started."""
    did_something = False
    flying: set[int] = set()
    ended: queue.Queue[int] = queue.Queue()
    while True:
        planning.plan(database, [frame_id], processors=versions())
        soonest_s = start_jobs(database, frame_id, flying, ended) if not grants.is_withdrawn else None
        did_something = did_something or bool(flying)
        if not flying:
            if soonest_s is None or soonest_s > SOON_S or grants.is_withdrawn:
                return did_something
            time.sleep(min(soonest_s + _BATCH_S, REPLAN_S))
        for job_id in wait_for_ends(ended, REPLAN_S) if flying else ():
            flying.discard(job_id)
        if flying and grants.waiting == len(flying) and not daemon.read(database).grants:
            get_run_logger().info("the daemon is paused: %s jobs stay pending", len(flying))
            grants.withdraw()


def start_jobs(database: Database, frame_id: str, flying: set[int], ended: queue.Queue[int]) -> float | None:
    """Submit a task for each job that may start, as many as the window allows.

    Returns the seconds until the next job may start, None where none is left that time alone would bring.
    """
    limit = database.settings.parameters.frame_concurrency
    found = [job for job in jobs.pending_of_frame(database, frame_id, 2 * limit) if job.id not in flying]
    states = jobs.states(database, [job.id for job in found])
    soonest_s: float | None = None
    for job in found:
        wait_s = states[job.id].wait_s
        if wait_s > 0.0:
            soonest_s = wait_s if soonest_s is None else min(soonest_s, wait_s)
        elif len(flying) < limit or job.machine is not None:  # a machine that was granted is not left idle
            flying.add(job.id)
            submit(job).add_done_callback(lambda _, job_id=job.id: ended.put(job_id))
    return soonest_s


def submit(job: Job) -> Any:
    """One job as one task run, with what it needs and how urgent it is."""
    with dask.annotate(resources=dask_resources(job.resources), priority=job.priority):
        return TASKS[job.stage].submit(job)


def wait_for_ends(ended: queue.Queue[int], timeout_s: float) -> list[int]:
    """The jobs whose tasks have ended: at least one, unless `timeout_s` passes; those that end together count as one."""
    try:
        found = [ended.get(timeout=timeout_s)]
    except queue.Empty:
        return []
    time.sleep(_BATCH_S)
    while not ended.empty():
        found.append(ended.get())
    return found
