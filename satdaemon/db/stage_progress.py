"""How many rows of frames are done, run, failed or wait at each stage: told by the rows alone, so that lists of frames are quick.

Agrees with the view `ledger`, which tells besides what waiting rows wait for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from satdaemon.db.models import Ifg, Master, RsarIfg
from satdaemon.db.store import Store
from satdaemon.status import STAGES_OF, ProcStatus, RowKind, Stage

_MODELS: dict[RowKind, Any] = {RowKind.MASTER: Master, RowKind.IFG: Ifg, RowKind.RSAR_IFG: RsarIfg}
_MADE = (ProcStatus.DONE, ProcStatus.DONE_WITH_WARNINGS, ProcStatus.STALE)


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


def stage_progress(db: Store, frame_ids: Sequence[str]) -> dict[str, dict[Stage, StageProgress]]:
    """Of each frame that has rows, the stages in the order of the chain."""
    found: dict[str, dict[Stage, StageProgress]] = defaultdict(lambda: {stage: StageProgress() for stage in Stage})
    with db.read_scope() as session:
        for kind, model in _MODELS.items():
            keys = (model.frame_id, model.proc_stage, model.proc_status, model.stale_from)
            wanted = select(*keys, func.count()).where(model.frame_id.in_(frame_ids)).group_by(*keys)
            for frame_id, at, status, stale_from, count in session.execute(wanted):
                _add(found[frame_id], kind, at, ProcStatus(status), stale_from or at, count)
    return {name: {stage: one for stage, one in stages.items() if one.rows} for name, stages in found.items()}


def _add(stages: dict[Stage, StageProgress], kind: RowKind, at: int, status: ProcStatus, stale_from: int, count: int) -> None:
    for here, stage in enumerate(STAGES_OF[kind], 1):
        one = stages[stage]
        one.rows += count
        if status is ProcStatus.STALE and stale_from <= here <= at:
            one.stale += count
        elif at > here or (at == here and status in _MADE):
            one.done += count
        elif status is ProcStatus.EXCLUDED:
            one.excluded += count
        elif at == here and status is ProcStatus.RUNNING:
            one.running += count
        elif at == here and status is ProcStatus.FAILED:
            one.failed += count
