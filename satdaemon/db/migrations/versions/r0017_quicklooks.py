"""Pictures of products: which there are, and how their colours are read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forwards."""
    comment = "Pictures among its files, and how their colours are read."
    column = sa.Column("quicklooks", sa.JSON(), nullable=False, server_default=sa.text("'[]'"), comment=comment)
    op.add_column("products", column)
