"""Stage timeseries: displacement series of the frame from all its unwrapped pairs."""

from __future__ import annotations

from typing import Any

from prefect import task

from satdaemon.domain import Job
from tasks.job import OPTIONS, run


@task(name="timeseries", tags=["timeseries"], **OPTIONS)
def timeseries(job: Job) -> Any:
    """Displacement series of the frame from all its unwrapped pairs.

    Needs mostly CPU and memory; the job\'s resources say how much.
    """
    return run(job)
