"""What all routes share: settings, database, templates."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from satdaemon.config import Settings
from satdaemon.control import SatDaemonController
from satdaemon.db import Database


@dataclass(frozen=True)
class State:
    """One running web server."""

    settings: Settings
    database: Database

    def controller(self, who: str) -> SatDaemonController:
        """What acts, in somebody's name."""
        return SatDaemonController(self.database, who=who)

    def address(self, request: Request) -> str | None:
        """Where a request comes from (uvicorn has put in what a proxy that is believed says)."""
        return request.client.host if request.client else None


def state_of(request: Request) -> State:
    """That of the application that serves the request."""
    found = request.app.state.satdaemon
    assert isinstance(found, State)
    return found
