"""One's own account: password and tokens."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Path, Request
from fastapi.responses import RedirectResponse, Response

from satdaemon.db.access import attempts, audit, tokens, users
from satdaemon.errors import RequestError
from satdaemon.status import Role
from satdaemon.web.access import login
from satdaemon.web.access.guard import needs, person, record
from satdaemon.web.access.passwords import hashed, is_right
from satdaemon.web.render import page
from satdaemon.web.state import state_of

router = APIRouter(include_in_schema=False)
LASTS_DAYS = (7, 30, 90, 365)


def _page(request: Request, status: int = 200, **values: object) -> Response:
    who = person(request)
    if who.name is None:
        raise HTTPException(404, "there is no account without a login")
    shown = {"here": "", "tokens": tokens.listing(state_of(request).database, who.name), "lasts": LASTS_DAYS}
    return page(request, "account.html", {**shown, "problem": None, "made": None, **values}, status)


@router.get("/account")
def account(request: Request) -> Response:
    """The page."""
    return _page(request)


@router.post("/account/password")
@needs(Role.VIEWER)
def password(
    request: Request,
    old: Annotated[str, Form(max_length=1000)] = "",
    new: Annotated[str, Form(max_length=1000)] = "",
    again: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Another password; all logins of the user end, and this one begins anew."""
    state, who = state_of(request), person(request)
    found = users.find(state.database, str(who.name))
    key = f"name {str(who.name).casefold()}"
    if found is None or attempts.most(state.database, [key]) >= state.settings.web.login_tries:
        return _page(request, 429, problem="Too many tries: wait a quarter of an hour.")
    if not is_right(found[1], old):
        attempts.failed(state.database, [key])
        return _page(request, 400, problem="The present password is another one.")
    if new != again:
        return _page(request, 400, problem="The new password was not typed twice the same.")
    try:
        kept = hashed(new)
    except RequestError as error:
        return _page(request, 400, problem=str(error))
    users.change(state.database, str(who.name), password=kept)
    record(request, "password", audit.DONE)
    return login.begin(request, state, found[0], "/account", "new password")


@router.post("/account/tokens")
@needs(Role.VIEWER)
def token(
    request: Request,
    name: Annotated[str, Form(max_length=60)] = "",
    role: Annotated[Role, Form()] = Role.VIEWER,
    days: Annotated[int, Form(ge=1, le=3650)] = 90,
) -> Response:
    """A new token, shown this once."""
    state, who = state_of(request), person(request)
    try:
        value = tokens.create(state.database, str(who.name), name, role, days * 86400.0)
    except RequestError as error:
        return _page(request, 400, problem=str(error))
    record(request, "token made", audit.DONE, target=name)
    return _page(request, made=value)


@router.post("/account/tokens/{token_id}/revoke")
@needs(Role.VIEWER)
def revoke(request: Request, token_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Response:
    """Take a token of one's own back."""
    state, who = state_of(request), person(request)
    tokens.revoke(state.database, token_id, None if who.may(Role.ADMIN) else who.name)
    record(request, "token revoked", audit.DONE, target=f"token {token_id}")
    return RedirectResponse("/account", 303)
