"""Messages to people: an outbox, its addresses, and what holds and was told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from satdaemon.db.clock import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Forwards."""
    _messages()
    op.create_table(
        "message_targets",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="Without its secrets."),
        sa.Column("failures", sa.Integer(), nullable=False, comment="Since it last took a message."),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("not_before_utc", UtcDateTime(), nullable=True),
        sa.Column("sent_utc", UtcDateTime(), nullable=True, comment="When it last took a message."),
        sa.Column("minute_utc", UtcDateTime(), nullable=True, comment="Begin of the minute that `posts` counts."),
        sa.Column("posts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message_targets")),
    )
    op.create_table(
        "conditions",
        sa.Column("key", sa.String(250), nullable=False),
        sa.Column("since_utc", UtcDateTime(), nullable=False),
        sa.Column("seen_utc", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_conditions")),
    )


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", KEY, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False, comment="What it is about: job, frame, machine, daemon ..."),
        sa.Column("cause", sa.String(250), nullable=False, comment="Messages of one cause are one message."),
        sa.Column("level", sa.String(8), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False, comment="The first of them, and perhaps some more."),
        sa.Column("frame_id", sa.String(60), nullable=True, comment="Empty where it is of several frames, or of none."),
        sa.Column("at_once", sa.Boolean(), nullable=False, comment="Waits for no others of its cause."),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_utc", UtcDateTime(), nullable=False),
        sa.Column("last_utc", UtcDateTime(), nullable=False),
        sa.Column("ready_utc", UtcDateTime(), nullable=True, comment="When it was closed; the limits of a minute count by it."),
        sa.Column("sent_utc", UtcDateTime(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False, comment="Tries that failed."),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("delivered", sa.Text(), server_default=sa.text("''"), nullable=False, comment="Addresses that have it."),
        sa.Column("told_in", sa.BigInteger(), nullable=True, comment="The message that tells this one too."),
        sa.CheckConstraint("level IN ('info', 'warning', 'error')", name=op.f("ck_messages_level")),
        sa.CheckConstraint(
            "state IN ('open', 'ready', 'sent', 'told', 'kept', 'given_up')", name=op.f("ck_messages_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sqlite_autoincrement=True,
    )
    is_open, is_unsent = sa.text("state = 'open'"), sa.text("state IN ('open', 'ready')")
    op.create_index("uq_messages_open", "messages", ["cause"], unique=True, postgresql_where=is_open, sqlite_where=is_open)
    op.create_index("ix_messages_unsent", "messages", ["id"], postgresql_where=is_unsent, sqlite_where=is_unsent)
    op.create_index("ix_messages_cause", "messages", ["cause", "ready_utc"])
    op.create_index("ix_messages_ready_utc", "messages", ["ready_utc"])
