"""What the jobs of the mix do."""

from __future__ import annotations

import time
from functools import lru_cache

from distributed import get_worker

from satdaemon.db import Database, jobs
from satdaemon.domain import StageResult, Usage

Told = tuple[int, float, float, str]
"""Number of the job, when it began and ended, where."""


def sleep(number: int, lasts_s: float) -> Told:
    """Occupy a machine."""
    began = time.time()
    time.sleep(lasts_s)
    return number, began, time.time(), str(get_worker().name)


def sleep_and_finish(number: int, lasts_s: float, config: str, job_id: int, attempt: int) -> Told:
    """The same, and record the end in the database, as the runner does."""
    told = sleep(number, lasts_s)
    jobs.finish(_database(config), job_id, attempt, StageResult(()), Usage(), None)
    return told


@lru_cache(maxsize=1)
def _database(config: str) -> Database:
    return Database(config)
