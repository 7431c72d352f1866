"""What failed, by cause."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from satdaemon.db.failure_groups import FailureGroup, failure_groups
from satdaemon.web.render import page
from satdaemon.web.state import State, state_of

router = APIRouter(include_in_schema=False)


@router.get("/failures")
def failures(request: Request) -> Response:
    """The page."""
    return page(request, "failures.html", {"here": "failures", "groups": failure_groups(state_of(request).database)})


def known_group(state: State, key: str) -> FailureGroup:
    """The group of the key; 404 where nothing fails so any more."""
    found = next((group for group in failure_groups(state.database) if group.key == key), None)
    if found is None:
        raise HTTPException(404, "nothing fails for this cause any more")
    return found
