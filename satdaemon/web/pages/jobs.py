"""Jobs: running, failed, in the queue; and one with all that happened to it."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Request
from fastapi.responses import Response

from satdaemon.db.job_list import JobHistory, JobPlace, history, listing, product_of
from satdaemon.errors import RequestError
from satdaemon.web.log_tail import Tail, tail
from satdaemon.web.quicklooks import shown
from satdaemon.web.render import page
from satdaemon.web.state import State, state_of

router = APIRouter(include_in_schema=False)
JobId = Annotated[int, Path(ge=1, le=2**63 - 1)]
LISTED = 200


@router.get("/jobs")
def jobs(
    request: Request, place: JobPlace | None = None, frame: Annotated[str | None, Query(max_length=60)] = None
) -> Response:
    """The page."""
    places = tuple(JobPlace) if place is None else (place,)
    found = listing(state_of(request).database, frame_id=frame or None, places=places, most=LISTED)
    part = request.headers.get("hx-target") == "jobs"
    values = {"here": "jobs", "jobs": found, "place": place, "frame_id": frame or None, "places": list(JobPlace), "most": LISTED}
    return page(request, "parts/jobs.html" if part else "jobs.html", values)


@router.get("/jobs/{job_id}")
def job(request: Request, job_id: JobId) -> Response:
    """One job."""
    state = state_of(request)
    found = known_job(state, job_id)
    product = product_of(state.database, job_id)
    values = {"here": "jobs", "job": found, "product": product, "pictures": shown(product), "log": output_of(state, found)}
    return page(request, "job.html", values)


@router.get("/jobs/{job_id}/log")
def log(request: Request, job_id: JobId) -> Response:
    """The end of its output; asks for itself again while the job runs."""
    state = state_of(request)
    found = known_job(state, job_id)
    return page(request, "parts/log.html", {"job": found, "log": output_of(state, found)})


def known_job(state: State, job_id: int) -> JobHistory:
    """The job; 404 for an id that no job ever had."""
    try:
        return history(state.database, job_id)
    except RequestError as error:
        raise HTTPException(404, str(error)) from error


def output_of(state: State, found: JobHistory) -> Tail | None:
    """The end of what a job printed; None where there is no log."""
    path = found.job.log if found.job is not None else None
    return None if path is None else tail(FilePath(path), state.settings.parameters.log_path)
