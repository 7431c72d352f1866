"""How far the archives have been searched for new scenes, and how late dates were."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from satdaemon.db.clock import UtcDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forwards."""
    op.create_table(
        "archive_looks",
        sa.Column("archive", sa.String(20), nullable=False),
        sa.Column("until_utc", UtcDateTime(), comment="What was published before this is known; empty: never answered."),
        sa.Column("looked_utc", UtcDateTime(), comment="When it answered last."),
        sa.Column("next_utc", UtcDateTime(), comment="It is not asked again before."),
        sa.Column("failing_utc", UtcDateTime(), comment="Since when it has not answered; empty: it does."),
        sa.Column("failures", sa.Integer(), nullable=False, comment="In a row."),
        sa.Column("problem", sa.Text(), comment="What it said last, where it does not answer."),
        sa.PrimaryKeyConstraint("archive", name=op.f("pk_archive_looks")),
    )
    op.create_table(
        "date_latency",
        sa.Column("frame_id", sa.String(60), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("total_s", sa.Double(), nullable=False, comment="From sensing to points."),
        sa.Column("late_part", sa.String(60), nullable=False, comment="What took longest."),
        sa.Column("moments", sa.JSON(), nullable=False, comment="{milestone: time, ISO 8601}"),
        sa.Column("parts", sa.JSON(), nullable=False, comment="{part: seconds}"),
        sa.Column("created_utc", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_date_latency_frame_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("frame_id", "date", name=op.f("pk_date_latency")),
    )
    comment = "When the archives were last searched for its whole history."
    op.add_column("frames", sa.Column("searched_utc", UtcDateTime(), nullable=True, comment=comment))
