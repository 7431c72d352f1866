"""The planner: puts right what was lost, works out what is owed, and keeps the queue in step with it.

A plan looks at the frames that changed since the last one, as `frame_changes` says; its cost grows with them and
not with what exists.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from satdaemon.db import changes, daemon, network, staleness
from satdaemon.db.changes import Changes
from satdaemon.db.clock import now_utc
from satdaemon.db.guards import drop_orphaned_keys
from satdaemon.db.jobs.rescue import rescue
from satdaemon.db.models import DaemonTools, Frame
from satdaemon.db.queueing import Queued, Queueing
from satdaemon.db.session import sqlite_path
from satdaemon.db.store import Store

BATCH = 500
"""Frames that one transaction plans."""
EVERYTHING_S = 3600.0
"""How often a planner looks at every frame, changed or not."""
_PLANNER_LOCK = 7_310_002


@dataclass(frozen=True, slots=True)
class Plan:
    """What a plan found and did. `ready`, `blocked` and `running` count in the frames that it looked at."""

    added: int
    removed: int
    ready: int
    """Pieces of work whose needs are met and that are not running: all of them are in the queue."""
    blocked: int
    running: int
    rescued: int
    wall_s: float
    frames: int
    """How many frames were looked at."""
    everything: bool
    """Every frame was looked at, changed or not."""


def plan(
    db: Store,
    frame_ids: Sequence[str] | None = None,
    *,
    everything: bool = False,
    processors: staleness.Processors | None = None,
) -> Plan:
    """Bring `pending_jobs` in step with what is owed: of the frames that changed, of `frame_ids`, or of every frame.

    Lost leases are put back, rows that claim to run without a job are reset, pairs of dates that fell out or
    came back are adjusted, what was made from inputs that have changed becomes stale. Idempotent, and safe to call from
    several processes at once: the constraints of `job_keys` keep work single, and a grant looks at the row again.

    `processors` are the programs that would run each stage now, for what they make stale.
    """
    began = time.perf_counter()
    lost = rescue(db)
    wanted = None if frame_ids is None else sorted(set(frame_ids))
    everything = everything or (wanted is None and daemon.renew_defaults(db))
    counter, seen, frames = _look(db, None if everything else wanted, everything)
    done, shelf = Queued(), staleness.shelf_of(db)
    for batch in _batches(frames):
        network.follow_dates(db, batch)
        staleness.mark(db, batch, processors, shelf=shelf)
        done += _plan_batch(db, seen, batch)
    wall_s = time.perf_counter() - began
    if everything:
        db.write(drop_orphaned_keys)
    if wanted is None:
        digest = staleness.outside_digest(db, processors) if everything else None
        db.write(lambda session: _note(session, counter, wall_s, digest))
    return Plan(done.added, done.removed, done.ready, done.blocked, done.running, len(lost), wall_s, len(frames), everything)


def is_due(db: Store) -> bool:
    """True where something changed since the last plan, or an operator asked for one."""
    with db.read_scope() as session:
        return bool(session.scalar(select(DaemonTools.replan))) or changes.any_left(session)


def everything_is_due(db: Store, processors: staleness.Processors | None = None) -> bool:
    """True where no plan has looked at every frame for `EVERYTHING_S`, or what counts beside the database has changed."""
    digest = staleness.outside_digest(db, processors)
    with db.read_scope() as session:
        late = DaemonTools.everything_utc.is_(None) | (DaemonTools.everything_utc < now_utc(-EVERYTHING_S))
        other = DaemonTools.outside_digest.is_distinct_from(digest)
        return session.scalar(select(DaemonTools.id).where(late | other)) is not None


@contextmanager
def planner_lock(db: Store) -> Iterator[bool]:
    """Yields True to one holder at a time. Given up by a dead process on its own."""
    if db.on_postgresql:
        with db.engine.connect() as connection:
            got = bool(connection.scalar(text(f"SELECT pg_try_advisory_lock({_PLANNER_LOCK})")))
            connection.commit()
            try:
                yield got
            finally:
                if got:
                    connection.scalar(text(f"SELECT pg_advisory_unlock({_PLANNER_LOCK})"))
                    connection.commit()
        return
    path = sqlite_path(db.engine)
    with path.with_name(path.name + ".planner").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _look(db: Store, wanted: list[str] | None, everything: bool) -> tuple[int, Changes, list[str]]:
    """The change counter, what changed, and the frames to look at."""
    with db.read_scope() as session:
        counter = session.scalar(select(DaemonTools.change_counter)) or 0
        seen = changes.look(session, wanted)
        if everything:
            wanted = list(session.scalars(select(Frame.id).order_by(Frame.priority.desc(), Frame.created_utc, Frame.id)))
        return counter, seen, seen.frames if wanted is None else wanted


def _batches(frames: Sequence[str]) -> list[list[str]]:
    return [list(frames[start : start + BATCH]) for start in range(0, len(frames), BATCH)]


def _plan_batch(db: Store, seen: Changes, frames: list[str]) -> Queued:
    """What was seen is taken away by the transaction that plans it: nothing is lost where that fails."""

    def work(session: Session) -> Queued:
        changes.take(session, seen.ids(frames))
        return Queueing(db, session, frames).run()

    return db.write(work)


def _note(session: Session, counter: int, wall_s: float, digest: str | None) -> None:
    values = {"last_plan_utc": now_utc(), "last_plan_s": wall_s, "planned_counter": counter, "replan": False}
    everything = {} if digest is None else {"everything_utc": now_utc(), "outside_digest": digest}
    session.execute(update(DaemonTools).values(**values, **everything))
