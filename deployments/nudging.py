"""Where no planner part is up, a change asks for a run of the planner's deployment at once; its schedule is slow.

The process worker looks, which has to be up for any flow run: so it does not matter who changed what on which host, and
whether Prefect answered them. Asked for again until a plan has seen the change, since Prefect drops runs that would
overlap.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound, PrefectException

from satdaemon.config import Settings
from satdaemon.db import Database, daemon, parts
from satdaemon.errors import RequestError, SatDaemonError
from tasks.prefect_api import PLANNER, prefect_client

EVERY_S = 2.0
AGAIN_S = 20.0
"""A run that was asked for has so long to begin."""
_STUCK_S = 900.0
"""A planner's run that has not ended for so long is none."""
log = logging.getLogger("satdaemon.nudging")


class Nudge:
    """Asks for plans."""

    def __init__(self, settings: Settings) -> None:
        self._database = Database(settings)
        self._asked: tuple[int, float] | None = None

    def look(self) -> bool:
        """Ask for a plan where one is due and nobody is about to make it; True where it was asked for."""
        seen = daemon.read(self._database)
        if not seen.replan or seen.command == daemon.POWER_DOWN or parts.live(self._database, ["planner"]):
            return False
        now = time.monotonic()
        if self._asked is not None and self._asked[0] == seen.change_counter and now - self._asked[1] < AGAIN_S:
            return False
        with prefect_client(self._database.settings) as client:
            if self._is_planning(client):
                return False
            try:
                deployment = client.read_deployment_by_name(f"{PLANNER}/{PLANNER}")
            except ObjectNotFound:
                raise RequestError(f"{PLANNER}/{PLANNER}: expected this deployment: `satdaemon deploy` makes it") from None
            theirs, ours = deployment.parameters.get("config"), str(self._database.settings.source)
            if theirs != ours:
                raise RequestError(f"{PLANNER}/{PLANNER}: expected {ours}, got {theirs}: `satdaemon deploy` makes it ours")
            # Process workers of several hosts ask for one and the same run.
            key = f"change {seen.change_counter} {time.time() // AGAIN_S:.0f}"
            client.create_flow_run_from_deployment(deployment.id, idempotency_key=key)
        self._asked = seen.change_counter, now
        return True

    def _is_planning(self, client: SyncPrefectClient) -> bool:
        now = datetime.now(UTC)
        due = {"after_": (now - timedelta(seconds=_STUCK_S)).isoformat(), "before_": (now + timedelta(seconds=2)).isoformat()}
        live = {"expected_start_time": due, "state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}}}
        query = {"flows": {"name": {"any_": [PLANNER]}}, "flow_runs": live, "limit": 1}
        return bool(client.request("POST", "/flow_runs/filter", json=query).json())


async def nudge(settings: Settings) -> None:
    """Look again and again, until cancelled. What goes wrong is logged once, and tried again."""
    one, trouble = Nudge(settings), ""
    while True:
        try:
            await asyncio.to_thread(one.look)
            trouble = ""
        except (SatDaemonError, httpx.HTTPError, PrefectException, OSError) as error:
            if trouble != (trouble := f"{type(error).__name__}: {error}"):
                log.warning("a plan could not be asked for: %s; tried again", trouble)
        await asyncio.sleep(EVERY_S)
