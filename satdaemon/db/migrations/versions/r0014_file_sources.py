"""A product may be had from several archives, and be fetched again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from satdaemon.db.clock import UtcDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forwards."""
    comment = "When it was fetched over HTTP; empty: others put it there, or not yet."
    op.add_column("files", sa.Column("fetched_utc", UtcDateTime(), nullable=True, comment=comment))
    op.create_table(
        "file_sources",
        sa.Column("file_id", sa.String(100), nullable=False),
        sa.Column("archive", sa.String(20), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True, comment="Bytes of its zip: archives zip anew."),
        sa.Column("checksum", sa.String(160), nullable=True, comment="algorithm:hex of its zip."),
        sa.Column(
            "published_utc", UtcDateTime(), nullable=True, comment="When the archive made it known, or changed it last."
        ),
        sa.Column("last_seen_utc", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name=op.f("fk_file_sources_file_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("file_id", "archive", name=op.f("pk_file_sources")),
    )
