"""Who may use the web pages and the API: users, their logins and tokens, and what was done."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from satdaemon.db.clock import UtcDateTime
from satdaemon.db.models.base import NEVER_AGAIN, Base, Created, RowId, Time
from satdaemon.status import Role

_ROLE = f"role IN ({', '.join(repr(role.value) for role in Role)})"


class WebUser(Base):
    """Somebody who may log in."""

    __tablename__ = "web_users"
    __table_args__ = (CheckConstraint(_ROLE, "role"),)

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    role: Mapped[str] = mapped_column(String(10))
    password: Mapped[str | None] = mapped_column(Text, comment="Argon2 hash; empty: logs in through OpenID Connect alone.")
    subject: Mapped[str | None] = mapped_column(Text, unique=True, comment="Issuer and subject of OpenID Connect.")
    disabled: Mapped[bool] = mapped_column(default=False)
    created_utc: Mapped[Created]
    created_by: Mapped[str] = mapped_column(String(100))
    last_login_utc: Mapped[Time]


class WebSession(Base):
    """A login that lasts. The cookie's value is not kept, its digest is."""

    __tablename__ = "web_sessions"
    __table_args__ = (Index("ix_web_sessions_expires_utc", "expires_utc"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True, comment="SHA-256 of the cookie's value.")
    user_name: Mapped[str] = mapped_column(ForeignKey("web_users.name", ondelete="CASCADE"), index=True)
    csrf: Mapped[str] = mapped_column(String(64), comment="What forms of this login carry.")
    address: Mapped[str | None] = mapped_column(String(60))
    created_utc: Mapped[Created]
    seen_utc: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_utc: Mapped[datetime] = mapped_column(UtcDateTime)


class ApiToken(Base):
    """A token with which a program acts for its user. Its digest alone is kept."""

    __tablename__ = "web_tokens"
    __table_args__ = (CheckConstraint(_ROLE, "role"), NEVER_AGAIN)

    id: Mapped[RowId]
    digest: Mapped[str] = mapped_column(String(64), unique=True, comment="SHA-256 of the token.")
    user_name: Mapped[str] = mapped_column(ForeignKey("web_users.name", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(60), comment="What it is for.")
    role: Mapped[str] = mapped_column(String(10), comment="At most; the user's role counts too.")
    created_utc: Mapped[Created]
    expires_utc: Mapped[Time]
    used_utc: Mapped[Time]


class LoginFailure(Base):
    """A login that was refused: too many of a name or an address have to wait."""

    __tablename__ = "web_login_failures"
    __table_args__ = (Index("ix_web_login_failures_key", "key", "at_utc"), NEVER_AGAIN)

    id: Mapped[RowId]
    key: Mapped[str] = mapped_column(String(100), comment="The name that was tried, or the address it came from.")
    at_utc: Mapped[Created]


class AuditEntry(Base):
    """Something that was done, or refused, through the web. Never changed; gone by age alone."""

    __tablename__ = "web_audit"
    __table_args__ = (Index("ix_web_audit_at_utc", "at_utc"), NEVER_AGAIN)

    id: Mapped[RowId]
    at_utc: Mapped[Created]
    who: Mapped[str | None] = mapped_column(String(100), comment="Empty for somebody who was not logged in.")
    role: Mapped[str | None] = mapped_column(String(10))
    address: Mapped[str | None] = mapped_column(String(60))
    action: Mapped[str] = mapped_column(String(60))
    target: Mapped[str | None] = mapped_column(String(200))
    outcome: Mapped[str] = mapped_column(String(10), comment="done, refused or failed.")
    detail: Mapped[str | None] = mapped_column(Text)
