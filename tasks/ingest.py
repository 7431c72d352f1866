"""Stage ingest: the frame's points, as one new version of the points tables."""

from __future__ import annotations

from typing import Any

from prefect import task

from satdaemon.domain import Job
from tasks.job import OPTIONS, run


@task(name="ingest", tags=["ingest"], **OPTIONS)
def ingest(job: Job) -> Any:
    """The frame's points, as one new version of the points tables.

    Needs mostly database; the job\'s resources say how much.
    """
    return run(job)
