"""Products whose files were removed to free space: their record stays."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from satdaemon.db.clock import UtcDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forwards."""
    comment = "When its files were removed to free space; made again where it is needed."
    op.add_column("products", sa.Column("removed_utc", UtcDateTime(), nullable=True, comment=comment))
    where = sa.text("removed_utc IS NOT NULL")
    op.create_index("ix_products_removed", "products", ["frame_id"], postgresql_where=where, sqlite_where=where)
