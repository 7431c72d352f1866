"""Stage satsar: one date on the frame's grid: geometry of the master, coregistration and phase of the others."""

from __future__ import annotations

from typing import Any

from prefect import task

from satdaemon.domain import Job
from tasks.job import OPTIONS, run


@task(name="satsar", tags=["satsar"], **OPTIONS)
def satsar(job: Job) -> Any:
    """One date on the frame's grid: geometry of the master, coregistration and phase of the others.

    Needs mostly CPU and memory; the job\'s resources say how much.
    """
    return run(job)
