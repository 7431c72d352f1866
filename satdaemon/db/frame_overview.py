"""Frames with how far they are: for lists, for one frame's page, and for maps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from satdaemon.db.models import LEDGER, Frame, frames2bursts, stage_id
from satdaemon.db.stage_progress import MADE, StageProgress, add, groups
from satdaemon.db.store import Store
from satdaemon.errors import RequestError
from satdaemon.status import LedgerState, ProcStatus, RowKind, Stage

OUT = (ProcStatus.FAILED, ProcStatus.EXCLUDED)
SETTINGS = (
    "previous", "annual_pairs", "annual_tolerance_days", "max_days", "min_coverage", "initial_stack", "reference_after_days",
    "accept_failed_share",
)  # fmt: skip
"""Columns by which a frame overrides satdaemon.cfg."""


@dataclass(slots=True)
class FrameOverview:
    """One frame."""

    id: str
    track: int
    direction: str
    priority: int
    processing: bool
    """Switched on."""
    retired: date | None
    update: bool
    reprocess: bool
    stages_on: tuple[Stage, ...]
    start_date: date | None
    end_date: date | None
    settings: dict[str, Any]
    """What the frame sets for itself: network keys, and `{stage: {key: value}}`."""
    notes: str | None
    bursts: int = 0
    master: date | None = None
    dates: int = 0
    """Dates, the master among them."""
    dates_out: int = 0
    """Of these failed or excluded."""
    first_date: date | None = None
    last_date: date | None = None
    last_done: date | None = None
    """The newest date that is coregistered: satsar done."""
    pairs: int = 0
    stages: dict[Stage, StageProgress] = field(default_factory=dict)
    """In the order of the chain."""
    counts: dict[Stage, dict[LedgerState, int]] = field(default_factory=dict)
    """Rows a stage and state, as the view `ledger` has them."""

    @property
    def state(self) -> str:
        """`on`, `off` or `retired`."""
        return "retired" if self.retired else "on" if self.processing else "off"


def overviews(
    db: Store, frame_ids: Sequence[str] | None = None, *, retired: bool = True, counts: bool = True
) -> list[FrameOverview]:
    """Frames in the order of their ids; all, or those named. RequestError for names that the database does not know."""
    with db.read_scope() as session:
        wanted = select(Frame).order_by(Frame.id)
        if frame_ids is not None:
            wanted = wanted.where(Frame.id.in_(frame_ids))
        if not retired:
            wanted = wanted.where(Frame.retired_utc.is_(None))
        found = {row.id: _overview(row) for row in session.scalars(wanted)}
        if frame_ids is not None and (unknown := sorted(set(frame_ids) - found.keys())):
            raise RequestError(f"expected frames of the database, got unknown ones: {', '.join(unknown)}")
        _add_rows(session, found, frame_ids)
        if counts:
            for frame_id, states in _counts(session, frame_ids).items():
                if frame_id in found:
                    found[frame_id].counts = states
    return list(found.values())


def _overview(row: Frame) -> FrameOverview:
    own = {name: getattr(row, name) for name in SETTINGS if getattr(row, name) is not None}
    return FrameOverview(
        row.id,
        row.track,
        row.orbit_direction,
        row.priority,
        row.processing,
        None if row.retired_utc is None else row.retired_utc.date(),
        row.do_update,
        row.reprocess,
        tuple(stage for stage in Stage if getattr(row, f"do_{stage.value}")),
        row.start_date,
        row.end_date,
        own | dict(row.stage_settings or {}),
        row.notes,
    )


def _add_rows(session: Session, found: Mapping[str, FrameOverview], only: Sequence[str] | None) -> None:
    """One grouped query a table, whatever the number of frames."""
    column = frames2bursts.c.frame_id
    statement = select(column, func.count()).group_by(column)
    for frame_id, count in session.execute(statement if only is None else statement.where(column.in_(only))):
        if frame_id in found:
            found[frame_id].bursts = count
    satsar = stage_id(RowKind.IFG, Stage.SATSAR)
    for group in groups(session, only):
        if group.frame_id not in found:
            continue
        one = found[group.frame_id]
        add(one.stages, group)
        if group.kind is RowKind.RSAR_IFG:
            one.pairs += group.rows
            continue
        if group.kind is RowKind.MASTER:
            one.master = group.first
        one.dates += group.rows
        one.dates_out += group.rows if group.status in OUT else 0
        one.first_date = min(one.first_date or group.first, group.first)
        one.last_date = max(one.last_date or group.last, group.last)
        if group.at > satsar or (group.at == satsar and group.status in MADE):
            one.last_done = max(one.last_done or group.last, group.last)
    for one in found.values():
        one.stages = {stage: one.stages[stage] for stage in Stage if stage in one.stages}


def _counts(session: Session, frame_ids: Sequence[str] | None) -> dict[str, dict[Stage, dict[LedgerState, int]]]:
    column = LEDGER.c
    keys = (column.frame_id, column.stage, column.state)
    statement = select(*keys, func.count()).group_by(*keys)
    if frame_ids is not None:
        statement = statement.where(column.frame_id.in_(frame_ids))
    counts: dict[str, dict[Stage, dict[LedgerState, int]]] = defaultdict(lambda: defaultdict(dict))
    for frame_id, stage, state, count in session.execute(statement):
        counts[frame_id][Stage(stage)][LedgerState(state)] = count
    return {frame_id: dict(states) for frame_id, states in counts.items()}
