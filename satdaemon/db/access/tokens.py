"""Tokens for programs."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from satdaemon.db.access.sessions import SEEN_EVERY_S, digest
from satdaemon.db.clock import now_utc, seconds_since
from satdaemon.db.models import ApiToken, WebUser
from satdaemon.db.store import Store
from satdaemon.errors import RequestError
from satdaemon.status import Role

PREFIX = "satdaemon_"
"""Told apart by scanners that look for secrets in files."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token, without its value."""

    id: int
    name: str
    user: str
    role: Role
    created_utc: datetime
    expires_utc: datetime | None
    used_utc: datetime | None


def create(db: Store, user: str, name: str, role: Role, lasts_s: float | None) -> str:
    """Make a token; its value, which is shown this once. RequestError where the user may not have it."""
    value = PREFIX + secrets.token_urlsafe(32)
    if not name.strip() or len(name) > 60:
        raise RequestError(f"token: expected a name of 1 to 60 characters that says what it is for, got {name!r}")

    def work(session: Session) -> None:
        row = session.get(WebUser, user)
        if row is None or row.disabled:
            raise RequestError(f"token {name}: expected a user who may log in, got {user!r}")
        if not Role(row.role).may(role):
            raise RequestError(f"token {name}: expected at most the role of {user} ({row.role}), got {role}")
        expires = None if lasts_s is None else now_utc(lasts_s)
        session.add(ApiToken(digest=digest(value), user_name=user, name=name.strip(), role=role.value, expires_utc=expires))

    db.write(work)
    return value


def find(db: Store, value: str) -> tuple[str, Role] | None:
    """The user of a token's value and what it may; None where it is none, has run out, or its user may not log in."""
    live = (or_(ApiToken.expires_utc.is_(None), ApiToken.expires_utc >= now_utc()), WebUser.disabled.is_(False))
    columns = (ApiToken.id, WebUser.name, WebUser.role, ApiToken.role, seconds_since(ApiToken.used_utc))
    wanted = select(*columns).join(WebUser, WebUser.name == ApiToken.user_name).where(ApiToken.digest == digest(value), *live)
    with db.read_scope() as session:
        row = session.execute(wanted).first()
    if row is None:
        return None
    token_id, name, of_user, of_token, age_s = row
    if age_s is None or age_s > SEEN_EVERY_S:
        db.write(lambda session: session.execute(update(ApiToken).where(ApiToken.id == token_id).values(used_utc=now_utc())))
    return name, Role(of_token) if Role(of_user).may(Role(of_token)) else Role(of_user)


def listing(db: Store, user: str | None = None) -> list[Token]:
    """Tokens of a user, or of all."""
    wanted = select(ApiToken).order_by(ApiToken.user_name, ApiToken.id)
    with db.read_scope() as session:
        rows = session.scalars(wanted if user is None else wanted.where(ApiToken.user_name == user))
        return [Token(r.id, r.name, r.user_name, Role(r.role), r.created_utc, r.expires_utc, r.used_utc) for r in rows]


def revoke(db: Store, token_id: int, user: str | None = None) -> None:
    """Take a token back; of `user` alone where given. RequestError where there is none such."""

    def work(session: Session) -> None:
        wanted = delete(ApiToken).where(ApiToken.id == token_id).returning(ApiToken.id)
        if session.execute(wanted if user is None else wanted.where(ApiToken.user_name == user)).first() is None:
            raise RequestError(f"token {token_id}: expected a token that there is, got none")

    db.write(work)
