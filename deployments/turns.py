"""The planner's turns, with patience: a Prefect server or a database that is away for a while ends nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
from prefect.exceptions import PrefectException

from deployments import services
from deployments.dispatching import Dispatching
from satdaemon.config import Settings
from satdaemon.errors import DatabaseUnavailable, SatDaemonError

_LOOK_S = 5.0
_PREFECT_AWAY = (httpx.HTTPError, PrefectException, OSError)


class Turns:
    """Takes a turn whenever one is due; makes the deployments before the first one."""

    def __init__(self, settings: Settings, tell: Callable[[str], Any], *, schedules: bool) -> None:
        self.dispatching = Dispatching(settings)
        self.waits_for: str | None = None
        """What keeps it from planning now."""
        self.is_deployed = False
        self._settings, self._tell, self._schedules = settings, tell, schedules
        self._looked = 0.0

    def take(self) -> None:
        """Plan and start frames, if it is time to look."""
        if time.monotonic() - self._looked < _LOOK_S and not (self.is_deployed and self.waits_for is None and self._is_due()):
            return
        self._looked = time.monotonic()
        if not services.is_healthy(self._settings):
            self._wait(f"the Prefect server at {self._settings.parameters.prefect_api}")
            return
        try:
            if not self.is_deployed:
                self.dispatching.deploy(schedules=self._schedules)
                self._tell("deployments     planner, maintenance, watch; frames follow")
                self.is_deployed = True
            for frame_id in self.dispatching.turn():
                self._tell(f"started         process-frame/{frame_id}")
        except SatDaemonError as error:
            self._wait(f"a turn that succeeds: {error}")
        except _PREFECT_AWAY as error:
            self._wait(f"the Prefect server: {error!r}")
        else:
            self._wait(None)

    def is_idle(self) -> bool:
        """True where nothing that is owed can move; False while that cannot be told."""
        if not self.is_deployed or self.waits_for is not None:
            return False
        try:
            return self.dispatching.is_idle()
        except _PREFECT_AWAY as error:
            self._wait(f"the Prefect server: {error!r}")
            return False

    def _is_due(self) -> bool:
        try:
            return self.dispatching.is_due()
        except DatabaseUnavailable:
            return True  # the turn says so

    def _wait(self, what: str | None) -> None:
        if what is not None and self.waits_for is None:
            self._tell(f"planner: waits for {what}")
        elif what is None and self.waits_for is not None:
            self._tell("planner: goes on")
        self.waits_for = what
