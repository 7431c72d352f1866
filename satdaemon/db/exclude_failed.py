"""Leaving out what failed: the dates and pairs of failed jobs, over all their frames in one go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import select

from satdaemon.db.models import FailedJob
from satdaemon.db.store import Store
from satdaemon.db.what_if import FrameChange, FramePlan, Row, change_frame
from satdaemon.db.within import at_once
from satdaemon.errors import NeedsConfirmation, RequestError
from satdaemon.status import RowKind

MOST_FRAMES = 100
"""What this does to each frame is worked out before it is done, in one transaction: no more at once."""


def exclude_failed(db: Store, job_ids: Collection[int], *, reason: str, who: str, confirm: bool) -> list[FramePlan]:
    """The plan of each frame, done. Raises as SatDaemonController.exclude_failed."""
    by_frame = _rows_of(db, job_ids)
    if not by_frame:
        raise RequestError("exclude: expected jobs that have failed, got none: look again")
    if len(by_frame) > MOST_FRAMES:
        raise RequestError(f"exclude: expected failures of at most {MOST_FRAMES} frames, got {len(by_frame)}: go by frame")

    def work(store: Store) -> list[FramePlan]:
        plans, questions = [], []
        for frame_id, rows in sorted(by_frame.items()):
            change = FrameChange(exclude=tuple(sorted(rows, key=str)), reason=reason)
            try:
                plans.append(change_frame(store, frame_id, change, who=who, confirm=confirm))
            except NeedsConfirmation as error:
                questions.append(str(error))
        if questions:
            raise NeedsConfirmation("\n".join(questions))
        return plans

    return at_once(db, work)


def _rows_of(db: Store, job_ids: Collection[int]) -> dict[str, set[Row]]:
    found: dict[str, set[Row]] = defaultdict(set)
    with db.read_scope() as session:
        for job in session.scalars(select(FailedJob).where(FailedJob.job_id.in_(job_ids))):
            if job.date1 is None or job.kind == RowKind.MASTER:
                raise RequestError(f"{job.frame_id}: expected a failed date or pair, got its master: choose another master")
            found[job.frame_id].add((job.date1, job.date2))
    return found
