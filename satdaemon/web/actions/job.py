"""What can be done to a job."""

from __future__ import annotations

from satdaemon.errors import RequestError
from satdaemon.web.actions.action import Action, Call, Field


def job_id(text: str) -> int:
    """The number of a job. RequestError for anything else."""
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise RequestError(f"job: expected its number, got {text!r}")
    return int(text)


def _retry(call: Call) -> str:
    count = call.controller.retry(job_id=job_id(call.target))
    return "The job is in the queue again" if count else "There was nothing to try again: the job is not failed, held or waiting"


def _cancel(call: Call) -> str:
    count = call.controller.cancel(job_id=job_id(call.target), reason=call.values["reason"] or "")
    return "The job is stopped, and held until somebody retries it" if count else "There was nothing to stop: the job is over"


ACTIONS = (
    Action("job", "retry", "Retry", "The job is tried again, with all its tries.", _retry),
    Action(
        "job", "cancel", "Cancel", "The job is stopped within seconds where it runs, and held until somebody retries it.",
        _cancel, (Field("reason", "Reason", required=False, hint="Shown wherever the job is."),), danger=True,
    ),
)  # fmt: skip
