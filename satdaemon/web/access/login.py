"""Logging in and out."""

from __future__ import annotations

import hmac
import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from satdaemon.db.access import User, attempts, audit, sessions, users
from satdaemon.status import Role
from satdaemon.web.access.guard import needs, open_to_all, record
from satdaemon.web.access.passwords import hashed, is_old, is_right
from satdaemon.web.access.person import COOKIE
from satdaemon.web.render import page
from satdaemon.web.state import State, state_of

router = APIRouter(include_in_schema=False)
FORM_COOKIE = "satdaemon_login"
"""Ties the login form to the browser that got it: nobody else can log a browser in."""
_FORM_S = 3600


@router.get("/login")
@open_to_all
def form(request: Request, next: str = "/") -> Response:
    """The form."""
    return _form(request, next)


@router.post("/login")
@open_to_all
def login(
    request: Request,
    name: Annotated[str, Form(max_length=100)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    token: Annotated[str, Form(max_length=100)] = "",
    next: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    """Log in with a password."""
    state = state_of(request)
    cookie = request.cookies.get(FORM_COOKIE, "")
    if not cookie or not hmac.compare_digest(cookie.encode(), token.encode()):
        return _form(request, next, 403, "The form was too old: try again.")
    keys = (f"name {name.casefold()}", f"address {state.address(request)}")
    if attempts.most(state.database, keys) >= state.settings.web.login_tries:
        audit.record(state.database, "login", audit.REFUSED, who=name, address=state.address(request), detail="too many tries")
        return _form(request, next, 429, f"Too many tries: wait {attempts.WINDOW_S / 60:.0f} minutes.")
    found = users.find(state.database, name)
    kept = found[1] if found is not None and not found[0].disabled else None
    if not is_right(kept, password) or found is None or kept is None:
        attempts.failed(state.database, keys)
        audit.record(state.database, "login", audit.REFUSED, who=name, address=state.address(request), detail="name or password")
        return _form(request, next, 401, "Name and password do not fit.")
    attempts.forget(state.database, keys[0])
    if is_old(kept):
        users.rehash(state.database, name, hashed(password))
    return begin(request, state, found[0], next, "password")


@router.post("/logout")
@needs(Role.VIEWER)
def logout(request: Request) -> Response:
    """End the login."""
    sessions.end(state_of(request).database, request.cookies.get(COOKIE, ""))
    record(request, "logout", audit.DONE)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, path="/")
    return answer


def begin(request: Request, state: State, user: User, then: str, by: str) -> Response:
    """Begin the login of somebody who has been found to be the user."""
    lasts_s = state.settings.web.session_h * 3600.0
    value = sessions.begin(state.database, user.name, lasts_s, state.address(request))
    audit.record(state.database, "login", audit.DONE, who=user.name, role=user.role, address=state.address(request), detail=by)
    answer = RedirectResponse(safe_next(then), 303)
    secure = state.settings.web.secure_cookies
    answer.set_cookie(COOKIE, value, max_age=int(lasts_s), path="/", httponly=True, samesite="lax", secure=secure)
    answer.delete_cookie(FORM_COOKIE, path="/")
    return answer


def safe_next(address: str) -> str:
    """A place of ours to go to; the overview for anything else."""
    plain = address.startswith("/") and not address.startswith("//") and "\\" not in address and address.isprintable()
    return address if plain else "/"


def _form(request: Request, then: str, status: int = 200, problem: str | None = None) -> Response:
    token = secrets.token_urlsafe(24)
    web = state_of(request).settings.web
    values = {"token": token, "next": safe_next(then), "problem": problem, "oidc": web.oidc_issuer is not None}
    answer = page(request, "login.html", values, status)
    secure = web.secure_cookies
    answer.set_cookie(FORM_COOKIE, token, max_age=_FORM_S, path="/", httponly=True, samesite="lax", secure=secure)
    return answer
