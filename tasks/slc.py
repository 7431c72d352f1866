"""Stage slc: the frame's bursts of one date, cut out of its zips."""

from __future__ import annotations

from typing import Any

from prefect import task

from satdaemon.domain import Job
from tasks.job import OPTIONS, run


@task(name="slc", tags=["slc"], **OPTIONS)
def slc(job: Job) -> Any:
    """The frame's bursts of one date, cut out of its zips.

    Needs mostly disk; the job\'s resources say how much.
    """
    return run(job)
