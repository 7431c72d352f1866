"""Planning some frames: their pairs follow their dates, what is stale is marked, the queue is brought in step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from satdaemon.db import network, prepared, space, staleness
from satdaemon.db.arrays import among, array
from satdaemon.db.changes import Changes
from satdaemon.db.queueing import Queued, Queueing, lost_sql
from satdaemon.db.store import Store

BATCH = 500
"""Frames that one transaction plans."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """What there is to do with some frames beside their queue."""

    network: tuple[str, ...]
    """Their pairs do not follow their dates."""
    is_any_lost: bool
    """A row is RUNNING without a job."""
    is_any_removed: bool
    """A product was removed to free space: what is to read it has to wait for it."""
    news: dict[str, staleness.News]


class Frames:
    """Plans frames, with the programs and orbits of one moment."""

    def __init__(self, db: Store, processors: staleness.Processors | None) -> None:
        self.db = db
        self._looking = staleness.Looking(db, processors)

    def plan(self, frames: Sequence[str], seen: Changes, size: int = BATCH) -> Queued:
        """Plan frames, so many in a transaction, in the order given; the changes seen of them are taken away with it."""
        done = Queued()
        for start in range(0, len(frames), size):
            batch = frames[start : start + size]
            with self.db.read_scope() as session:
                ahead = self.look(session, batch)
            done += self.plan_batch(batch, seen, ahead)
        return done

    def look(self, session: Session, frames: Sequence[str]) -> Ahead:
        """What there is to do with these frames, in two statements."""
        due, lost = network.due_sql(self.db.on_postgresql), lost_sql(self.db.on_postgresql)
        mine = among(self.db.on_postgresql, "p.frame_id", "frames")
        removed = f"SELECT 1 FROM products p WHERE p.removed_utc IS NOT NULL AND {mine}"
        sql = f"SELECT due.id FROM ({due}) due UNION ALL SELECT NULL WHERE {lost} UNION ALL SELECT '' WHERE EXISTS ({removed})"
        if self.db.on_postgresql and len(frames) <= prepared.FEW:
            found = prepared.execute(session, "ahead", sql, frames=("text[]", list(frames))).scalars().all()
        else:
            found = session.execute(text(sql), {"frames": array(self.db.on_postgresql, frames)}).scalars().all()
        out_of_step = tuple(sorted(frame_id for frame_id in found if frame_id))
        return Ahead(out_of_step, None in found, "" in found, {} if out_of_step else self._looking.news(session, frames))

    def plan_batch(
        self, frames: Sequence[str], seen: Changes, ahead: Ahead, also: Callable[[Session], object] | None = None
    ) -> Queued:
        """Plan some frames, with what was seen of them; `also` is done in the transaction that plans them."""
        network.follow_dates(self.db, ahead.network)
        if ahead.network:
            with self.db.read_scope() as session:
                ahead = Ahead((), ahead.is_any_lost, ahead.is_any_removed, self._looking.news(session, frames))
        self._looking.mark(ahead.news)

        def work(session: Session) -> Queued:
            # What was seen goes with the transaction that plans it: nothing is lost where that fails.
            if ahead.is_any_removed:
                space.bring_back(session, frames)
            queued = Queueing(self.db, session, frames, seen.ids(frames), is_any_lost=ahead.is_any_lost).run()
            if also is not None:
                also(session)
            return queued

        return self.db.write(work)
