"""Plan, then start a flow run for every frame that can move and has none."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from prefect.client.orchestration import SyncPrefectClient

from satdaemon.db import Database, daemon, frames, jobs, planning
from satdaemon.errors import SatDaemonError
from satdaemon.processors.registry import versions
from tasks.deployed import FrameDeployments, Step
from tasks.starting import Started, start

log = logging.getLogger("satdaemon.dispatch")
_ROUNDS = 20
_MEANWHILE_S = 5.0
"""How often frames are started while every frame is planned."""


@dataclass
class Dispatched:
    """What a planner's turn did."""

    plans: list[planning.Plan] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    """Frames that could move and were not started, with the reason."""
    deployed: Step = field(default_factory=Step)
    """What became of the deployments of all frames."""

    def note(self, started: Started) -> None:
        """Add what was started."""
        self.started += started.started
        self.left |= started.left
        for frame_id in started.started:
            self.left.pop(frame_id, None)


def plan_and_dispatch(
    database: Database, client: SyncPrefectClient, deployments: FrameDeployments | None = None, *, within_s: float | None = None
) -> Dispatched | None:
    """Plan until the change counter stands still, start frames, bring the deployments of frames in step.

    None where another planner is at it. A turn looks at the frames that changed; now and then, and where settings,
    programs or orbits are not what they were, at every frame. `within_s`: seconds for the deployments, which go on with
    the next turn; those of frames that are started do not wait.
    """
    deployments = deployments or FrameDeployments(database)
    with planning.planner_lock(database) as mine:
        if not mine:
            return None
        done = Dispatched()
        for turn in range(_ROUNDS):
            counter = daemon.read(database).change_counter
            update_dates(database)
            if turn == 0:
                done.plans.append(plan(database, _Meanwhile(database, client, done)))
            else:
                done.plans.append(planning.plan(database, processors=versions()))
            if daemon.read(database).grants:
                wanted = [frame_id for frame_id in jobs.frames_to_start(database) if frame_id not in done.started]
                done.note(start(database, client, wanted))
            if daemon.read(database).change_counter == counter:
                break
        if done.plans[0].everything:
            deployments.forget()
        done.deployed = deployments.keep(client, within_s)
        return done


class _Meanwhile:
    """What does not wait until every frame has been planned: new dates, and the start of frames that can move."""

    def __init__(self, database: Database, client: SyncPrefectClient, done: Dispatched) -> None:
        self._database, self._client, self._done = database, client, done
        self._last = time.monotonic()

    def __call__(self) -> None:
        """Now and then; a frame that was not started is asked about again at the end."""
        if time.monotonic() - self._last < _MEANWHILE_S:
            return
        update_dates(self._database)
        if daemon.read(self._database).grants:
            seen = {*self._done.left, *self._done.started}
            wanted = [frame_id for frame_id in jobs.frames_to_start(self._database) if frame_id not in seen]
            self._done.note(start(self._database, self._client, wanted))
        self._last = time.monotonic()


def plan(database: Database, between: Callable[[], object] | None = None) -> planning.Plan:
    """A planner's turn: every frame where that is due, else those that changed."""
    programs = versions()
    everything = planning.everything_is_due(database, programs)
    return planning.plan(database, everything=everything, processors=programs, between=between)


def update_dates(database: Database) -> None:
    """Give frames with new files their new dates. A frame that cannot be brought up to date does not hold up others."""
    for frame_id in frames.to_update(database):
        try:
            database.update_procdates(frame_id)
        except SatDaemonError as error:
            log.warning("%s: its dates could not be brought up to date: %s", frame_id, error)
