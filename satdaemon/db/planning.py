"""The planner: puts right what was lost, works out what is owed, and keeps the queue in step with it.

A plan looks at the frames that changed since the last one, as `frame_changes` says; its cost grows with them and
not with what exists.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from satdaemon.db import changes, daemon, locks, prepared, staleness
from satdaemon.db.changes import Changes
from satdaemon.db.clock import now_sql, now_utc
from satdaemon.db.guards import drop_orphaned_keys
from satdaemon.db.jobs.rescue import is_lost, rescue
from satdaemon.db.models import DaemonTools
from satdaemon.db.planning_frames import Ahead, Frames
from satdaemon.db.prepared import FEW
from satdaemon.db.queueing import Queued
from satdaemon.db.store import Store
from satdaemon.db.sweep import sweep

EVERYTHING_S = 3600.0
"""How often a planner looks at every frame, changed or not."""


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
    between: Callable[[], object] | None = None,
) -> Plan:
    """Bring `pending_jobs` in step with what is owed: of the frames that changed, of `frame_ids`, or of every frame.

    Lost leases are put back, rows that claim to run without a job are reset, pairs of dates that fell out or
    came back are adjusted, what was made from inputs that have changed becomes stale. While the daemon is powered down
    only lost leases are put back: the queue stays empty, and what changed stays noted. Idempotent, and safe to call from
    several processes at once: the constraints of `job_keys` keep work single, and a grant looks at the row again.

    A plan of every frame holds nothing up: between its batches, frames that changed meanwhile are planned first. It counts
    as done when all were seen; where the planner dies before that, the next one begins again.

    `processors` are the programs that would run each stage now, for what they make stale. `between` is called between
    the batches of a plan of every frame, before what changed is looked at.
    """
    began = time.perf_counter()
    frames, wanted = Frames(db, processors), None if frame_ids is None else sorted(set(frame_ids))
    look, done = _look_and_queue(frames, wanted, everything, began)
    lost = []
    if look.is_lease_lost:
        lost = rescue(db)
        look, done = _look_and_queue(frames, wanted, everything, began)
    if look.is_powered_down:
        return Plan(0, 0, 0, 0, 0, len(lost), time.perf_counter() - began, 0, False)
    if wanted is None and not look.has_defaults:
        everything = daemon.renew_defaults(db) or everything
    digest = staleness.outside_digest(db, processors) if everything else None

    def note(session: Session) -> None:
        if wanted is None:
            _note(session, db.on_postgresql, look.counter, time.perf_counter() - began, digest)

    if everything:
        count, done = sweep(frames, between)
        db.write(drop_orphaned_keys)
        db.write(note)
    else:
        count, done = len(look.frames), done or _plan_changed(frames, look, note)
    wall_s = time.perf_counter() - began
    return Plan(done.added, done.removed, done.ready, done.blocked, done.running, len(lost), wall_s, count, everything)


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


def planner_lock(db: Store) -> AbstractContextManager[bool]:
    """Yields True to one holder at a time. Given up by a dead process on its own."""
    return locks.alone(db, locks.PLANNER)


@dataclass(frozen=True, slots=True)
class _Look:
    """How things stood when a plan began."""

    counter: int
    has_defaults: bool
    """The database has what satdaemon.cfg says of frames without settings of their own."""
    is_lease_lost: bool
    is_powered_down: bool
    changes: Changes
    frames: Sequence[str]
    ahead: Ahead | None
    """What there is to do with the frames, where they are few."""

    @property
    def is_clear(self) -> bool:
        """Nothing has to be done before the queue of these frames, which are few or none."""
        ahead_is_clear = not self.frames if self.ahead is None else self.ahead.is_clear
        return ahead_is_clear and not self.is_lease_lost and not self.is_powered_down


def _look_and_queue(
    frames: Frames, wanted: list[str] | None, everything: bool, began: float
) -> tuple[_Look, Queued | None]:
    """How things stand; and where nothing has to be done before the queue of a few frames, that, in the same transaction.

    For a few frames the way there and back is most of the cost.
    """
    if everything:
        with frames.db.read_scope() as session:
            return _look(session, frames, wanted, everything), None

    def work(session: Session) -> tuple[_Look, Queued | None]:
        look = _look(session, frames, wanted, everything)
        if not look.is_clear or (wanted is None and not look.has_defaults):
            return look, None
        done = frames.queue(session, look.frames, look.changes, look.ahead) if look.ahead is not None else Queued()
        if wanted is None:
            _note(session, frames.db.on_postgresql, look.counter, time.perf_counter() - began, None)
        return look, done

    return frames.db.write(work)


def _look(session: Session, frames: Frames, wanted: list[str] | None, everything: bool) -> _Look:
    db, defaults = frames.db, daemon.defaults(frames.db.settings)
    lost = is_lost(db).compile(db.engine, compile_kwargs={"literal_binds": True})
    sql = f"SELECT change_counter, command, {lost}, {', '.join(defaults)} FROM daemon_tools"
    counter, command, is_lease_lost, *kept = list(prepared.execute(session, "daemon", sql).one())
    seen = changes.look(session, wanted)
    chosen = seen.frames if wanted is None else wanted
    ahead = frames.look(session, chosen) if 0 < len(chosen) <= FEW and not everything else None
    has_defaults, is_down = kept == list(defaults.values()), command == daemon.POWER_DOWN
    return _Look(counter, has_defaults, is_lease_lost, is_down, seen, chosen, ahead)


def _plan_changed(frames: Frames, look: _Look, note: Callable[[Session], None]) -> Queued:
    if look.ahead is not None:
        return frames.plan_batch(look.frames, look.changes, look.ahead, also=note)
    done = frames.plan(look.frames, look.changes)
    frames.db.write(note)
    return done


def _note(session: Session, postgresql: bool, counter: int, wall_s: float, digest: str | None) -> None:
    now = now_sql(postgresql)
    sql = f"UPDATE daemon_tools SET last_plan_utc = {now}, last_plan_s = :wall_s, planned_counter = :counter, replan = FALSE"
    values: dict[str, tuple[str, Any]] = {"wall_s": ("double precision", wall_s), "counter": ("bigint", counter)}
    if digest is None:
        prepared.execute(session, "planned", sql, **values)
        return
    everything = f"{sql}, everything_utc = {now}, outside_digest = :digest"
    prepared.execute(session, "planned_everything", everything, **values, digest=("text", digest))
