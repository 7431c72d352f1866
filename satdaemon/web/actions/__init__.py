"""Everything that people may do: one list, which pages, API and tests share. A new action is a line in one of its parts."""

from satdaemon.web.actions import daemon, failures, frame, job, machine
from satdaemon.web.actions.action import Action, Call, Field, Kind

ACTIONS: dict[tuple[str, str], Action] = {
    (action.of, action.name): action
    for action in (*daemon.ACTIONS, *frame.ACTIONS, *job.ACTIONS, *machine.ACTIONS, *failures.ACTIONS)
}
"""By what it is of and its name."""

__all__ = ["ACTIONS", "Action", "Call", "Field", "Kind"]
