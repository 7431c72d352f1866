"""Runs one job on a machine: a child process under a guard, beats, limits, publication, judgement.

The parts below import little, so that a guard starts in a few hundredths of a second; `run_job` loads the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def run_job(
    config_path: str,
    job_id: int,
    attempt: int,
    context: Mapping[str, Any],
    is_abandoned: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Run a granted job to its end and record that end in the database. See `satdaemon.runner.job.run_job`."""
    from satdaemon.runner.job import run_job as run

    return run(config_path, job_id, attempt, context, is_abandoned)


def warm_up(cores: int = 1) -> None:
    """Start this process's fork servers now, so that its first job starts as fast as the others.

    The group that jobs are limited in is divided before, while few processes have to move out of it.
    """
    from satdaemon.runner.cgroup import delegation
    from satdaemon.runner.launch import fork_server

    print(f"limits of jobs: {delegation().in_words()}", flush=True)
    fork_server(cores, light=True).start()
    fork_server(cores).start()


__all__ = ["run_job", "warm_up"]
