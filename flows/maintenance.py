"""Maintenance: puts right what was lost and removes what is old. Scheduled once a day."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from satdaemon.db import Database, RunningJob, jobs

ATTEMPT_AGE_S = 86400.0
"""Directories of attempts that have lain still so long belong to no job."""


@flow(name="maintenance", flow_run_name="maintenance", validate_parameters=False)
def maintenance(config: str | None = None) -> State[Any]:
    """Put lost jobs back, remove the directories of attempts that nobody runs, and logs that are too old."""
    database = Database(config)
    parameters = database.settings.parameters
    rescued = jobs.rescue(database)
    live = {f"{job.job_id}-{job.attempt}" for job in database.query(RunningJob)}
    attempts = remove_attempts(parameters.processing_path, live, ATTEMPT_AGE_S)
    logs = remove_logs(parameters.log_path, parameters.log_days * 86400.0)
    get_run_logger().info("removed: %s attempt directories, %s log files", attempts, logs)
    return Completed(message=f"{len(rescued)} jobs rescued, {attempts} attempt directories and {logs} log files removed")


def remove_attempts(processing_path: Path, live: set[str], age_s: float) -> int:
    """Remove directories of attempts that are not in `live` and older than `age_s`; how many there were."""
    removed = 0
    for directory in processing_path.glob("*/.attempts/*"):
        if directory.name not in live and _is_older(directory, age_s):
            shutil.rmtree(directory)
            removed += 1
    return removed


def remove_logs(log_path: Path, age_s: float) -> int:
    """Remove files of jobs' output older than `age_s`; how many there were."""
    removed = 0
    for pattern in ("*/*/*/*.log", "*/*/*/*.jsonl"):
        for file in log_path.glob(pattern):
            if _is_older(file, age_s):
                file.unlink()
                removed += 1
    return removed


def _is_older(path: Path, age_s: float) -> bool:
    try:
        return time.time() - path.stat().st_mtime > age_s
    except FileNotFoundError:
        return False  # removed by somebody else meanwhile
