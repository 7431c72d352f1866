"""Users of the web pages, their logins and tokens, and what was done there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from satdaemon.db.clock import UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_ROLE = "role IN ('viewer', 'operator', 'admin')"
_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Forwards."""
    op.create_table(
        "web_users",
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("password", sa.Text(), nullable=True, comment="Argon2 hash; empty: logs in through OpenID Connect alone."),
        sa.Column("subject", sa.Text(), nullable=True, comment="Issuer and subject of OpenID Connect."),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_utc", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(100), nullable=False),
        sa.Column("last_login_utc", UtcDateTime(), nullable=True),
        sa.CheckConstraint(_ROLE, name=op.f("ck_web_users_role")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_web_users")),
        sa.UniqueConstraint("subject", name=op.f("uq_web_users_subject")),
    )
    op.create_table(
        "web_sessions",
        sa.Column("id", sa.String(64), nullable=False, comment="SHA-256 of the cookie's value."),
        sa.Column("user_name", sa.String(60), nullable=False),
        sa.Column("csrf", sa.String(64), nullable=False, comment="What forms of this login carry."),
        sa.Column("address", sa.String(60), nullable=True),
        sa.Column("created_utc", UtcDateTime(), nullable=False),
        sa.Column("seen_utc", UtcDateTime(), nullable=False),
        sa.Column("expires_utc", UtcDateTime(), nullable=False),
        _of_user("web_sessions"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_web_sessions")),
    )
    op.create_index("ix_web_sessions_expires_utc", "web_sessions", ["expires_utc"])
    op.create_index("ix_web_sessions_user_name", "web_sessions", ["user_name"])
    op.create_table(
        "web_tokens",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, comment="SHA-256 of the token."),
        sa.Column("user_name", sa.String(60), nullable=False),
        sa.Column("name", sa.String(60), nullable=False, comment="What it is for."),
        sa.Column("role", sa.String(10), nullable=False, comment="At most; the user's role counts too."),
        sa.Column("created_utc", UtcDateTime(), nullable=False),
        sa.Column("expires_utc", UtcDateTime(), nullable=True),
        sa.Column("used_utc", UtcDateTime(), nullable=True),
        sa.CheckConstraint(_ROLE, name=op.f("ck_web_tokens_role")),
        _of_user("web_tokens"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_web_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_web_tokens_digest")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_web_tokens_user_name", "web_tokens", ["user_name"])
    op.create_table(
        "web_login_failures",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("key", sa.String(100), nullable=False, comment="The name that was tried, or the address it came from."),
        sa.Column("at_utc", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_web_login_failures")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_web_login_failures_key", "web_login_failures", ["key", "at_utc"])
    op.create_table(
        "web_audit",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("at_utc", UtcDateTime(), nullable=False),
        sa.Column("who", sa.String(100), nullable=True, comment="Empty for somebody who was not logged in."),
        sa.Column("role", sa.String(10), nullable=True),
        sa.Column("address", sa.String(60), nullable=True),
        sa.Column("action", sa.String(60), nullable=False),
        sa.Column("target", sa.String(200), nullable=True),
        sa.Column("outcome", sa.String(10), nullable=False, comment="done, refused or failed."),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_web_audit")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_web_audit_at_utc", "web_audit", ["at_utc"])


def _of_user(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_user_name")
    return sa.ForeignKeyConstraint(["user_name"], ["web_users.name"], name=name, ondelete="CASCADE")
