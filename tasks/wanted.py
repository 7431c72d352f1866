"""The deployments as they should be: planner, maintenance, watch, and one a frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from satdaemon.archive.names import LOCAL
from satdaemon.config import Settings
from satdaemon.db.frame_switches import FrameSwitch
from tasks.prefect_api import FRAME_FLOW, MAINTENANCE, PLANNER, WATCH

DAY_S = 86400.0
SEARCHING_S = 900.0
"""Between two turns of `watch` where only archives are looked at: it asks those whose turn has come."""
_ENTRYPOINTS: Mapping[str, str] = MappingProxyType(
    {
        FRAME_FLOW: "flows.frame.process_frame",
        PLANNER: "flows.planner.planner",
        MAINTENANCE: "flows.maintenance.maintenance",
        WATCH: "flows.watch.watch",
    }
)
_PARAMETERS: Mapping[str, str] = MappingProxyType(
    {"frame_id": "The frame.", "config": "Path of satdaemon.cfg on the host of the flow run."}
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One deployment as it should be."""

    flow: str
    name: str
    body: Mapping[str, Any]
    """What the server is sent, without the flow's id and the name."""

    @property
    def title(self) -> str:
        """As `prefect deployment run` wants it."""
        return f"{self.flow}/{self.name}"


def frame_deployments(settings: Settings, frames: Iterable[FrameSwitch]) -> list[Wanted]:
    """One a frame; paused where the frame is switched off."""
    return [
        _wanted(
            settings,
            FRAME_FLOW,
            frame.id,
            parameters={"frame_id": frame.id, "config": str(settings.source)},
            tags=["frame", f"track {frame.track:03d}{frame.orbit_direction}"],
            description=f"Everything that is owed for frame {frame.id}, from download to points.",
            paused=not frame.is_on or frame.is_retired,
        )
        for frame in frames
    ]


def service_deployments(settings: Settings, *, schedules: bool = True) -> list[Wanted]:
    """Planner, maintenance and watch: one run at a time, on their schedules; without them where not `schedules`."""
    parameters = settings.parameters
    return [
        _wanted(
            settings,
            name,
            name,
            parameters={"config": str(settings.source)},
            tags=["service"],
            description=description,
            paused=False,
            concurrency_limit=1,
            concurrency_options={"collision_strategy": "CANCEL_NEW"},
            schedules=_every(interval_s, schedules),
        )
        for name, interval_s, description in (
            (PLANNER, parameters.planner_interval_s, "Works out what is owed and starts the frames that can move."),
            (MAINTENANCE, DAY_S, "Puts right what was lost, and removes what is old."),
            (WATCH, watch_interval_s(settings), "Searches the archives for new scenes, and enters new zips of data_path."),
        )
    ]


def watch_interval_s(settings: Settings) -> float:
    """As configured; where archives are to be searched and nothing is, often enough to ask a silent one again."""
    by_http = settings.download.search_interval_h > 0 and any(name != LOCAL for name in settings.download.archives)
    return settings.parameters.watch_interval_s or (SEARCHING_S if by_http else 0.0)


def _every(interval_s: float, active: bool) -> list[dict[str, Any]]:
    """A schedule; none where the interval is 0."""
    return [{"active": active, "schedule": {"interval": interval_s, "anchor_date": "2020-01-01T00:00:00Z"}}] if interval_s else []


def _wanted(settings: Settings, flow: str, name: str, *, parameters: dict[str, Any], **more: Any) -> Wanted:
    properties = {
        key: {"title": key, "type": "string", "default": value, "description": _PARAMETERS[key], "position": place}
        for place, (key, value) in enumerate(parameters.items())
    }
    body = {
        "entrypoint": _ENTRYPOINTS[flow],
        "work_pool_name": settings.parameters.work_pool,
        "parameters": parameters,
        "parameter_openapi_schema": {"type": "object", "title": "Parameters", "properties": properties},
        "enforce_parameter_schema": False,
        # How a flow run is started is the process worker's business; and Prefect takes as long to check one as for the rest.
        "job_variables": {},
        **more,
    }
    return Wanted(flow, name, MappingProxyType(body))
