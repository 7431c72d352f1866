"""Machines that spoil jobs: their failures in a row, where jobs failed, and since when a worker lives."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from satdaemon.db.clock import UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forwards."""
    failed_on = "Machines, by comma, where it failed and they may be to blame."
    for table in ("pending_jobs", "running_jobs", "failed_jobs"):
        op.add_column(table, sa.Column("failed_on", sa.Text(), nullable=True, comment=failed_on))
    began = "When its worker last began."
    op.add_column("machines", sa.Column("up_since_utc", UtcDateTime(), nullable=True, comment=began))
    op.create_table(
        "machine_failures",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("machine", sa.String(60), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("frame_id", sa.String(60), nullable=False),
        sa.Column("stage", sa.String(12), nullable=False),
        sa.Column("at_utc", UtcDateTime(), nullable=False),
        sa.Column("after_event", sa.BigInteger(), nullable=False, comment="The newest event before it."),
        sa.Column("tries", sa.SmallInteger(), nullable=False, comment="What it cost its job."),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_machine_failures")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_machine_failures_machine", "machine_failures", ["machine"])
