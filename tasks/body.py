"""What runs on a machine's Dask worker: the plain function behind every job, and how it learns that nobody waits."""

from __future__ import annotations

import threading
from typing import Any

from distributed import get_worker
from distributed.worker import thread_state

from satdaemon.domain import Job
from satdaemon.runner import run_job

_worker_ends = threading.Event()


def end_jobs() -> None:
    """Tell all jobs of this worker to stop: it is about to end."""
    _worker_ends.set()


def run_on_machine(config_path: str, job: Job, attempt: int, flow_run_id: str | None, task_run_id: str | None) -> dict[str, Any]:
    """Run a granted job here, to its recorded end; the summary of `satdaemon.runner.run_job`."""
    state = get_worker().state
    key = thread_state.key

    def is_abandoned() -> bool:
        # A cancelled future, a closed client and a dead scheduler all take the key from this worker.
        task = state.tasks.get(key)
        return _worker_ends.is_set() or task is None or task.state != "executing"

    context = {"job": job, "flow_run_id": flow_run_id, "task_run_id": task_run_id}
    return run_job(config_path, job.id, attempt, context, is_abandoned)
