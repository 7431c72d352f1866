"""Failed jobs by their cause, so that five hundred equal failures are one thing to look at."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import case, func, select

from satdaemon.db.messages.causes import normalised
from satdaemon.db.models import FailedJob
from satdaemon.db.store import Store
from satdaemon.domain import job_title
from satdaemon.status import RowKind, Stage

MOST = 20_000
"""No more failed jobs are looked at."""
_COLUMNS = (
    FailedJob.job_id, FailedJob.frame_id, FailedJob.kind, FailedJob.stage, FailedJob.date1, FailedJob.date2, FailedJob.machine,
    FailedJob.message, FailedJob.error_class, FailedJob.finished_utc,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failed jobs of one stage with one cause."""

    key: str
    """Short digest of stage and cause: the same tomorrow."""
    stage: Stage
    error_class: str
    cause: str
    """The message without what differs from one to the next."""
    count: int
    newest_utc: datetime
    oldest_utc: datetime
    machines: tuple[tuple[str, int], ...]
    """Those where it happened, most often first."""
    frames: tuple[tuple[str, int], ...]
    job_ids: tuple[int, ...]
    """The newest first."""
    example: str
    """Title of the newest job."""
    message: str
    traceback: str | None
    log: str | None


def failure_groups(db: Store, *, frame_id: str | None = None) -> list[FailureGroup]:
    """The group with the newest failure first."""
    # Tracebacks are long: of a group only the newest is read.
    only_traceback = case((func.coalesce(FailedJob.message, "") == "", FailedJob.traceback), else_=None)
    wanted = select(*_COLUMNS, only_traceback.label("traceback")).limit(MOST)
    wanted = wanted.order_by(FailedJob.finished_utc.desc(), FailedJob.job_id.desc())
    if frame_id is not None:
        wanted = wanted.where(FailedJob.frame_id == frame_id)
    gathered: dict[tuple[str, str, str], list[Any]] = {}
    with db.read_scope() as session:
        for job in session.execute(wanted):
            cause = normalised(job.message or _last_line(job.traceback))
            gathered.setdefault((job.stage, job.error_class, cause), []).append(job)
        newest = [jobs[0].job_id for jobs in gathered.values()]
        texts = select(FailedJob.job_id, FailedJob.traceback, FailedJob.log_path).where(FailedJob.job_id.in_(newest))
        told = {number: (traceback, log) for number, traceback, log in session.execute(texts)}
    return [_group(*key, jobs, *told.get(jobs[0].job_id, (None, None))) for key, jobs in gathered.items()]


def _group(stage: str, error_class: str, cause: str, jobs: list[Any], traceback: str | None, log: str | None) -> FailureGroup:
    newest = jobs[0]
    return FailureGroup(
        sha256(f"{stage}\n{error_class}\n{cause}".encode()).hexdigest()[:12],
        Stage(stage),
        error_class,
        cause,
        len(jobs),
        newest.finished_utc,
        jobs[-1].finished_utc,
        tuple(Counter(job.machine for job in jobs).most_common()),
        tuple(Counter(job.frame_id for job in jobs).most_common()),
        tuple(job.job_id for job in jobs),
        job_title(RowKind(newest.kind), Stage(newest.stage), newest.frame_id, newest.date1, newest.date2),
        newest.message or "",
        traceback,
        log,
    )


def _last_line(traceback: str | None) -> str:
    return (traceback or "").strip().rpartition("\n")[2]
