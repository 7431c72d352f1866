"""Users: made, changed, switched off. Passwords come here as hashes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from satdaemon.db.clock import now_utc
from satdaemon.db.models import ApiToken, WebSession, WebUser
from satdaemon.db.store import Store
from satdaemon.db.upsert import insert_ignore
from satdaemon.errors import RequestError
from satdaemon.status import Role

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,59}\Z")


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in."""

    name: str
    role: Role
    disabled: bool
    has_password: bool
    created_utc: datetime
    created_by: str
    last_login_utc: datetime | None


def create(db: Store, name: str, role: Role, *, password: str | None, who: str, subject: str | None = None) -> User:
    """Make a user with the hash of a password, or one of OpenID Connect. RequestError where the name is taken or is none."""
    if NAME.fullmatch(name) is None:
        raise RequestError(f"user: expected a name of letters, digits and . _ @ + - (at most 60), got {name!r}")

    def work(session: Session) -> User:
        values = {"name": name, "role": role.value, "password": password, "subject": subject, "disabled": False}
        if not insert_ignore(session, WebUser, {**values, "created_utc": now_utc(), "created_by": who}):
            raise RequestError(f"user {name}: expected a new name, got one that is taken")
        return _user(session.get_one(WebUser, name))

    return db.write(work)


def find(db: Store, name: str) -> tuple[User, str | None] | None:
    """A user and the hash of the password; None where there is none of the name."""
    with db.read_scope() as session:
        row = session.get(WebUser, name)
        return None if row is None else (_user(row), row.password)


def of_subject(db: Store, subject: str) -> User | None:
    """The user whom OpenID Connect knows under it."""
    with db.read_scope() as session:
        row = session.scalar(select(WebUser).where(WebUser.subject == subject))
        return None if row is None else _user(row)


def tie_subject(db: Store, name: str, subject: str) -> User:
    """Let a user who has no password be known by OpenID Connect. RequestError where another subject has the name already."""

    def work(session: Session) -> User:
        mine = (WebUser.name == name, WebUser.password.is_(None), WebUser.subject.is_(None))
        if session.execute(update(WebUser).where(*mine).values(subject=subject).returning(WebUser.name)).first() is None:
            raise RequestError(f"user {name}: expected one without a password and not yet known by OpenID Connect, got another")
        return _user(session.get_one(WebUser, name))

    return db.write(work)


def listing(db: Store) -> list[User]:
    """All users by name."""
    with db.read_scope() as session:
        return [_user(row) for row in session.scalars(select(WebUser).order_by(WebUser.name))]


def change(
    db: Store, name: str, *, role: Role | None = None, disabled: bool | None = None, password: str | None = None
) -> None:
    """Change a user; logins end where the password, the role or the switch changes. RequestError for the last admin."""
    values: dict[str, Any] = {"role": None if role is None else role.value, "disabled": disabled, "password": password}
    values = {key: value for key, value in values.items() if value is not None}

    def work(session: Session) -> None:
        row = session.get(WebUser, name, with_for_update=True)
        if row is None:
            raise RequestError(f"user {name}: expected a user that there is (satdaemon web users), got none of the name")
        loses = row.role == Role.ADMIN and not row.disabled and (disabled or role not in (None, Role.ADMIN))
        if loses and _admins(session) == 1:
            raise RequestError(f"user {name}: expected another admin to remain, got the last one; make another first")
        session.execute(update(WebUser).where(WebUser.name == name).values(**values))
        session.execute(delete(WebSession).where(WebSession.user_name == name))
        if disabled:
            session.execute(delete(ApiToken).where(ApiToken.user_name == name))

    db.write(work)


def rehash(db: Store, name: str, password: str) -> None:
    """Keep the same password under a newer hash; logins stay."""
    db.write(lambda session: session.execute(update(WebUser).where(WebUser.name == name).values(password=password)))


def _admins(session: Session) -> int:
    wanted = select(func.count()).select_from(WebUser).where(WebUser.role == Role.ADMIN.value, WebUser.disabled.is_(False))
    return session.scalar(wanted) or 0


def _user(row: WebUser) -> User:
    has_password = row.password is not None
    return User(row.name, Role(row.role), row.disabled, has_password, row.created_utc, row.created_by, row.last_login_utc)
