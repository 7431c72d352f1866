"""Stage unwrap: phase of one pair, unwrapped over its chosen points."""

from __future__ import annotations

from typing import Any

from prefect import task

from satdaemon.domain import Job
from tasks.job import OPTIONS, run


@task(name="unwrap", tags=["unwrap"], **OPTIONS)
def unwrap(job: Job) -> Any:
    """Phase of one pair, unwrapped over its chosen points.

    Needs mostly memory; the job\'s resources say how much.
    """
    return run(job)
