"""Admission: why a job waits, what it is predicted to cost, and what jobs were seen to cost."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from satdaemon.db.clock import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ZERO = sa.text("0")


def upgrade() -> None:
    """Forwards. Jobs that are queued already ask for what they asked for."""
    for table in ("pending_jobs", "running_jobs", "failed_jobs"):
        for column in _of_a_job():
            op.add_column(table, column)
    lacks = "What it lacks, by the last grant pass; empty: free machines."
    op.add_column("pending_jobs", sa.Column("waits_for", sa.Text(), nullable=True, comment=lacks))
    passed = "Since when others pass it, as it fits nowhere."
    op.add_column("pending_jobs", sa.Column("passed_over_utc", UtcDateTime(), nullable=True, comment=passed))
    # What no machine could take said so in `reason`; the next pass says it in its own place.
    op.execute("UPDATE pending_jobs SET waits_for = reason, reason = NULL WHERE no_machine")
    order: list[Any] = ["frame_id", sa.text("stage_rank DESC"), "job_id"]
    op.create_index("ix_pending_jobs_frame_id_order", "pending_jobs", order)
    op.drop_index("ix_pending_jobs_frame_id", "pending_jobs")
    op.add_column("daemon_tools", sa.Column("last_grants_utc", UtcDateTime(), nullable=True, comment="The last grant pass."))
    _learned_costs()


def _of_a_job() -> list[sa.Column[Any]]:
    return [
        sa.Column(
            "space_gb", sa.Double(), server_default=ZERO, nullable=False, comment="Predicted to be written, product and scratch."
        ),
        sa.Column("predicted_s", sa.Double(), nullable=True, comment="How long it is predicted to run."),
        sa.Column(
            "size_class",
            sa.SmallInteger(),
            server_default=ZERO,
            nullable=False,
            comment="Of its frame, by number of bursts: what it is compared with.",
        ),
        sa.Column("archive", sa.String(60), nullable=True, comment="A download's archive, once somebody asked."),
    ]


def _learned_costs() -> None:
    at_least = "Jobs ask for at least so much since one ran out of memory."
    op.create_table(
        "learned_costs",
        sa.Column("stage", sa.String(12), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("size_class", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("machine", sa.String(60), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False, comment="Finished jobs."),
        sa.Column("ooms", sa.Integer(), nullable=False, comment="Attempts that ran out of memory."),
        *(sa.Column(f"{name}_counts", sa.JSON(), nullable=False) for name in ("memory", "wall", "cpu", "space")),
        sa.Column("most_memory_gb", sa.Double(), nullable=False, comment="The highest peak of a job that finished."),
        sa.Column("after_oom_gb", sa.Double(), nullable=True, comment=at_least),
        sa.Column("memory_gb", sa.Double(), nullable=True, comment="What a job would ask for; empty: too few samples."),
        sa.Column("wall_s", sa.Double(), nullable=True, comment="Time within which four of five jobs end."),
        sa.Column("space_gb", sa.Double(), nullable=True, comment="What a job writes, product and scratch."),
        sa.Column("last_updated", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("stage", "kind", "size_class", "machine", name=op.f("pk_learned_costs")),
    )
