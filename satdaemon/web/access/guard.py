"""What stands before every route: who asks, what the route needs, and that the request comes from our own pages.

A route that says nothing needs a viewer to read and an operator to change; `needs` says otherwise, `open_to_all` exempts
the few that people need before they are logged in. A new route is guarded because it is a route.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request

from satdaemon.db.access import audit
from satdaemon.status import Role
from satdaemon.web.access.person import Person, person_of
from satdaemon.web.state import state_of

READS = frozenset({"GET", "HEAD", "OPTIONS"})
FIELD, HEADER = "csrf", "x-csrf-token"
_ROLE, _OPEN = "satdaemon_role", "satdaemon_open"
_F = TypeVar("_F", bound=Callable[..., Any])


class NotLoggedIn(Exception):
    """A page that needs a login."""


def needs(role: Role) -> Callable[[_F], _F]:
    """The route is for people of this role."""

    def mark(function: _F) -> _F:
        setattr(function, _ROLE, role)
        return function

    return mark


def open_to_all(function: _F) -> _F:
    """The route is for everybody. It must not change anything on behalf of somebody who is logged in."""
    setattr(function, _OPEN, True)
    return function


def needed_role(endpoint: Any, method: str) -> Role | None:
    """What a route needs; None where it is open to all."""
    if getattr(endpoint, _OPEN, False):
        return None
    role = getattr(endpoint, _ROLE, None)
    assert role is None or isinstance(role, Role)
    return role or (Role.VIEWER if method in READS else Role.OPERATOR)


async def shown_csrf(request: Request) -> str:
    """What the request carries to show that one of our pages made it."""
    header = request.headers.get(HEADER)
    if header is not None or request.method in READS:
        return header or ""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return ""
    value = (await request.form()).get(FIELD)
    return value if isinstance(value, str) else ""


def guard(request: Request, csrf: str = Depends(shown_csrf)) -> None:
    """Let the request pass, with its person in `request.state.person`; NotLoggedIn, 401 or 403 where it may not."""
    state = state_of(request)
    who = request.state.person = person_of(request, state.database, state.settings.web)
    role = needed_role(request.scope["endpoint"], request.method)
    if request.method not in READS and is_from_elsewhere(request):
        raise refused(request, "the request comes from another site")
    if role is None:
        return
    if who.role is None:
        if request.method in READS and not is_for_programs(request):
            raise NotLoggedIn
        raise HTTPException(401, "expected a login, or a token in the Authorization header", {"WWW-Authenticate": "Bearer"})
    if not who.may(role):
        raise refused(request, f"needs the role {role}, and {who.name or 'nobody'} is {who.role}")
    if request.method not in READS and who.name is None:
        raise HTTPException(401, "expected a login", {"WWW-Authenticate": "Bearer"})
    if request.method not in READS and who.csrf is not None and not hmac.compare_digest(csrf.encode(), who.csrf.encode()):
        raise refused(request, "the form is not one of this login: open the page again")


def is_for_programs(request: Request) -> bool:
    """True where the answer is JSON, not a page."""
    return request.url.path.startswith(("/api/", "/stac"))


def is_from_elsewhere(request: Request) -> bool:
    """True where the browser says that another site made the request."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and origin != f"{request.url.scheme}://{request.headers.get('host', '')}"


def refused(request: Request, why: str) -> HTTPException:
    """The refusal, once it has been recorded."""
    record(request, "request", audit.REFUSED, target=f"{request.method} {request.url.path}", detail=why)
    return HTTPException(403, why)


def record(request: Request, action: str, outcome: str, *, target: str | None = None, detail: str | None = None) -> None:
    """Keep what the request's person did, or was refused."""
    state, who = state_of(request), person(request)
    about = {"who": who.name, "role": who.role, "address": state.address(request), "target": target, "detail": detail}
    audit.record(state.database, action, outcome, **about)


def person(request: Request) -> Person:
    """Who makes this request; for routes that want to know."""
    found = request.state.person
    assert isinstance(found, Person)
    return found
