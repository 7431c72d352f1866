"""Planning some frames: their pairs follow their dates, what is stale is marked, the queue is brought in step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import text
from sqlalchemy.orm import Session

from satdaemon.db import network, partial, prepared, retention, space, staleness
from satdaemon.db.arrays import among, array
from satdaemon.db.changes import Changes
from satdaemon.db.queueing import Queued, Queueing, lost_sql
from satdaemon.db.store import Store
from satdaemon.status import STAGES_OF, RowKind

BATCH = 500
"""Frames that one transaction plans."""
_OPEN = (
    f"(x.proc_status IN (0, 6) OR x.proc_stage < {len(STAGES_OF[RowKind.MASTER])} AND x.proc_status IN (2, 3))"
)  # as the indexes of the table say it: waiting, halfway, held


@dataclass(frozen=True, slots=True)
class Ahead:
    """What there is to do with some frames beside their queue."""

    network: tuple[str, ...]
    """Their pairs do not follow their dates."""
    is_any_lost: bool
    """A row is RUNNING without a job."""
    is_any_removed: bool
    """A product was removed to free space: what is to read it has to wait for it."""
    is_any_master_open: bool
    """A master may have a next stage, or has a job: else nobody need work out what it would need for one."""
    news: dict[str, staleness.News]

    @property
    def is_clear(self) -> bool:
        """Nothing has to be done before the queue."""
        return not self.network and not self.news


class Frames:
    """Plans frames, with the programs and orbits of one moment."""

    def __init__(self, db: Store, processors: staleness.Processors | None) -> None:
        self.db = db
        self._polarisation = db.settings.parameters.polarisation
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
        postgresql = self.db.on_postgresql
        mine, his = among(postgresql, "p.frame_id", "frames"), among(postgresql, "x.frame_id", "frames")
        removed = f"EXISTS (SELECT 1 FROM products p WHERE p.removed_utc IS NOT NULL AND {mine})"
        if self.db.settings.download.is_far:
            removed += f" OR {retention.any_removed(among(postgresql, 'l.frame_id', 'frames'))}"
            other = partial.is_other(postgresql, "p", f"'{self._polarisation}'")
            removed += f" OR EXISTS (SELECT 1 FROM products p WHERE {mine} AND {other})"
        asked = {
            "lost": lost_sql(postgresql),
            "removed": removed,
            "master": f"EXISTS (SELECT 1 FROM master x WHERE {his} AND {_OPEN})"
            f" OR EXISTS (SELECT 1 FROM pending_jobs p WHERE p.kind = '{RowKind.MASTER.value}' AND {mine})",
        }
        sql = f"SELECT 'network' AS what, due.id FROM ({network.due_sql(postgresql)}) due"
        sql += "".join(f" UNION ALL SELECT '{what}', NULL WHERE {holds}" for what, holds in asked.items())
        if postgresql and len(frames) <= prepared.FEW:
            rows = prepared.execute(session, "ahead", sql, frames=("text[]", list(frames))).all()
        else:
            rows = session.execute(text(sql), {"frames": array(postgresql, frames)}).all()
        found = {row.what for row in rows}
        out_of_step = tuple(sorted(row.id for row in rows if row.what == "network"))
        news = {} if out_of_step else self._looking.news(session, frames)
        return Ahead(out_of_step, "lost" in found, "removed" in found, "master" in found, news)

    def plan_batch(
        self, frames: Sequence[str], seen: Changes, ahead: Ahead, also: Callable[[Session], object] | None = None
    ) -> Queued:
        """Plan some frames, with what was seen of them; `also` is done in the transaction that plans them."""
        network.follow_dates(self.db, ahead.network)
        is_moved = bool(ahead.network)
        if is_moved:
            with self.db.read_scope() as session:
                ahead = replace(ahead, network=(), news=self._looking.news(session, frames))
        self._looking.mark(ahead.news)
        if is_moved or ahead.news:  # masters may have been moved as well
            ahead = replace(ahead, is_any_master_open=True)

        def work(session: Session) -> Queued:
            queued = self.queue(session, frames, seen, ahead)
            if also is not None:
                also(session)
            return queued

        return self.db.write(work)

    def queue(self, session: Session, frames: Sequence[str], seen: Changes, ahead: Ahead) -> Queued:
        """Bring the queue of some frames in step, once nothing has to be done before it."""
        # What was seen goes with the transaction that plans it: nothing is lost where that fails.
        if ahead.is_any_removed:
            space.bring_back(session, frames)
            retention.bring_back(session, frames)
            partial.bring_back(session, frames, self._polarisation)
        return Queueing(
            self.db, session, frames, seen.ids(frames), is_any_lost=ahead.is_any_lost,
            with_masters=ahead.is_any_master_open or ahead.is_any_lost or ahead.is_any_removed,
        ).run()  # fmt: skip
