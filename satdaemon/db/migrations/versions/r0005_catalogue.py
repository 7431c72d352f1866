"""Files, bursts and frames."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from satdaemon.db.clock import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forwards."""
    op.create_table(
        "stray_files",
        sa.Column("abspath", sa.Text(), nullable=False, comment="With bytes that are not UTF-8 escaped."),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("file_id", sa.String(100), nullable=True, comment="The product that it is, or says it is."),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=True, comment="Empty: to be opened again next time."),
        sa.Column("last_updated", UtcDateTime(), nullable=False),
        sa.CheckConstraint("state IN ('bad', 'duplicate')", name=op.f("ck_stray_files_state")),
        sa.PrimaryKeyConstraint("abspath", name=op.f("pk_stray_files")),
    )
    op.create_index(op.f("ix_stray_files_file_id"), "stray_files", ["file_id"])
