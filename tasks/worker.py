"""Preload of every Dask worker: the fork server starts with the worker, jobs end before it."""

from __future__ import annotations

import math

from distributed import Worker

from satdaemon.runner import warm_up
from tasks.body import end_jobs


def dask_setup(worker: Worker) -> None:
    """Load the heavy libraries while the worker is still connecting."""
    cores = math.ceil((worker.state.total_resources or {}).get("CPU", 1))
    warm_up(cores)


def dask_teardown(worker: Worker) -> None:
    """Give the jobs back: they are planned again elsewhere."""
    end_jobs()
