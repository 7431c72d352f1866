"""One job as a Prefect task run: wait for a machine, run the body there, show how it went.

The database owns retries: it says when a job runs again, and the task run waits for that as a retry of its own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from prefect import get_run_logger, runtime
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import PrefectException
from prefect.logging import get_logger
from prefect.states import Cancelled, Completed
from prefect.tasks import Task

from satdaemon.db import jobs
from satdaemon.domain import Failure, Job, Usage
from satdaemon.errors import Disposition, SatDaemonError, WorkerLost
from tasks.body import run_on_machine
from tasks.cluster import ClusterTaskRunner, current_cluster
from tasks.grants import Grants, current_grants
from tasks.stop import Stopped, Withdrawn

_LOOK_AGAIN_S = 5.0


class JobAgain(SatDaemonError):
    """The job will run again when the database grants it again."""


class JobFailed(SatDaemonError):
    """The job failed for good; the message says why and where its log is."""


def run_name(parameters: dict[str, Any]) -> str:
    """Readable name of a task run: `unwrap 132A_DEMO 20230101-20230113`."""
    title: str = parameters["job"].title
    return title


def is_again(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """True where the task run should wait for the job's next grant."""
    return isinstance(state.data, JobAgain)


OPTIONS: Mapping[str, Any] = {
    "task_run_name": run_name,
    "retries": 10_000,
    "retry_condition_fn": is_again,
    "retry_delay_seconds": 0.01,
}
"""For every job's task: named after its job, and tried as often as the database says, never by Prefect's own count."""


def run(job: Job) -> Any:
    """Run a job to its end and return its summary, or a state that says why it did not run to one.

    Raises JobAgain where the database wants another attempt, JobFailed where it gave up.
    """
    grants, cluster = current_grants(), current_cluster()
    try:
        state = grants.wait(job.id, cluster.stop)
        if state.status != "granted":
            return _ended_meanwhile(grants, job, state)
        summary = _on_cluster(job, state, grants, cluster)
    except Stopped:
        return Cancelled(message="the flow run was ended; the job is pending again")
    except Withdrawn:
        return Cancelled(name="Withdrawn", message="the job stays pending; a later flow run takes it")
    finally:
        grants.nudge()
    return _shown(job, summary)


def _ended_meanwhile(grants: Grants, job: Job, state: jobs.JobState) -> Any:
    """The end of a task whose job needs no machine any more: it may have ended while its report was lost on the way."""
    if state.status == "failed":
        raise JobFailed(f"{job.title}: {state.reason}")
    finish = jobs.finish_of(grants.database, job.id) if state.status == "gone" else None
    if finish is not None:
        took = "" if finish.wall_s is None else f" in {finish.wall_s:.1f} s"
        by = f"attempt {finish.attempt} on {finish.machine}, whose report was lost"
        return Completed(message=f"{job.title}: done{took} by {by}")
    return Cancelled(name="TakenBack", message=f"{job.title}: taken off the queue: {state.reason or 'no reason given'}")


def _on_cluster(job: Job, state: jobs.JobState, grants: Grants, cluster: ClusterTaskRunner) -> dict[str, Any]:
    database, machine, attempt = grants.database, state.machine or "", state.attempt
    logger = get_run_logger()
    logger.info("attempt %s on %s", attempt, machine)
    bar = _ProgressBar(job, grants)
    is_taken = grants.watch(job.id, attempt)

    def look() -> None:
        bar.look()
        if is_taken():
            raise WorkerLost(f"attempt {attempt} on {machine} lost its lease, and its worker does not say so")

    ids = (_text(runtime.flow_run.id), _text(runtime.task_run.id))
    try:
        summary: dict[str, Any] = cluster.call(
            machine, job.title, look, run_on_machine, str(database.settings.source), job, attempt, *ids
        )
    except (WorkerLost, Stopped) as error:
        outcome = _give_back(grants, job, attempt, error)
        if isinstance(error, Stopped):
            raise
        summary = {"outcome": outcome, "message": str(error)}
    bar.end(summary["outcome"])
    return summary


def _give_back(grants: Grants, job: Job, attempt: int, error: Exception) -> str:
    """Return a grant whose body cannot be waited for; what became of the job.

    A body that had begun on a lost machine costs a try. One that is being stopped gives itself back. One that never
    began costs nothing.
    """
    state = jobs.states(grants.database, [job.id])[job.id]
    if state.attempt != attempt or (isinstance(error, Stopped) and state.status != "granted"):
        return "discarded"
    failure = Failure.from_exception(error)
    if state.status == "granted":
        failure = Failure(failure.error_class, failure.message, "", Disposition.WAIT, _LOOK_AGAIN_S)
    outcome = jobs.fail(grants.database, job.id, attempt, failure, Usage()).kind
    return "retry" if outcome == "waiting" else outcome


def _shown(job: Job, summary: Mapping[str, Any]) -> Any:
    logger = get_run_logger()
    outcome, message = summary["outcome"], summary["message"]
    if outcome == "done":
        logger.info(
            "done in %.1f s (%.1f CPU-s, %.2f GB at most)%s; output: %s",
            summary["wall_s"],
            summary["cpu_s"],
            summary["peak_memory_gb"],
            "".join(f", {name} {value}" for name, value in summary["metrics"].items()),
            summary["log"],
        )
        for warning in summary["warnings"]:
            logger.warning(warning)
        return dict(summary)
    if outcome in ("retry", "discarded"):
        raise JobAgain(f"{job.title}: {message}")
    if outcome in ("waiting", "excluded"):
        return Completed(name=outcome.capitalize(), message=f"{job.title}: {message}")
    raise JobFailed(f"{job.title}: {message} (output: {summary.get('log', 'none')})")


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


@dataclass
class _ProgressBar:
    """A progress artifact of the task run, for jobs that last long enough to be looked at."""

    job: Job
    grants: Grants
    after_s: float = 3.0
    every_s: float = 5.0
    _id: UUID | None = None
    _shown: float = -1.0
    _next_s: float = field(default_factory=lambda: time.monotonic() + 3.0)

    def look(self) -> None:
        """Show the newest progress, if it is new and not too soon."""
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + self.every_s
        fraction, _ = self.grants.progress.get(self.job.id, (0.0, ""))
        if fraction != self._shown:
            self._show(100.0 * fraction)
            self._shown = fraction

    def end(self, outcome: str) -> None:
        """Show the end where anything was shown before."""
        if self._id is not None and outcome == "done":
            self._show(100.0)

    def _show(self, percent: float) -> None:
        try:
            self._put(percent)
        except (httpx.HTTPError, PrefectException) as error:
            # The database has the progress; a server that is away for a while must not end the job.
            get_logger("progress").warning("%s: its progress is not shown: %r", self.job.title, error)

    def _put(self, percent: float) -> None:
        if self._id is None:
            found = create_progress_artifact(progress=percent, description=self.job.title)
            assert isinstance(found, UUID)
            self._id = found
        else:
            update_progress_artifact(artifact_id=self._id, progress=percent)
