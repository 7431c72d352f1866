"""Products that nobody has looked at yet, found by an index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forwards."""
    where = sa.text("judged IS NULL")
    op.create_index("ix_products_unjudged", "products", ["frame_id"], postgresql_where=where, sqlite_where=where)
