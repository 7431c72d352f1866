"""Stage download: the product zips of one date, verified, and its orbit."""

from __future__ import annotations

from typing import Any

from prefect import task

from satdaemon.domain import Job
from tasks.job import OPTIONS, run


@task(name="download", tags=["download"], **OPTIONS)
def download(job: Job) -> Any:
    """The product zips of one date, verified, and its orbit.

    Needs mostly disk and network; the job\'s resources say how much.
    """
    return run(job)
