"""The planner's turns within `up`: at once when something changed, without the start of a flow run's process.

The planner's own deployment does the same on its schedule; a lock in the database keeps them apart.
"""

from __future__ import annotations

import time

from satdaemon.config import Settings
from satdaemon.control import operator_name
from satdaemon.db import Database, FrameRun, RunningJob, daemon, jobs, planning, runs
from satdaemon.processors.registry import versions
from tasks.deployed import FrameDeployments, deploy_services
from tasks.dispatch import plan_and_dispatch, update_dates
from tasks.prefect_api import ensure_work_pool, live_frame_runs, prefect_client

_DEPLOYING_S = 5.0
"""A turn gives so much time to deployments: a thousand new ones do not hold up planning."""

_OUTSIDE_S = 30.0
"""How often it is looked at what counts beside the database: orbit files, programs, the DEM."""


class Dispatching:
    """Plans and starts frames, from the process that keeps the parts up."""

    def __init__(self, settings: Settings) -> None:
        self.database = Database(settings)
        self.deployments = FrameDeployments(self.database)
        self._counter: int | None = None
        self._looked_outside = -_OUTSIDE_S

    def resume(self) -> None:
        """Starting the system again takes a power down back."""
        if daemon.read(self.database).command == daemon.POWER_DOWN:
            with self.database.session_scope() as session:
                daemon.command(session, daemon.SCHEDULED, who=operator_name())

    def plan(self) -> None:
        """A first plan, while the Prefect server is still starting."""
        with planning.planner_lock(self.database) as mine:
            if mine:
                update_dates(self.database)
                planning.plan(self.database, everything=True, processors=versions())

    def deploy(self, *, schedules: bool) -> None:
        """Make or update the work pool and the deployments of the services; frames get theirs by the turns."""
        with prefect_client(self.database.settings) as client:
            ensure_work_pool(client, self.database.settings)
            deploy_services(client, self.database.settings, schedules=schedules)

    def is_due(self) -> bool:
        """True where somebody changed something since the last turn."""
        return daemon.read(self.database).change_counter != self._counter

    def turn(self) -> list[str]:
        """Plan and start where something changed or a frame can move; the frames started."""
        if not self._is_something_to_do():
            return []
        with prefect_client(self.database.settings) as client:
            done = plan_and_dispatch(self.database, client, self.deployments, within_s=_DEPLOYING_S)
        if done is None:
            return []
        self._counter = daemon.read(self.database).change_counter
        return done.started

    def _is_something_to_do(self) -> bool:
        if self.is_due() or planning.is_due(self.database) or self._is_everything_due():
            return True
        return bool(jobs.frames_to_start(self.database)) or not self.deployments.is_whole

    def _is_everything_due(self) -> bool:
        if time.monotonic() - self._looked_outside < _OUTSIDE_S:
            return False
        self._looked_outside = time.monotonic()
        return planning.everything_is_due(self.database, versions())

    def is_idle(self) -> bool:
        """True where no job runs or could start, every frame has its deployment, and every flow run has ended."""
        if self.database.query(RunningJob) or self._is_claimed() or jobs.frames_to_start(self.database):
            return False
        if not self.deployments.is_whole:
            return False
        with prefect_client(self.database.settings) as client:
            return not live_frame_runs(client)

    def _is_claimed(self) -> bool:
        return any(runs.holder(self.database, run.frame_id) for run in self.database.query(FrameRun))
