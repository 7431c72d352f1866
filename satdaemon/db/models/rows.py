"""The rows that pass through stages: the master, the secondary dates and the pairs of a frame."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import CheckConstraint, Date, ForeignKey, SmallInteger, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, validates

from satdaemon.db.models.base import NEVER_AGAIN, Base, Created, RowId, Updated, partial_index
from satdaemon.errors import RequestError
from satdaemon.status import STAGES_OF, ProcStatus, RowKind, Stage, is_legal_move

CASCADE = "CASCADE"


class _ProcStage:
    """A stage of one kind of row; ids are the places in the chain, from 1."""

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(20), unique=True)
    order: Mapped[int] = mapped_column(SmallInteger)


class MasterProcStage(_ProcStage, Base):
    """A stage of a master row."""

    __tablename__ = "master_proc_stages"


class IfgProcStage(_ProcStage, Base):
    """A stage of an ifg row."""

    __tablename__ = "ifg_proc_stages"


class RsarIfgProcStage(_ProcStage, Base):
    """A stage of an rsar_ifg row."""

    __tablename__ = "rsar_ifg_proc_stages"


def stage_id(kind: RowKind, stage: Stage) -> int:
    """The `proc_stage` of a stage for this kind of row."""
    return STAGES_OF[kind].index(stage) + 1


def stage_of(kind: RowKind, number: int) -> Stage:
    """Inverse of `stage_id`."""
    return STAGES_OF[kind][number - 1]


class StageRow:
    """What every row that passes through stages has."""

    kind: RowKind

    id: Mapped[RowId]
    frame_id: Mapped[str] = mapped_column(ForeignKey("frames.id", ondelete=CASCADE))
    proc_status: Mapped[int] = mapped_column(SmallInteger, default=int(ProcStatus.WAITING))
    reason: Mapped[str | None] = mapped_column(Text, comment="Why it is failed, excluded, stale or done with warnings.")
    automatic: Mapped[bool] = mapped_column(default=False, comment="Excluded by a rule: taken back when the rule allows.")
    waiting_for: Mapped[str | None] = mapped_column(Text, comment="What does not exist yet (an orbit); holds nothing up.")
    stale_from: Mapped[int | None] = mapped_column(SmallInteger, comment="STALE: the first stage to make again.")
    created_utc: Mapped[Created]
    last_updated: Mapped[Updated]

    @validates("proc_status")
    def _legal(self, _key: str, value: int) -> int:
        old = getattr(self, "proc_status", None)
        if old is not None and value != old and not is_legal_move(ProcStatus(old), ProcStatus(value)):
            raise RequestError(
                f"{self!r}: expected a legal move of proc_status, got {ProcStatus(old).name} -> {ProcStatus(value).name}; "
                "docs/states.md lists them"
            )
        return int(value)

    @property
    def stage(self) -> Stage:
        """The furthest stage tried."""
        return stage_of(self.kind, getattr(self, "proc_stage"))  # noqa: B009 - declared by the tables

    @property
    def status(self) -> ProcStatus:
        """How that went."""
        return ProcStatus(self.proc_status)


def _indexes(table: str, last: int, *dates: str) -> tuple[Any, ...]:
    """Partial indexes by which the planner finds what could go on, without reading what is finished."""
    places: tuple[tuple[str, str], ...] = (
        ("waiting", "proc_status = 0"),
        ("halfway", f"proc_stage < {last} AND proc_status IN (2, 3)"),
        ("left_out", "proc_status IN (4, 5)"),
        ("held", "proc_status IN (1, 6)"),
    )
    return tuple(partial_index(f"ix_{table}_{name}", "frame_id", *dates, where=where) for name, where in places)


class Master(StageRow, Base):
    """The master image of a frame; carries the stages that belong to the whole frame."""

    __tablename__ = "master"
    __table_args__ = (
        UniqueConstraint("frame_id"),
        CheckConstraint("proc_status >= 0", "proc_status"),
        *_indexes("master", 6, "date"),
        NEVER_AGAIN,
    )
    kind = RowKind.MASTER

    date: Mapped[date] = mapped_column(Date)
    proc_stage: Mapped[int] = mapped_column(ForeignKey("master_proc_stages.id"), default=1)
    chosen_by: Mapped[str] = mapped_column(String(60), default="rule")
    choice_reason: Mapped[str | None] = mapped_column(Text)


class Ifg(StageRow, Base):
    """A secondary image of a frame."""

    __tablename__ = "ifg"
    __table_args__ = (
        UniqueConstraint("frame_id", "date"),
        CheckConstraint("proc_status >= 0", "proc_status"),
        *_indexes("ifg", 3, "date"),
        partial_index("ix_ifg_coregistered", "frame_id", "date", where="proc_stage = 3 AND proc_status IN (2, 3, 6)"),
        partial_index("ix_ifg_awaiting", "frame_id", "date", where="waiting_for IS NOT NULL"),
        NEVER_AGAIN,
    )
    kind = RowKind.IFG

    date: Mapped[date] = mapped_column(Date)
    proc_stage: Mapped[int] = mapped_column(ForeignKey("ifg_proc_stages.id"), default=1)
    coverage: Mapped[float | None] = mapped_column(comment="Share of the frame's bursts that the date has.")
    missing_bursts: Mapped[str | None] = mapped_column(Text)
    bperp_m: Mapped[float | None] = mapped_column(comment="Perpendicular baseline to the master, m.")


class RsarIfg(StageRow, Base):
    """An interferogram between two dates of a frame."""

    __tablename__ = "rsar_ifg"
    __table_args__ = (
        UniqueConstraint("frame_id", "date1", "date2"),
        CheckConstraint("date1 < date2", "dates"),
        CheckConstraint("proc_status >= 0", "proc_status"),
        *_indexes("rsar_ifg", 2, "date1", "date2"),
        NEVER_AGAIN,
    )
    kind = RowKind.RSAR_IFG

    date1: Mapped[date] = mapped_column(Date)
    date2: Mapped[date] = mapped_column(Date)
    stand_in: Mapped[bool] = mapped_column(
        default=False,
        server_default=text("false"),
        comment="Made while dates or pairs are out; goes when they return, unless begun.",
    )
    proc_stage: Mapped[int] = mapped_column(ForeignKey("rsar_ifg_proc_stages.id"), default=1)


MODEL_OF: dict[RowKind, type[Master] | type[Ifg] | type[RsarIfg]] = {
    RowKind.MASTER: Master,
    RowKind.IFG: Ifg,
    RowKind.RSAR_IFG: RsarIfg,
}
