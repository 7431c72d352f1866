"""Plan, then start a flow run for every frame that can move and has none."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, StateType

from satdaemon.db import Database, daemon, frames, jobs, planning, runs
from satdaemon.errors import SatDaemonError
from satdaemon.processors.registry import versions
from tasks.deployed import FrameDeployments, Step, deploy_frames
from tasks.prefect_api import crash, live_runs, newest_run

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
                _start(database, client, jobs.frames_to_start(database), done)
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
            wanted = [frame_id for frame_id in jobs.frames_to_start(self._database) if frame_id not in self._done.left]
            _start(self._database, self._client, wanted, self._done)
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


def _start(database: Database, client: SyncPrefectClient, frame_ids: Sequence[str], done: Dispatched) -> None:
    wanted = [frame_id for frame_id in frame_ids if frame_id not in done.started]
    deployments = deploy_frames(client, database, wanted) if wanted else {}
    for frame_id in wanted:
        reason = _reason_not_to_start(database, client, frame_id, live_runs(client, deployments[frame_id]))
        newest = newest_run(client, deployments[frame_id])
        if reason is None and newest is not None and newest.state_type is StateType.CANCELLED:
            reason = "its last flow run was cancelled by hand: run its deployment to go on"
        if reason is not None:
            done.left[frame_id] = reason
            continue
        client.create_flow_run_from_deployment(deployments[frame_id])
        done.started.append(frame_id)
        done.left.pop(frame_id, None)


def _reason_not_to_start(database: Database, client: SyncPrefectClient, frame_id: str, live: list[FlowRun]) -> str | None:
    """Why a frame with a flow run that has not ended gets no other. A run whose process is gone is marked so."""
    lease_s = database.settings.parameters.lease_s
    for run in live:
        if run.state_type is not StateType.RUNNING:
            return f"flow run {run.name} is {run.state_name}"
        began = run.start_time or run.expected_start_time
        age_s = (datetime.now(UTC) - began).total_seconds() if began is not None else 0.0
        if runs.holder(database, frame_id) is not None or age_s < lease_s:
            return f"flow run {run.name} is running"
        crash(client, run, f"no sign of life from its process for {lease_s:.0f} s: another flow run takes the frame")
    return None
