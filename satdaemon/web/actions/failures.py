"""What can be done to failures of one cause."""

from __future__ import annotations

from satdaemon.db.failure_groups import FailureGroup, failure_groups
from satdaemon.errors import RequestError
from satdaemon.web.actions.action import Action, Call, Field


def group_of(call: Call) -> FailureGroup:
    """The failures of the key. RequestError where nothing fails so any more."""
    found = next((group for group in failure_groups(call.controller.database) if group.key == call.target), None)
    if found is None:
        raise RequestError(f"failures {call.target!r}: expected a cause for which something fails, got none: look again")
    return found


def _retry_one(call: Call) -> str:
    group = group_of(call)
    call.controller.retry(job_id=group.job_ids[0])
    return f"{group.example} is in the queue again; where it succeeds, retry the others"


def _retry_all(call: Call) -> str:
    done = call.controller.retry(job_id=group_of(call).job_ids)
    return f"{done} jobs are in the queue again"


def _exclude(call: Call) -> str:
    plans = call.controller.exclude_failed(group_of(call).job_ids, reason=call.values["reason"], confirm=call.confirmed)
    return "; ".join(f"{plan.frame_id}: {plan.change}" for plan in plans)


ACTIONS = (
    Action("failures", "retry-one", "Retry one", "The newest job that failed for this cause is tried again.", _retry_one),
    Action("failures", "retry-all", "Retry all", "All jobs that failed for this cause are tried again.", _retry_all),
    Action(
        "failures", "exclude", "Exclude", "The dates and pairs that failed for this cause are left out; networks stay connected.",
        _exclude, (Field("reason", "Reason", hint="Shown wherever the dates are."),),
    ),
)  # fmt: skip
