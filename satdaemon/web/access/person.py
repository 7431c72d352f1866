"""Who makes a request: by the cookie of a login, or by a token."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from satdaemon.config import WebSettings
from satdaemon.db import Database
from satdaemon.db.access import sessions, tokens
from satdaemon.status import Role

COOKIE = "satdaemon"
LONGEST = 200
"""No cookie or token of ours is longer."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, or nobody in particular."""

    name: str | None
    role: Role | None
    """None: may see nothing."""
    csrf: str | None = None
    """What requests that change something must carry; None where no cookie is involved."""

    @property
    def who(self) -> str:
        """As recorded with actions."""
        return f"{self.name} (web)" if self.name else "nobody"

    def may(self, role: Role) -> bool:
        """True where this person may do what needs `role`."""
        return self.role is not None and self.role.may(role)


def person_of(request: Request, database: Database, settings: WebSettings) -> Person:
    """Who it is. A token in the Authorization header goes before a cookie; a wrong one is nobody."""
    stranger = Person(None, Role.VIEWER if settings.public else None)
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, value = header.partition(" ")
        if scheme.lower() != "bearer" or not value or len(value) > LONGEST:
            return Person(None, None)
        found = tokens.find(database, value.strip())
        return Person(None, None) if found is None else Person(*found)
    value = request.cookies.get(COOKIE, "")
    if not value or len(value) > LONGEST:
        return stranger
    login = sessions.find(database, value)
    return stranger if login is None else Person(login.user, login.role, login.csrf)
