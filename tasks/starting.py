"""Starts a flow run for a frame that can move: one a frame, as many as there are slots, the most urgent first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, StateType

from satdaemon.db import Database, runs, slots
from tasks.deployed import deploy_frames
from tasks.prefect_api import crash, live_frame_runs, newest_run

_BEGINNING_S = 180.0
"""The process of a flow run may take so long to begin, on a host that is overloaded."""
_SOON_S = 60.0


@dataclass
class Started:
    """What became of frames that could move."""

    started: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    """Not started, with the reason."""


def start(database: Database, client: SyncPrefectClient, frame_ids: Sequence[str]) -> Started:
    """Start those of `frame_ids` (the most urgent first) that have no flow run, while there are slots.

    Flow runs that would only wait for a slot are not made: who goes next is decided when one is free.
    """
    done = Started()
    if not frame_ids:
        return done
    live = _live(database, client)
    claimed = runs.live(database)
    at_work = {*claimed, *(frame_id for frame_id, some in live.items() if _is_at_work(database, some, claimed))}
    priority = slots.priorities(database, [*at_work, *frame_ids])
    limit = slots.slots(database)
    for frame_id in frame_ids:
        others = at_work - {frame_id}
        before = sum(priority.get(other, 0) >= priority[frame_id] for other in others)
        reason = _reason_not_to_start(database, client, frame_id, live.get(frame_id, []))
        # Spare slots are for those that come before others at work, however many there are.
        if reason is None and (before >= limit or len(others) >= limit + slots.SPARE):
            reason = f"waits for a slot: {len(others)} frames are at work"
        if reason is None:
            reason = _begin(database, client, frame_id)
        if reason is not None:
            done.left[frame_id] = reason
            continue
        at_work.add(frame_id)
        done.started.append(frame_id)
    return done


def _live(database: Database, client: SyncPrefectClient) -> dict[str, list[FlowRun]]:
    """Flow runs of this configuration's frames that have not ended."""
    found: dict[str, list[FlowRun]] = defaultdict(list)
    for run in live_frame_runs(client):
        if run.parameters.get("config") == str(database.settings.source):
            found[str(run.parameters.get("frame_id"))].append(run)
    return found


def _begin(database: Database, client: SyncPrefectClient, frame_id: str) -> str | None:
    deployment = deploy_frames(client, database, [frame_id])[frame_id]
    newest = newest_run(client, deployment)
    if newest is not None and newest.state_type is StateType.CANCELLED:
        return "its last flow run was cancelled by hand: run its deployment to go on"
    client.create_flow_run_from_deployment(deployment)
    return None


def _reason_not_to_start(database: Database, client: SyncPrefectClient, frame_id: str, live: list[FlowRun]) -> str | None:
    """Why a frame with a flow run that has not ended gets no other. A run whose process is gone is marked so."""
    for run in live:
        if _is_for_later(run):
            continue
        if run.state_type not in (StateType.RUNNING, StateType.PENDING):
            return f"flow run {run.name} is {run.state_name}"
        if runs.holder(database, frame_id) is not None or _is_young(database, run):
            return f"flow run {run.name} is {str(run.state_name).lower()}"
        waited_s = _patience_s(database, run)
        crash(client, run, f"no sign of life from its process for {waited_s:.0f} s: another flow run takes the frame")
    return None


def _is_at_work(database: Database, some: list[FlowRun], claimed: Mapping[str, str]) -> bool:
    """True where a flow run takes a slot, or will as soon as there is one; a run whose process is gone does not."""
    for run in some:
        if run.state_type is StateType.SCHEDULED:
            if not _is_for_later(run):
                return True
        elif run.parameters.get("frame_id") in claimed or _is_young(database, run):
            return True
    return False


def _is_for_later(run: FlowRun) -> bool:
    """True where it is scheduled for a time to come: by a user, or by a clock that was put back since."""
    soon = datetime.now(UTC) + timedelta(seconds=_SOON_S)
    return run.state_type is StateType.SCHEDULED and run.expected_start_time is not None and run.expected_start_time > soon


def _is_young(database: Database, run: FlowRun) -> bool:
    """True where it entered its state so lately that its process need not have given a sign of life.

    One of a time to come is not: the clock was put back since, and Prefect holds its process until that time.
    """
    since = run.state.timestamp if run.state is not None else run.expected_start_time
    return since is None or abs((datetime.now(UTC) - since).total_seconds()) < _patience_s(database, run)


def _patience_s(database: Database, run: FlowRun) -> float:
    lease_s = database.settings.parameters.lease_s
    return lease_s if run.state_type is StateType.RUNNING else max(lease_s, _BEGINNING_S)
