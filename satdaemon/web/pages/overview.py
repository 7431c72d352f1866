"""The first page: is it running, what runs where, what is late, how much room there is."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

from satdaemon.web.render import page
from satdaemon.web.state import State, state_of

router = APIRouter(include_in_schema=False)
RUNNING = 12


@dataclass(frozen=True, slots=True)
class Disk:
    """A place on disk, as this host sees it."""

    what: str
    path: Path
    free: int | None
    """Bytes; None where it cannot be seen from here."""
    total: int | None
    least_free: float

    @property
    def is_low(self) -> bool:
        """True where jobs would not begin."""
        return self.free is not None and self.free < self.least_free


@router.get("/")
def whole(request: Request) -> Response:
    """The page."""
    return page(request, "overview.html", _values(state_of(request)))


@router.get("/overview/live")
def live(request: Request) -> Response:
    """The part that renews itself."""
    return page(request, "parts/overview.html", _values(state_of(request)))


def _values(state: State) -> dict[str, object]:
    seen = state.overview.get()
    values = {"here": "overview", "seen": seen, "running": seen.running[:RUNNING], "rates": state.rates.get()}
    return {**values, "late": state.late.get(), "disks": disks(state)}


def disks(state: State) -> list[Disk]:
    """Where products and downloads go."""
    parameters = state.settings.parameters
    found = []
    for what, path in (("products", parameters.processing_path), ("downloads", parameters.data_path)):
        try:
            usage = shutil.disk_usage(path)
        except OSError:
            found.append(Disk(what, path, None, None, 0.0))
        else:
            found.append(Disk(what, path, usage.free, usage.total, parameters.least_free_gb * 1e9))
    return found
