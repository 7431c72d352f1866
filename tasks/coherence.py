"""Stage coherence: the frame's siblings, or coherence and phase of one pair over them."""

from __future__ import annotations

from typing import Any

from prefect import task

from satdaemon.domain import Job
from tasks.job import OPTIONS, run


@task(name="coherence", tags=["coherence"], **OPTIONS)
def coherence(job: Job) -> Any:
    """The frame's siblings, or coherence and phase of one pair over them.

    Needs mostly CPU; the job\'s resources say how much.
    """
    return run(job)
