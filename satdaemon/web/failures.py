"""What people and programs see where a request cannot be answered."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from satdaemon.errors import ConfigError, DatabaseUnavailable, NeedsConfirmation, RequestError, SatDaemonError
from satdaemon.web.access.guard import NotLoggedIn, is_for_programs
from satdaemon.web.render import page

log = logging.getLogger("satdaemon.web")
AGAIN_S = 5
"""A page that found the database away asks again after so many seconds."""
_TITLES = {
    400: "That cannot be done", 401: "Please log in", 403: "Not allowed", 404: "Not found", 405: "Not allowed",
    409: "Not without a confirmation", 413: "Too large", 422: "That cannot be done", 429: "Too many tries",
    500: "Something went wrong here", 503: "The database does not answer",
}  # fmt: skip


def answer(request: Request, status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """The message as a page, as part of one, or as JSON."""
    if is_for_programs(request):
        return JSONResponse({"detail": message}, status, dict(headers or {}))
    values = {"title": _TITLES.get(status, "That went wrong"), "message": message, "again_s": AGAIN_S if status == 503 else None}
    part = request.headers.get("hx-request") == "true"
    found = page(request, "parts/problem.html" if part else "problem.html", values, status)
    found.headers.update(headers or {})
    return found


def add_to(app: FastAPI) -> None:
    """Let the application answer so."""

    @app.exception_handler(NotLoggedIn)
    def _login(request: Request, _: NotLoggedIn) -> Response:
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        there = f"/login?next={quote(here, safe='')}"
        if request.headers.get("hx-request") == "true":
            return Response(status_code=401, headers={"HX-Redirect": "/login"})
        return RedirectResponse(there, 303)

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> Response:
        return answer(request, error.status_code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    def _invalid(request: Request, error: RequestValidationError) -> Response:
        lines = [f"{'.'.join(str(part) for part in item['loc'][1:])}: {item['msg']}" for item in error.errors()]
        return answer(request, 422, "; ".join(lines))

    @app.exception_handler(SatDaemonError)
    def _expected(request: Request, error: SatDaemonError) -> Response:
        if isinstance(error, DatabaseUnavailable):
            return answer(request, 503, str(error), {"Retry-After": str(AGAIN_S)})
        if isinstance(error, NeedsConfirmation):
            return answer(request, 409, str(error))
        if isinstance(error, RequestError):
            return answer(request, 400, str(error))
        if isinstance(error, ConfigError):
            return answer(request, 503, str(error))
        return answer(request, 400, str(error))

    @app.exception_handler(Exception)
    def _unexpected(request: Request, error: Exception) -> Response:
        log.exception("%s %s", request.method, request.url.path, exc_info=error)
        return answer(request, 500, f"{type(error).__name__}: the log of the web server says more")
