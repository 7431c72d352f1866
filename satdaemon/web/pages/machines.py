"""Machines and parts of the system."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from satdaemon.web.render import page
from satdaemon.web.state import state_of

router = APIRouter(include_in_schema=False)


@router.get("/machines")
def machines(request: Request) -> Response:
    """The page; the table alone where HTMX asks for it."""
    seen = state_of(request).overview.get()
    part = request.headers.get("hx-target") == "machines"
    return page(request, "parts/machines.html" if part else "machines.html", {"here": "machines", "seen": seen})
