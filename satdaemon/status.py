"""Stages, the status of a row, and the legal moves between statuses. Everything else asks this module.

The codes are fixed (docs/states.md) and append-only.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Stage(StrEnum):
    """A step of a frame's chain, in the order of the chain."""

    DOWNLOAD = "download"
    SLC = "slc"
    SATSAR = "satsar"
    COHERENCE = "coherence"
    UNWRAP = "unwrap"
    TIMESERIES = "timeseries"
    INGEST = "ingest"


class RowKind(StrEnum):
    """The table whose rows pass through stages; the value is the table's name."""

    MASTER = "master"
    IFG = "ifg"
    RSAR_IFG = "rsar_ifg"


class Role(StrEnum):
    """What somebody may do on the web pages; each may do what the ones before may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def may(self, needed: Role) -> bool:
        """True where this role is as much as `needed`."""
        order = tuple(Role)
        return order.index(self) >= order.index(needed)


STAGES_OF: dict[RowKind, tuple[Stage, ...]] = {
    RowKind.MASTER: (Stage.DOWNLOAD, Stage.SLC, Stage.SATSAR, Stage.COHERENCE, Stage.TIMESERIES, Stage.INGEST),
    RowKind.IFG: (Stage.DOWNLOAD, Stage.SLC, Stage.SATSAR),
    RowKind.RSAR_IFG: (Stage.COHERENCE, Stage.UNWRAP),
}


class ProcStatus(IntEnum):
    """How the furthest stage tried of a row went."""

    WAITING = 0
    RUNNING = 1
    DONE = 2
    DONE_WITH_WARNINGS = 3
    FAILED = 4
    EXCLUDED = 5
    STALE = 6

    @property
    def is_done(self) -> bool:
        """True where the stage has a product that later stages may use."""
        return self in (ProcStatus.DONE, ProcStatus.DONE_WITH_WARNINGS)


class LedgerState(StrEnum):
    """Where one stage of one row stands, in the view `ledger`."""

    DONE = "done"
    READY = "ready"
    BLOCKED = "blocked"
    RUNNING = "running"
    FAILED = "failed"
    EXCLUDED = "excluded"
    STALE = "stale"
    OFF = "off"


_S = ProcStatus
LEGAL_MOVES: dict[ProcStatus, frozenset[ProcStatus]] = {
    _S.WAITING: frozenset({_S.RUNNING, _S.EXCLUDED}),
    _S.RUNNING: frozenset({_S.DONE, _S.DONE_WITH_WARNINGS, _S.FAILED, _S.WAITING, _S.EXCLUDED}),
    _S.DONE: frozenset({_S.RUNNING, _S.STALE, _S.WAITING, _S.EXCLUDED}),
    _S.DONE_WITH_WARNINGS: frozenset({_S.RUNNING, _S.STALE, _S.WAITING, _S.EXCLUDED}),
    _S.FAILED: frozenset({_S.WAITING, _S.EXCLUDED}),
    _S.EXCLUDED: frozenset({_S.WAITING}),
    _S.STALE: frozenset({_S.WAITING, _S.RUNNING, _S.DONE, _S.DONE_WITH_WARNINGS, _S.EXCLUDED}),
}


def is_legal_move(old: ProcStatus, new: ProcStatus) -> bool:
    """True where a row may go from `old` to `new`. DONE -> RUNNING is the start of the row's next stage."""
    return new in LEGAL_MOVES[old]


def next_stage(kind: RowKind, stage: Stage) -> Stage | None:
    """The stage after `stage` for a row of this kind, or None after the last."""
    stages = STAGES_OF[kind]
    place = stages.index(stage) + 1
    return stages[place] if place < len(stages) else None
