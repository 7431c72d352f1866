"""The deployments of the Prefect server brought in step: all are read in pages, only what differs is written.

A write costs the server about as much as reading two hundred, and SQLite takes one at a time; a thousand frames that
have not changed cost five requests.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient

from satdaemon.config import Settings
from satdaemon.db import Database, runs
from satdaemon.db.frame_switches import FrameSwitch, frame_switches
from tasks.prefect_api import DELETED_AT_ONCE, FRAME_FLOW, PAGE, delete_in_bulk
from tasks.wanted import Wanted, frame_deployments, service_deployments

SQLITE_WRITERS, POSTGRESQL_WRITERS = 1, 6
"""Requests at a time: two already make SQLite wait for its own lock, and from some ten on Prefect answers that it is locked."""


@dataclass
class Step:
    """What was, or is to be, done."""

    made: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    @property
    def writes(self) -> int:
        """How many deployments differ from what they should be."""
        return len(self.made) + len(self.changed) + len(self.removed)


class Difference:
    """What the server has against what it should have. Reads at once, writes when it is told to."""

    def __init__(
        self, client: SyncPrefectClient, settings: Settings, wanted: Sequence[Wanted], remove: Collection[str] | None = None
    ) -> None:
        """`remove`: frames whose deployments are to go; None: all of this configuration that are not wanted."""
        self._client = client
        self._writers = SQLITE_WRITERS if settings.parameters.prefect_database is None else POSTGRESQL_WRITERS
        self._flows: dict[str, str] = {}
        self.step = Step()
        flows = sorted({one.flow for one in wanted} | {FRAME_FLOW})
        names = None if remove is None else [*(one.name for one in wanted), *remove]
        self._have = {(one["flow"], one["name"]): one for one in _read(client, flows, names)}
        self._left: list[Wanted] = []
        for one in wanted:
            there = self._have.get((one.flow, one.name))
            if there is not None and not _what_differs(there, one):
                self.step.unchanged.append(one.title)
                continue
            (self.step.made if there is None else self.step.changed).append(one.title)
            self._left.append(one)
        kept = {one.name for one in wanted if one.flow == FRAME_FLOW}
        self._doomed = [one for (flow, name), one in self._have.items() if flow == FRAME_FLOW and name not in kept]
        if remove is None:
            self._doomed = [one for one in self._doomed if one["parameters"].get("config") == str(settings.source)]
        self.step.removed += [f"{FRAME_FLOW}/{one['name']}" for one in self._doomed]

    def write(self, within_s: float | None = None) -> bool:
        """Write what differs, for `within_s` seconds at most; True where all is written."""
        began = time.monotonic()
        while self._left:
            if within_s is not None and time.monotonic() - began >= within_s:
                return False
            batch = self._left[: self._writers * 8]
            for flow in {one.flow for one in batch} - set(self._flows):
                self._flows[flow] = str(self._client.create_flow_from_name(flow))
            with ThreadPoolExecutor(self._writers) as threads:
                list(threads.map(self._put, batch))
            del self._left[: len(batch)]
        while self._doomed:
            ids = [one["id"] for one in self._doomed[:DELETED_AT_ONCE]]
            delete_in_bulk(self._client, "deployments", ids)
            del self._doomed[: len(ids)]
        return True

    def ids(self) -> dict[str, UUID]:
        """The deployments of frames that are there, by frame."""
        return {name: UUID(one["id"]) for (flow, name), one in self._have.items() if flow == FRAME_FLOW}

    def _put(self, one: Wanted) -> None:
        """Make a deployment, or give one of the name its other values; a switch alone is thrown by a cheaper request."""
        there = self._have.get((one.flow, one.name))
        if there is not None and _what_differs(there, one) == ["paused"] and self._switch(there, one.body["paused"]):
            return
        body = {"flow_id": self._flows[one.flow], "name": one.name, **one.body}
        answer = self._client.request("POST", "/deployments/", json=body)
        self._have[one.flow, one.name] = answer.json()


    def _switch(self, there: dict[str, Any], paused: bool) -> bool:
        """Pause or resume a deployment; False where it is not there any more."""
        ids = {"id": there["id"]}
        try:
            if paused:
                self._client.request("POST", "/deployments/{id}/pause_deployment", path_params=ids)
            else:
                self._client.request("POST", "/deployments/{id}/resume_deployment", path_params=ids)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != httpx.codes.NOT_FOUND:
                raise
            return False
        there["paused"] = paused
        return True


class FrameDeployments:
    """Keeps the deployments of all frames in step with the database, a piece at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._frames: tuple[FrameSwitch, ...] | None = None
        self._difference: Difference | None = None

    @property
    def is_whole(self) -> bool:
        """True where the server has what it should, as far as is known here."""
        if self._difference is not None or self._frames is None:
            return False
        # What frames ask for changes with a change that is planned, and a plan asks anew. That a flow run has left
        # a retired frame is none.
        return not any(frame.is_retired for frame in self._frames) or self._frames == self._wanted()

    def forget(self) -> None:
        """Look at the server again with the next `keep`: somebody may have changed its deployments by hand."""
        self._frames = None

    def keep(self, client: SyncPrefectClient, within_s: float | None = None) -> Step:
        """Make, pause, resume and remove what the frames ask for, for `within_s` seconds at most; what that is in all."""
        frames = self._wanted()
        if self._difference is None or frames != self._frames:
            if frames == self._frames:
                return Step()
            wanted = frame_deployments(self._database.settings, frames)
            self._difference = Difference(client, self._database.settings, wanted)
            self._frames = frames
        step = self._difference.step
        if self._difference.write(within_s):
            self._difference = None
        return step

    def _wanted(self) -> tuple[FrameSwitch, ...]:
        """Frames in service; a retired one as long as a flow run still works on it."""
        frames = frame_switches(self._database)
        leaving = runs.live(self._database) if any(frame.is_retired for frame in frames) else {}
        return tuple(frame for frame in frames if not frame.is_retired or frame.id in leaving)


def deploy_services(client: SyncPrefectClient, settings: Settings, *, schedules: bool = True) -> None:
    """Make or update planner, maintenance and watch."""
    Difference(client, settings, service_deployments(settings, schedules=schedules), remove=()).write()


def deploy_frames(client: SyncPrefectClient, database: Database, frame_ids: Iterable[str]) -> dict[str, UUID]:
    """Make or update the deployments of these frames; their ids."""
    frames = frame_switches(database, list(frame_ids))
    difference = Difference(client, database.settings, frame_deployments(database.settings, frames), remove=())
    difference.write()
    return difference.ids()


def _read(client: SyncPrefectClient, flows: Sequence[str], names: Sequence[str] | None) -> Iterable[dict[str, Any]]:
    """Deployments of these flows, of these names alone where given, with the names of their flows."""
    answer = client.request("POST", "/flows/filter", json={"flows": {"name": {"any_": list(flows)}}}).json()
    name_of = {flow["id"]: flow["name"] for flow in answer}
    if not name_of:
        return
    wanted = [None] if names is None else [names[start : start + PAGE] for start in range(0, len(names), PAGE)]
    for some in wanted:
        for place in range(0, 1 << 30, PAGE):
            query: dict[str, Any] = {"flows": {"id": {"any_": list(name_of)}}, "limit": PAGE, "offset": place, "sort": "NAME_ASC"}
            if some is not None:
                query["deployments"] = {"name": {"any_": list(some)}}
            page = client.request("POST", "/deployments/filter", json=query).json()
            for one in page:
                yield {**one, "flow": name_of[one["flow_id"]]}
            if len(page) < PAGE:
                break


def _what_differs(there: dict[str, Any], wanted: Wanted) -> list[str]:
    """The fields whose values on the server are not the wanted ones."""
    differ = []
    for key, value in wanted.body.items():
        match key:
            case "concurrency_limit":
                found = (there.get("global_concurrency_limit") or {}).get("limit")
            case "concurrency_options":
                found = {"collision_strategy": (there.get(key) or {}).get("collision_strategy")}
            case "schedules":
                found, value = _intervals(there[key]), _intervals(value)
            case _:
                found = there.get(key)
        if found != value:
            differ.append(key)
    return differ


def _intervals(schedules: Sequence[dict[str, Any]]) -> list[tuple[Any, bool]]:
    return sorted((one["schedule"].get("interval"), one["active"]) for one in schedules)
