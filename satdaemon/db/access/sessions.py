"""Logins that last: a random value in a cookie, of which the database keeps the digest."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from satdaemon.db.clock import now_utc, seconds_since
from satdaemon.db.models import WebSession, WebUser
from satdaemon.db.store import Store
from satdaemon.status import Role

SEEN_EVERY_S = 60.0
"""How exactly it is kept when a login was last used."""


@dataclass(frozen=True, slots=True)
class Login:
    """A live login."""

    user: str
    role: Role
    csrf: str


def begin(db: Store, user: str, lasts_s: float, address: str | None) -> str:
    """Begin a login; the value for the cookie. Those that have run out go."""
    value = secrets.token_urlsafe(32)

    def work(session: Session) -> None:
        session.execute(delete(WebSession).where(WebSession.expires_utc < now_utc()))
        session.execute(update(WebUser).where(WebUser.name == user).values(last_login_utc=now_utc()))
        row = {"id": digest(value), "user_name": user, "csrf": secrets.token_urlsafe(32), "address": address}
        times = {"created_utc": now_utc(), "seen_utc": now_utc(), "expires_utc": now_utc(lasts_s)}
        session.add(WebSession(**row, **times))

    db.write(work)
    return value


def find(db: Store, value: str) -> Login | None:
    """The login of a cookie's value, where it lives and its user may log in."""
    key = digest(value)
    age = seconds_since(WebSession.seen_utc)
    wanted = select(WebUser.name, WebUser.role, WebSession.csrf, age).join(WebUser, WebUser.name == WebSession.user_name)
    live = (WebSession.id == key, WebSession.expires_utc >= now_utc(), WebUser.disabled.is_(False))
    with db.read_scope() as session:
        row = session.execute(wanted.where(*live)).first()
    if row is None:
        return None
    name, role, csrf, age_s = row
    if age_s > SEEN_EVERY_S:
        db.write(lambda session: session.execute(update(WebSession).where(WebSession.id == key).values(seen_utc=now_utc())))
    return Login(name, Role(role), csrf)


def end(db: Store, value: str) -> None:
    """End the login of a cookie's value."""
    db.write(lambda session: session.execute(delete(WebSession).where(WebSession.id == digest(value))))


def digest(value: str) -> str:
    """What is kept of a secret that is random enough not to be guessed."""
    return sha256(value.encode()).hexdigest()
