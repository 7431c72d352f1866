"""Users, for admins."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import RedirectResponse, Response

from satdaemon.db.access import audit, users
from satdaemon.errors import RequestError
from satdaemon.status import Role
from satdaemon.web.access.guard import needs, person, record
from satdaemon.web.access.passwords import hashed
from satdaemon.web.render import page
from satdaemon.web.state import state_of

router = APIRouter(include_in_schema=False)


def _page(request: Request, status: int = 200, problem: str | None = None) -> Response:
    values = {"here": "", "users": users.listing(state_of(request).database), "problem": problem}
    return page(request, "users.html", values, status)


@router.get("/users")
@needs(Role.ADMIN)
def listing(request: Request) -> Response:
    """The page."""
    return _page(request)


@router.post("/users")
@needs(Role.ADMIN)
def create(
    request: Request,
    name: Annotated[str, Form(max_length=100)] = "",
    role: Annotated[Role, Form()] = Role.VIEWER,
    password: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """A new user; without a password one who logs in through OpenID Connect."""
    state, who = state_of(request), person(request)
    try:
        users.create(state.database, name.strip(), role, password=hashed(password) if password else None, who=who.who)
    except RequestError as error:
        return _page(request, 400, str(error))
    record(request, "user made", audit.DONE, target=name, detail=f"role {role}")
    return RedirectResponse("/users", 303)


@router.post("/users/{name}")
@needs(Role.ADMIN)
def change(
    request: Request,
    name: Annotated[str, Path(max_length=60)],
    role: Annotated[Role | None, Form()] = None,
    disabled: Annotated[bool | None, Form()] = None,
    password: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Another role, the switch, or a new password; the user's logins end."""
    state = state_of(request)
    try:
        kept = hashed(password) if password else None
        users.change(state.database, name, role=role, disabled=disabled, password=kept)
    except RequestError as error:
        return _page(request, 400, str(error))
    what = [f"role {role}"] if role else []
    what += ["switched off" if disabled else "switched on"] if disabled is not None else []
    what += ["new password"] if password else []
    record(request, "user changed", audit.DONE, target=name, detail=", ".join(what))
    return RedirectResponse("/users", 303)
