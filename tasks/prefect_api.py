"""The calls to the Prefect server: work pool and flow runs (tasks/deployed.py has deployments)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Crashed

from satdaemon.config import Settings

FRAME_FLOW = "process-frame"
PLANNER = "planner"
MAINTENANCE = "maintenance"
WATCH = "watch"
LIVE = (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.CANCELLING, StateType.PAUSED)
PAGE = 200
"""The most that the server answers at once."""
DELETED_AT_ONCE = 50
"""The most that the server deletes in one request."""


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
    found: list[FlowRun] = []
    while True:
        page = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[FRAME_FLOW])),
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(LIVE)))),
            limit=PAGE,
            offset=len(found),
        )
        found += page
        if len(page) < PAGE:
            return found


def delete_in_bulk(client: SyncPrefectClient, what: Literal["deployments", "flow_runs"], ids: list[Any]) -> None:
    """Delete at most DELETED_AT_ONCE of them, with all that hangs on them."""
    path: Any = f"/{what}/bulk_delete"  # not among the paths of the client's types, though the server has it
    client.request("POST", path, json={what: {"id": {"any_": ids}}})


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
