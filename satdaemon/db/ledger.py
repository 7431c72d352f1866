"""Reading the view `ledger`: where every stage of every row stands, and why.

The planner and the commands read this and nothing else, so that they say the same.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import func, select

from satdaemon.db.models import LEDGER, Frame
from satdaemon.db.store import Store
from satdaemon.errors import RequestError
from satdaemon.status import LedgerState, RowKind, Stage


@dataclass(frozen=True, slots=True)
class Entry:
    """One stage of one row."""

    frame_id: str
    kind: RowKind
    row_id: int
    date1: date
    """The date of a master or ifg row, the first date of a pair."""
    date2: date | None
    stage: Stage
    state: LedgerState
    reason: str
    """By what it is blocked, where it runs, why it failed, was excluded or is stale; empty where there is nothing to say."""
    is_next: bool
    is_current: bool
    """The one stage of the row that says where the row stands."""
    with_warnings: bool
    priority: int
    job_id: int | None
    progress: float | None


@dataclass(frozen=True, slots=True)
class Count:
    """So many rows of one kind stand so at one stage."""

    kind: RowKind
    stage: Stage
    state: LedgerState
    with_warnings: bool
    rows: int


_C = LEDGER.c
_ENTRY = (
    _C.frame_id, _C.kind, _C.row_id, _C.date1, _C.date2, _C.stage, _C.state, _C.reason, _C.is_next, _C.is_current,
    _C.with_warnings, _C.priority, _C.job_id, _C.progress,
)  # fmt: skip


def entries(
    db: Store,
    frame_id: str,
    *,
    kind: RowKind | None = None,
    stage: Stage | None = None,
    states: Collection[LedgerState] | None = None,
    current_only: bool = False,
) -> list[Entry]:
    """The entries of a frame: master, dates, then pairs, each stage after stage. RequestError for an unknown frame."""
    statement = select(*_ENTRY).where(_C.frame_id == frame_id)
    if kind is not None:
        statement = statement.where(_C.kind == kind.value)
    if stage is not None:
        statement = statement.where(_C.stage == stage.value)
    if states is not None:
        statement = statement.where(_C.state.in_([state.value for state in states]))
    if current_only:
        statement = statement.where(_C.is_current)
    with db.read_scope() as session:
        found = [_entry(row) for row in session.execute(statement)]
        if not found and session.get(Frame, frame_id) is None:
            raise RequestError(f"frame {frame_id!r}: expected a frame of the database, found none")
    kinds, stages = list(RowKind), list(Stage)
    return sorted(found, key=lambda e: (kinds.index(e.kind), e.date1, e.date2 or e.date1, stages.index(e.stage)))


def counts(db: Store, frame_id: str | None = None) -> list[Count]:
    """How many rows stand how at each stage; of one frame, or of all."""
    columns = (_C.kind, _C.stage, _C.state, _C.with_warnings)
    statement = select(*columns, func.count()).group_by(*columns)
    if frame_id is not None:
        statement = statement.where(_C.frame_id == frame_id)
    with db.read_scope() as session:
        rows = session.execute(statement).all()
    return [Count(RowKind(k), Stage(s), LedgerState(state), bool(warned), n) for k, s, state, warned, n in rows]


def _entry(row: Any) -> Entry:
    frame_id, kind, row_id, date1, date2, stage, state, reason, is_next, is_current, warned, priority, job_id, progress = row
    return Entry(
        frame_id, RowKind(kind), row_id, date1, date2, Stage(stage), LedgerState(state), reason or "", bool(is_next),
        bool(is_current), bool(warned), priority, job_id, progress,
    )  # fmt: skip
