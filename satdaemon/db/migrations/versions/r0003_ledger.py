"""What changed, for the planner; what the ledger of what is owed must know.

The view `ledger` and the triggers are no part of any revision: satdaemon.db.derived makes them anew after each change.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from satdaemon.db.clock import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Forwards. Every frame counts as changed, so that the first plan looks at all."""
    op.create_table(
        "frame_changes",
        sa.Column("id", KEY, nullable=False),
        sa.Column("frame_id", sa.String(60), nullable=False),
        sa.Column("what", sa.String(20), nullable=False, comment="The table."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_frame_changes")),
        sqlite_autoincrement=True,
    )
    op.execute("INSERT INTO frame_changes (frame_id, what) SELECT id, 'frames' FROM frames")
    waiting = sa.text("waiting_for IS NOT NULL")
    op.create_index("ix_ifg_awaiting", "ifg", ["frame_id", "date"], postgresql_where=waiting, sqlite_where=waiting)
    op.add_column(
        "pending_jobs",
        sa.Column(
            "no_machine",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="No machine can take it as they are now; `reason` says why.",
        ),
    )
    op.add_column(
        "daemon_tools",
        sa.Column("everything_utc", UtcDateTime(), nullable=True, comment="When the planner last looked at every frame."),
    )
    op.add_column(
        "daemon_tools",
        sa.Column("outside_digest", sa.String(64), nullable=True, comment="What counts beside the database, at the last plan."),
    )
    frames_without = "satdaemon.cfg's, for frames without their own."
    for column in (
        sa.Column("initial_stack", sa.SmallInteger(), server_default=sa.text("12"), nullable=False, comment=frames_without),
        sa.Column("accept_failed_share", sa.Double(), server_default=sa.text("0.2"), nullable=False, comment=frames_without),
    ):
        op.add_column("daemon_tools", column)
