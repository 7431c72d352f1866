"""Stage timeseries: displacement series of the frame from all its unwrapped pairs."""

from __future__ import annotations

from typing import Any

from prefect import task

from satdaemon.domain import Job
from tasks.job import RETRIES, run, run_name


@task(name="timeseries", task_run_name=run_name, tags=["timeseries"], **RETRIES)
def timeseries(job: Job) -> Any:
    """Displacement series of the frame from all its unwrapped pairs.

    Needs mostly CPU and memory; the job\'s resources say how much.
    """
    return run(job)
