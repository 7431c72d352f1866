"""How far every frame is, in a few numbers: for maps. Reads every row of the frames, so it is asked for rarely."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Select, case, func, select

from satdaemon.db.models import DateLatency, FailedJob, Frame, Ifg, RsarIfg, stage_id
from satdaemon.db.stage_progress import MADE
from satdaemon.db.store import Store
from satdaemon.status import RowKind, Stage

_MADE = [int(status) for status in MADE]


@dataclass(slots=True)
class Progress:
    """One frame."""

    dates: int = 0
    dates_done: int = 0
    """Coregistered."""
    pairs: int = 0
    pairs_done: int = 0
    """Unwrapped."""
    failed: int = 0
    """Jobs that failed for good."""
    age_days: int | None = None
    """Days from the newest date that is coregistered until now; None without one."""
    latency_s: float | None = None
    """From sensing to points, of the newest date whose latency is kept (once a day, of dates in the points); None without one."""

    @property
    def share(self) -> float:
        """Of all rows those that are done, 0 to 1."""
        return (self.dates_done + self.pairs_done) / max(self.dates + self.pairs, 1)


def frame_progress(db: Store) -> dict[str, Progress]:
    """Of all frames that have dates."""
    found: dict[str, Progress] = {}
    last, today = stage_id(RowKind.IFG, Stage.SATSAR), datetime.now(UTC).date()
    done = (Ifg.proc_stage == last) & Ifg.proc_status.in_(_MADE)
    pair_done = (RsarIfg.proc_stage == stage_id(RowKind.RSAR_IFG, Stage.UNWRAP)) & RsarIfg.proc_status.in_(_MADE)
    with db.read_scope() as session:
        columns = (Ifg.frame_id, func.count(), func.sum(case((done, 1), else_=0)), func.max(case((done, Ifg.date))))
        for frame_id, dates, dates_done, newest in session.execute(select(*columns).group_by(Ifg.frame_id)):
            age = None if newest is None else (today - newest).days
            found[frame_id] = Progress(dates, int(dates_done), age_days=age)
        pairs = (RsarIfg.frame_id, func.count(), func.sum(case((pair_done, 1), else_=0)))
        for frame_id, count, count_done in session.execute(select(*pairs).group_by(RsarIfg.frame_id)):
            one = found.setdefault(frame_id, Progress())
            one.pairs, one.pairs_done = count, int(count_done)
        failed = select(FailedJob.frame_id, func.count()).group_by(FailedJob.frame_id)
        for frame_id, count in session.execute(failed):
            found.setdefault(frame_id, Progress()).failed = count
        for frame_id, seconds in session.execute(latest_latency()):
            found.setdefault(frame_id, Progress()).latency_s = seconds
    return found


def latest_latency() -> Select[str, float]:
    """Of each frame the newest date's latency, seconds: one look at the end of its part of the primary key."""
    newest = select(DateLatency.total_s).where(DateLatency.frame_id == Frame.id).order_by(DateLatency.date.desc()).limit(1)
    one = select(Frame.id, newest.scalar_subquery().label("total_s")).subquery()
    return select(one.c.id, one.c.total_s).where(one.c.total_s.is_not(None))
