"""How many rows of frames are done, run, failed or wait at each stage: told by the rows alone, so that lists of frames are quick.

Agrees with the view `ledger`, which tells besides what waiting rows wait for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from satdaemon.db.models import Ifg, Master, RsarIfg
from satdaemon.status import STAGES_OF, ProcStatus, RowKind, Stage

_MODELS: dict[RowKind, Any] = {RowKind.MASTER: Master, RowKind.IFG: Ifg, RowKind.RSAR_IFG: RsarIfg}
MADE = (ProcStatus.DONE, ProcStatus.DONE_WITH_WARNINGS, ProcStatus.STALE)


@dataclass(slots=True)
class StageProgress:
    """Rows of a frame at one stage."""

    rows: int = 0
    done: int = 0
    stale: int = 0
    running: int = 0
    failed: int = 0
    excluded: int = 0

    @property
    def waiting(self) -> int:
        """For this stage or one before it, or for its switch."""
        return self.rows - self.done - self.stale - self.running - self.failed - self.excluded


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of a frame that stand alike."""

    frame_id: str
    kind: RowKind
    at: int
    """Number of the stage where they stand."""
    status: ProcStatus
    stale_from: int
    rows: int
    first: date
    """Their first date; of pairs the earlier one's."""
    last: date


def groups(session: Session, frame_ids: Sequence[str] | None) -> Iterator[Group]:
    """All rows of these frames, or of all: one query a kind."""
    for kind, model in _MODELS.items():
        day = model.date1 if kind is RowKind.RSAR_IFG else model.date
        keys = (model.frame_id, model.proc_stage, model.proc_status, model.stale_from)
        wanted = select(*keys, func.count(), func.min(day), func.max(day)).group_by(*keys)
        if frame_ids is not None:
            wanted = wanted.where(model.frame_id.in_(frame_ids))
        for frame_id, at, status, stale_from, count, first, last in session.execute(wanted):
            yield Group(frame_id, kind, at, ProcStatus(status), stale_from or at, count, first, last)


def add(stages: dict[Stage, StageProgress], group: Group) -> None:
    """Count a group of rows at each stage of their kind."""
    at, status = group.at, group.status
    for here, stage in enumerate(STAGES_OF[group.kind], 1):
        one = stages.setdefault(stage, StageProgress())
        one.rows += group.rows
        if status is ProcStatus.STALE and group.stale_from <= here <= at:
            one.stale += group.rows
        elif at > here or (at == here and status in MADE):
            one.done += group.rows
        elif status is ProcStatus.EXCLUDED:
            one.excluded += group.rows
        elif at == here and status is ProcStatus.RUNNING:
            one.running += group.rows
        elif at == here and status is ProcStatus.FAILED:
            one.failed += group.rows
