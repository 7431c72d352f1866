"""What all routes share: settings, database, templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from starlette.requests import Request

from satdaemon.config import Settings
from satdaemon.control import SatDaemonController
from satdaemon.db import Database
from satdaemon.db.frame_progress import Progress, frame_progress
from satdaemon.db.tiles.bursts import BurstCell, burst_cells
from satdaemon.web.cache import Kept
from satdaemon.web.points_picture import Clouds


@dataclass(frozen=True)
class State:
    """One running web server."""

    settings: Settings
    database: Database
    progress: Kept[dict[str, Progress]]
    """How far every frame is, for maps."""
    clouds: Clouds
    """Points of the frames that people look at."""
    burst_cells: Kept[list[BurstCell]]
    """Where bursts are, for the map of the world."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Of one configuration; nothing is read yet."""
        database = Database(settings)
        cells = Kept(lambda: burst_cells(database), every_s=3600.0)
        return cls(settings, database, Kept(lambda: frame_progress(database)), Clouds(database), cells)

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
