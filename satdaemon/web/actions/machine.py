"""What can be done to a machine."""

from __future__ import annotations

from satdaemon.web.actions.action import Action, Call, Field


def _drain(call: Call) -> str:
    call.controller.set_machine_state(call.target, "draining", call.values["reason"])
    return f"{call.target} gets no more jobs"


def _enable(call: Call) -> str:
    call.controller.set_machine_state(call.target, "enabled")
    return f"{call.target} gets jobs again"


ACTIONS = (
    Action(
        "machine", "drain", "Drain", "Jobs that run on {target} end, and it gets no more of them.", _drain,
        (Field("reason", "Reason", required=False, hint="Shown beside the machine."),),
    ),
    Action(
        "machine", "enable", "Enable", "{target} gets jobs again; failures that were counted against it are forgotten.", _enable,
    ),
)  # fmt: skip
