"""What is owed, what runs, what failed and why: for people, all read from the view `ledger`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from satdaemon.db import daemon as daemon_row
from satdaemon.db import ledger
from satdaemon.db.ledger import Entry
from satdaemon.db.store import Store
from satdaemon.status import STAGES_OF, LedgerState, ProcStatus, RowKind, Stage

daemon = daemon_row.read
HELD_UP = (LedgerState.BLOCKED, LedgerState.FAILED, LedgerState.EXCLUDED, LedgerState.STALE, LedgerState.OFF)
"""States of rows that do not go on by themselves now."""


@dataclass(slots=True)
class StageCounts:
    """Rows of one kind at one stage."""

    stage: Stage
    kind: RowKind
    ready: int = 0
    blocked: int = 0
    off: int = 0
    """Frame or stage switched off, or out of range."""
    running: int = 0
    done: int = 0
    """Without warnings."""
    warnings: int = 0
    failed: int = 0
    excluded: int = 0
    stale: int = 0

    @property
    def waiting(self) -> int:
        """Not done and not under way."""
        return self.ready + self.blocked + self.off

    @property
    def total(self) -> int:
        """All rows of the kind."""
        return self.waiting + self.running + self.done + self.warnings + self.failed + self.excluded + self.stale


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One row of a frame: where it stands, and why."""

    kind: RowKind
    date1: date
    date2: date | None
    stage: Stage
    """The stage that is next where the row has one, else the furthest one tried."""
    state: LedgerState
    reason: str
    status: ProcStatus
    """How its `stage` went; WAITING where that is still to come."""
    progress: float | None = None
    job_id: int | None = None


_STATUS = {
    LedgerState.RUNNING: ProcStatus.RUNNING,
    LedgerState.DONE: ProcStatus.DONE,
    LedgerState.FAILED: ProcStatus.FAILED,
    LedgerState.EXCLUDED: ProcStatus.EXCLUDED,
    LedgerState.STALE: ProcStatus.STALE,
}


def summary(db: Store, frame_id: str | None = None) -> list[StageCounts]:
    """Counts by stage, in the order of the chain; of one frame, or of all."""
    counted = ledger.counts(db, frame_id)
    return _by_stage((one.stage, one.kind, one.state, one.with_warnings, one.rows) for one in counted)


def counts_of(entries: Iterable[Entry]) -> list[StageCounts]:
    """The same of entries that were read already: all of a frame."""
    return _by_stage((entry.stage, entry.kind, entry.state, entry.with_warnings, 1) for entry in entries)


def _by_stage(counted: Iterable[tuple[Stage, RowKind, LedgerState, bool, int]]) -> list[StageCounts]:
    found = {(stage, kind): StageCounts(stage, kind) for stage in Stage for kind in RowKind if stage in STAGES_OF[kind]}
    for stage, kind, state, with_warnings, rows in counted:
        counts = found[stage, kind]
        name = "warnings" if with_warnings else state.value
        setattr(counts, name, getattr(counts, name) + rows)
    return list(found.values())


def frame_report(db: Store, frame_id: str) -> list[ReportRow]:
    """Every row of a frame with its state, and the reason where it does not go on: master, dates, then pairs."""
    return [_row(entry) for entry in ledger.entries(db, frame_id, current_only=True)]


def blocked(db: Store, frame_id: str) -> list[ReportRow]:
    """The rows of a frame that do not go on by themselves now, with the reason."""
    return [_row(entry) for entry in ledger.entries(db, frame_id, current_only=True, states=HELD_UP)]


def _row(entry: Entry) -> ReportRow:
    status = ProcStatus.DONE_WITH_WARNINGS if entry.with_warnings else _STATUS.get(entry.state, ProcStatus.WAITING)
    return ReportRow(
        entry.kind, entry.date1, entry.date2, entry.stage, entry.state, entry.reason, status, entry.progress, entry.job_id
    )


__all__ = ["ReportRow", "StageCounts", "blocked", "counts_of", "daemon", "frame_report", "summary"]
