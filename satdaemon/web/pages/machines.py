"""Machines and parts of the system."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from satdaemon.db.overview import overview
from satdaemon.web.render import page
from satdaemon.web.state import state_of

router = APIRouter(include_in_schema=False)


@router.get("/machines")
def machines(request: Request) -> Response:
    """The page; the table alone where HTMX asks for it."""
    seen = overview(state_of(request).database, running=500)
    part = request.headers.get("hx-target") == "machines"
    return page(request, "parts/machines.html" if part else "machines.html", {"here": "machines", "seen": seen})
