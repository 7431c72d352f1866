"""The calls to the Prefect server: work pool, deployments, flow runs.

Deployments are made by plain calls, a few milliseconds each, so that a thousand frames take seconds.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import (
    ConcurrencyLimitStrategy,
    ConcurrencyOptions,
    FlowRun,
    StateType,
)
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Crashed

from satdaemon.config import Settings

FRAME_FLOW = "process-frame"
PLANNER = "planner"
MAINTENANCE = "maintenance"
_ENTRYPOINTS: Mapping[str, str] = MappingProxyType(
    {
        FRAME_FLOW: "flows.frame.process_frame",
        PLANNER: "flows.planner.planner",
        MAINTENANCE: "flows.maintenance.maintenance",
    }
)
LIVE = (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.CANCELLING, StateType.PAUSED)
_PAGE = 200

# A flow run's process ends with the process worker that started it, however that one ends.
_COMMAND = f"{shlex.quote(sys.executable)} -m satdaemon.machines.tether {shlex.quote(sys.executable)} -m prefect.engine"


@contextmanager
def prefect_client(settings: Settings) -> Iterator[SyncPrefectClient]:
    """A client of the configured Prefect server."""
    with temporary_settings({PREFECT_API_URL: settings.parameters.prefect_api}), get_client(sync_client=True) as client:
        yield client


def ensure_work_pool(client: SyncPrefectClient, settings: Settings) -> None:
    """Make the work pool of the flow runs where it is not there yet."""
    try:
        client.create_work_pool(WorkPoolCreate(name=settings.parameters.work_pool, type="process"))
    except ObjectAlreadyExists:
        return


def deploy_frames(client: SyncPrefectClient, settings: Settings, frame_ids: Iterable[str]) -> dict[str, UUID]:
    """Make or update `process-frame/<FRAME>` for each frame."""
    flow_id = client.create_flow_from_name(FRAME_FLOW)
    return {
        frame_id: _deploy(
            client,
            settings,
            flow_id,
            FRAME_FLOW,
            frame_id,
            parameters={"frame_id": frame_id, "config": str(settings.source)},
            tags=["frame", f"track {frame_id[:4]}"],
            description=f"Everything that is owed for frame {frame_id}, from download to points.",
        )
        for frame_id in frame_ids
    }


def deploy_services(client: SyncPrefectClient, settings: Settings, *, active: bool = True) -> None:
    """Make or update the planner's and the maintenance's deployments, with their schedules."""
    parameters = {"config": str(settings.source)}
    alone = ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    for name, interval_s, description in (
        (PLANNER, settings.parameters.planner_interval_s, "Works out what is owed and starts the frames that can move."),
        (MAINTENANCE, 86400.0, "Puts right what was lost, and removes what is old."),
    ):
        schedule = IntervalSchedule(interval=timedelta(seconds=interval_s))
        _deploy(
            client,
            settings,
            client.create_flow_from_name(name),
            name,
            name,
            parameters=parameters,
            tags=["service"],
            description=description,
            concurrency_limit=1,
            concurrency_options=alone,
            schedules=[DeploymentScheduleCreate(schedule=schedule, active=active)],
        )


def _deploy(
    client: SyncPrefectClient, settings: Settings, flow_id: UUID, flow: str, name: str, *, parameters: dict[str, Any], **more: Any
) -> UUID:
    properties = {
        key: {"title": key, "type": "string", "default": value, "position": place}
        for place, (key, value) in enumerate(parameters.items())
    }
    return client.create_deployment(
        flow_id,
        name,
        entrypoint=_ENTRYPOINTS[flow],
        work_pool_name=settings.parameters.work_pool,
        parameters=parameters,
        parameter_openapi_schema={"type": "object", "title": "Parameters", "properties": properties},
        enforce_parameter_schema=False,
        job_variables={"command": _COMMAND},
        paused=False,
        **more,
    )


def frame_deployments(client: SyncPrefectClient, frame_ids: Iterable[str]) -> dict[str, UUID]:
    """The deployments that exist, by frame."""
    wanted, found = list(frame_ids), {}
    for place in range(0, len(wanted), _PAGE):
        for deployment in client.read_deployments(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[FRAME_FLOW])),
            deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=wanted[place : place + _PAGE])),
            limit=_PAGE,
        ):
            found[deployment.name] = deployment.id
    return found


def live_runs(client: SyncPrefectClient, deployment_id: UUID) -> list[FlowRun]:
    """Flow runs of a deployment that have not ended."""
    return client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=[deployment_id]),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(LIVE))),
        ),
        limit=10,
    )


def live_frame_runs(client: SyncPrefectClient) -> list[FlowRun]:
    """Flow runs of frames that have not ended."""
    return client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[FRAME_FLOW])),
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(LIVE)))),
        limit=_PAGE,
    )


def newest_run(client: SyncPrefectClient, deployment_id: UUID) -> FlowRun | None:
    """The flow run of a deployment that was made last."""
    found = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment_id])),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        limit=1,
    )
    return found[0] if found else None


def crash(client: SyncPrefectClient, run: FlowRun, why: str) -> None:
    """Mark a flow run whose process is gone."""
    client.set_flow_run_state(run.id, Crashed(message=why), force=True)
