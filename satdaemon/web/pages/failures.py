"""What failed, by cause."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from satdaemon.db.failure_groups import failure_groups
from satdaemon.web.render import page
from satdaemon.web.state import state_of

router = APIRouter(include_in_schema=False)


@router.get("/failures")
def failures(request: Request) -> Response:
    """The page."""
    return page(request, "failures.html", {"here": "failures", "groups": failure_groups(state_of(request).database)})
