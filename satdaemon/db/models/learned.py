"""What jobs were seen to cost, by stage, kind of row, size of the frame and machine."""

from __future__ import annotations

from sqlalchemy import JSON, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from satdaemon.db.models.base import Base, Updated

ALL_MACHINES = ""

Counts = Mapped[dict[str, float]]
"""A histogram of satdaemon.planning.quantiles."""


class LearnedCost(Base):
    """Jobs of one stage, kind of row and size class, on one machine or (machine empty) on all."""

    __tablename__ = "learned_costs"

    stage: Mapped[str] = mapped_column(String(12), primary_key=True)
    kind: Mapped[str] = mapped_column(String(10), primary_key=True)
    size_class: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    machine: Mapped[str] = mapped_column(String(60), primary_key=True)
    samples: Mapped[int] = mapped_column(default=0, comment="Finished jobs.")
    ooms: Mapped[int] = mapped_column(default=0, comment="Attempts that ran out of memory.")
    memory_counts: Counts = mapped_column(JSON)
    wall_counts: Counts = mapped_column(JSON)
    cpu_counts: Counts = mapped_column(JSON)
    space_counts: Counts = mapped_column(JSON)
    most_memory_gb: Mapped[float] = mapped_column(default=0.0, comment="The highest peak of a job that finished.")
    after_oom_gb: Mapped[float | None] = mapped_column(comment="Jobs ask for at least so much since one ran out of memory.")
    memory_gb: Mapped[float | None] = mapped_column(comment="What a job would ask for; empty: too few samples.")
    wall_s: Mapped[float | None] = mapped_column(comment="Time within which four of five jobs end.")
    space_gb: Mapped[float | None] = mapped_column(comment="What a job writes, product and scratch.")
    last_updated: Mapped[Updated]
