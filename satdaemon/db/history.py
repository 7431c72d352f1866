"""What happened, as long as somebody may ask: events go by age, those that tell of what is there stay."""

from __future__ import annotations

import time

from sqlalchemy import delete, exists, func, select
from sqlalchemy.orm import Session

from satdaemon.db.clock import now_utc
from satdaemon.db.costs import FINISHED
from satdaemon.db.models import FailedJob, JobEvent, JobKey, Product
from satdaemon.db.store import Store

CHUNK = 10_000
"""Events that one transaction looks at: nobody waits long for it."""
BREATH_S = 0.02


def prune(db: Store) -> int:
    """Remove events older than `history_days`; how many.

    Kept whatever their age: all events of jobs that are queued, running or failed for good, and the end of each job whose
    product stands, from which costs are told.
    """
    age_s = db.settings.parameters.history_days * 86400.0
    with db.read_scope() as session:
        first = session.scalar(select(func.min(JobEvent.id)))
        if first is None:
            return 0
        old = select(JobEvent.id).where(JobEvent.at_utc < now_utc(-age_s)).order_by(JobEvent.id.desc()).limit(1)
        last = session.scalar(old)
    removed, place = 0, first
    while last is not None and place <= last:
        removed += db.write(lambda session, start=place: _remove(session, start, last, age_s))  # type: ignore[misc]
        place += CHUNK
        time.sleep(BREATH_S)
    return removed


def _remove(session: Session, start: int, last: int, age_s: float) -> int:
    some = (JobEvent.id >= start, JobEvent.id < start + CHUNK, JobEvent.id <= last, JobEvent.at_utc < now_utc(-age_s))
    live = exists().where(JobKey.job_id == JobEvent.job_id) | exists().where(FailedJob.job_id == JobEvent.job_id)
    # Of the frame of the event, so that the index is used.
    made = (Product.frame_id == JobEvent.frame_id, Product.stage == JobEvent.stage, Product.job_id == JobEvent.job_id)
    tells = (JobEvent.event == FINISHED) & exists().where(*made)
    gone = session.execute(delete(JobEvent).where(*some, ~live, ~tells).execution_options(synchronize_session=False))
    return int(gone.rowcount)  # type: ignore[attr-defined]
