"""What can be done to the daemon."""

from __future__ import annotations

from satdaemon.status import Role
from satdaemon.web.actions.action import Action, Call, Field, Kind


def _pause(call: Call) -> str:
    call.controller.pause()
    return "Paused: running jobs go on, nothing new begins"


def _resume(call: Call) -> str:
    call.controller.resume()
    return "Resumed"


def _replan(call: Call) -> str:
    call.controller.replan()
    return "The planner looks again"


def _power_down(call: Call) -> str:
    now = call.values["running"] == "stop them too"
    count = call.controller.power_down_daemon(now)
    return f"Powering down: {count} jobs cancelled"


ACTIONS = (
    Action("daemon", "pause", "Pause", "Nothing new begins until somebody resumes. Running jobs go on.", _pause),
    Action("daemon", "resume", "Resume", "Jobs begin again.", _resume),
    Action("daemon", "replan", "Plan now", "The planner looks at once at what is owed.", _replan),
    Action(
        "daemon",
        "power-down",
        "Power down",
        "Pending jobs are cancelled, running ones end, then the whole system stops. Nothing is lost: at the next start the "
        "planner lists again what is owed. These pages stop too where `satdaemon up` keeps them.",
        _power_down,
        (Field("running", "Running jobs", Kind.CHOICE, choices=("let them end", "stop them too")),),
        role=Role.ADMIN,
        danger=True,
    ),
)
