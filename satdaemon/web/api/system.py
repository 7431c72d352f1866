"""The system: overview, throughput, machines, jobs, failures, history."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from satdaemon.db.access import audit
from satdaemon.db.access.audit import Done
from satdaemon.db.changes_list import Change, changes
from satdaemon.db.failure_groups import FailureGroup, failure_groups
from satdaemon.db.job_list import JobHistory, JobLine, JobPlace, listing
from satdaemon.db.overview import MachineView, Overview
from satdaemon.db.throughput import StageRate, throughput
from satdaemon.status import Role
from satdaemon.web.access.guard import needs
from satdaemon.web.api.common import ANSWERS, Limit
from satdaemon.web.log_tail import Tail
from satdaemon.web.pages.jobs import JobId, known_job, output_of
from satdaemon.web.state import state_of

router = APIRouter(prefix="/api", tags=["system"], responses=ANSWERS)


@router.get("/overview")
def of_system(request: Request) -> Overview:
    """The whole system at a glance."""
    return state_of(request).overview.get()


@router.get("/throughput")
def rates(request: Request, hours: Annotated[int, Query(ge=1, le=168)] = 24) -> list[StageRate]:
    """Jobs that ended within the last hours, a stage each."""
    return throughput(state_of(request).database, hours)


@router.get("/machines")
def machines(request: Request) -> tuple[MachineView, ...]:
    """Machines, with what is in use of them."""
    return state_of(request).overview.get().machines


@router.get("/jobs")
def jobs(
    request: Request,
    place: JobPlace | None = None,
    frame_id: Annotated[str | None, Query(max_length=60)] = None,
    limit: Limit = 100,
) -> list[JobLine]:
    """Jobs that run, failed or wait."""
    places = tuple(JobPlace) if place is None else (place,)
    return listing(state_of(request).database, frame_id=frame_id, places=places, most=limit)


@router.get("/jobs/{job_id}")
def job(request: Request, job_id: JobId) -> JobHistory:
    """One job, with what happened to it."""
    return known_job(state_of(request), job_id)


@router.get("/jobs/{job_id}/output")
def output(request: Request, job_id: JobId) -> Tail | None:
    """The end of what the job printed; null where there is no log."""
    state = state_of(request)
    return output_of(state, known_job(state, job_id))


@router.get("/failures")
def failures(request: Request, frame_id: Annotated[str | None, Query(max_length=60)] = None) -> list[FailureGroup]:
    """Failed jobs by cause."""
    return failure_groups(state_of(request).database, frame_id=frame_id)


@router.get("/history")
def history(request: Request, limit: Limit = 200) -> list[Change]:
    """What people changed, the newest first."""
    return changes(state_of(request).database, most=limit)


@router.get("/audit")
@needs(Role.ADMIN)
def audited(request: Request, limit: Limit = 200) -> list[Done]:
    """What was done and refused through the web, the newest first."""
    return audit.listing(state_of(request).database, most=limit)
