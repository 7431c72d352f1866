"""How a frame's flow run ends, in words for the Prefect UI."""

from __future__ import annotations

from collections import Counter
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from satdaemon.db import Database, FailedJob, PendingJob, RunningJob, daemon, runs, summary
from satdaemon.db.frame_switches import frame_switches
from satdaemon.domain import first_lines, job_title
from satdaemon.status import RowKind, Stage

_LISTED = 10


def held_state(database: Database, frame_id: str) -> State[Any]:
    """The end of a flow run whose frame another one is working on."""
    holder = runs.holder(database, frame_id) or "another flow run, which has just ended"
    return Completed(name="AlreadyRunning", message=f"{frame_id} is held by {holder}: nothing to do here")


def end_state(database: Database, frame_id: str) -> State[Any]:
    """Off where the frame is, Failed with the jobs that failed, else Waiting with what is waited for, else Completed."""
    (switch,) = frame_switches(database, [frame_id]) or (None,)
    if switch is not None and (switch.is_retired or not switch.is_on):
        hint = f"satdaemon frame {'restore' if switch.is_retired else 'on'} {frame_id}"
        return Completed(name="Off", message=f"{frame_id} is {'retired' if switch.is_retired else 'switched off'}: {hint}")
    failed = database.query(FailedJob, frame_id=frame_id)
    if failed:
        lines = [f"{_title(job)}: {job.error_class}: {job.message} (output: {job.log_path})" for job in failed]
        return Failed(message="\n".join([f"{len(failed)} jobs of {frame_id} failed for good:", *first_lines(lines, _LISTED)]))
    if not daemon.read(database).grants:
        return Completed(name="Paused", message="the daemon is paused: what is owed stays pending")
    open_jobs: list[PendingJob | RunningJob] = [
        *database.query(PendingJob, frame_id=frame_id),
        *database.query(RunningJob, frame_id=frame_id),
    ]
    reasons = Counter(f"{job.stage}: {getattr(job, 'reason', None) or 'runs elsewhere'}" for job in open_jobs)
    if reasons:
        text = "\n".join(f"{count} x {reason}" for reason, count in reasons.most_common(_LISTED))
        return Completed(name="Waiting", message=f"{len(open_jobs)} jobs of {frame_id} wait:\n{text}")
    return Completed(message=_counts(database, frame_id))


def _counts(database: Database, frame_id: str) -> str:
    done: Counter[str] = Counter()
    excluded = 0
    for row in summary.summary(database, frame_id):
        done[row.stage] += row.done + row.warnings
        excluded += row.excluded
    text = ", ".join(f"{stage} {count}" for stage, count in done.items() if count)
    return f"{frame_id}: done: {text or 'nothing'}" + (f"; {excluded} rows excluded" if excluded else "")


def _title(job: FailedJob) -> str:
    return job_title(RowKind(job.kind), Stage(job.stage), job.frame_id, job.date1, job.date2)
