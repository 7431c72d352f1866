"""The parts of the running system, and who holds them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from satdaemon.db.clock import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forwards."""
    op.create_table(
        "daemon_parts",
        sa.Column("name", sa.String(120), nullable=False, comment="prefect, worker NAME, flows HOST and so on."),
        sa.Column("process", sa.String(200), nullable=False, comment="The process that holds it, as no other is called."),
        sa.Column("who", sa.String(200), nullable=False, comment="user@host that started it."),
        sa.Column("host", sa.String(100), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(12), nullable=False, comment="starting, up, down, ending or idle."),
        sa.Column("message", sa.Text(), nullable=True, comment="What it waits for, or why it is down."),
        sa.Column("restarts", sa.Integer(), nullable=False, comment="How often its processes ended and were started again."),
        sa.Column("log", sa.Text(), nullable=True, comment="Where its output goes, on its host."),
        sa.Column("version", sa.String(20), nullable=False),
        sa.Column("claimed_utc", UtcDateTime(), nullable=False),
        sa.Column("heartbeat_utc", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_daemon_parts")),
    )
