"""What all routes share: settings, database, templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from starlette.requests import Request

from satdaemon.config import Settings
from satdaemon.control import SatDaemonController
from satdaemon.db import Database
from satdaemon.db.frame_progress import Progress, frame_progress
from satdaemon.db.messages.late import late_dates
from satdaemon.db.overview import Overview, overview
from satdaemon.db.throughput import StageRate, throughput
from satdaemon.db.tiles import Tile
from satdaemon.db.tiles.bursts import BurstCell, burst_cells
from satdaemon.web.cache import Drawn, Kept, Shared
from satdaemon.web.points_picture import Clouds

RUNNING = 500
"""Most running jobs that are listed."""


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
    frame_tiles: Drawn[Tile]
    """Tiles of many frames."""
    overview: Shared[Overview]
    """The system at a glance: many look at it every few seconds."""
    rates: Shared[list[StageRate]]
    late: Kept[list[str]]
    """What is late, in words."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Of one configuration; nothing is read yet."""
        database = Database(settings)
        cells = Kept(lambda: burst_cells(database), every_s=3600.0)
        return cls(
            settings,
            database,
            Kept(lambda: frame_progress(database)),
            Clouds(database),
            cells,
            Drawn(),
            Shared(lambda: overview(database, running=RUNNING)),
            Shared(lambda: throughput(database), lasts_s=3.0),
            Kept(lambda: [news.title for _, news in sorted(late_dates(database).items())]),
        )

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
