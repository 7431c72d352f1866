"""What people did, and what was refused to them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from satdaemon.db.access import audit
from satdaemon.db.changes_list import changes
from satdaemon.status import Role
from satdaemon.web.access.guard import person
from satdaemon.web.render import page
from satdaemon.web.state import state_of

router = APIRouter(include_in_schema=False)


@router.get("/history")
def history(request: Request) -> Response:
    """The page; logins and refusals are for admins."""
    database = state_of(request).database
    entries = audit.listing(database) if person(request).may(Role.ADMIN) else None
    return page(request, "history.html", {"here": "history", "changes": changes(database), "audit": entries})
