"""What can be done to a frame."""

from __future__ import annotations

from satdaemon.db.what_if import FrameChange
from satdaemon.status import Stage
from satdaemon.web.actions.action import Action, Call, Field, Kind

_DATE1 = Field("date", "Date", Kind.DATE)
_DATE2 = Field("date2", "Second date of a pair", Kind.DATE, required=False, hint="Empty: the date itself, with all its pairs.")


def _on(call: Call) -> str:
    call.controller.set_frame_full_proc(call.target, True)
    return f"{call.target} is on"


def _off(call: Call) -> str:
    call.controller.set_frame_full_proc(call.target, False)
    return f"{call.target} is off"


def _til(call: Call) -> str:
    call.controller.set_frame_til(call.target, call.values["stage"], True)
    return f"{call.target} is processed til the end of {call.values['stage']}"


def _updates(call: Call) -> str:
    call.controller.set_frame_noupdate(call.target, call.values["updates"] == "no")
    return f"{call.target}: updates {call.values['updates']}"


def _reprocess(call: Call) -> str:
    call.controller.set_frame_reprocess(call.target, call.values["again"] == "yes")
    return f"{call.target}: stale products are {'made again' if call.values['again'] == 'yes' else 'kept until asked'}"


def _priority(call: Call) -> str:
    call.controller.set_frame_priority(call.target, call.values["priority"])
    return f"{call.target} has priority {call.values['priority']}"


def _range(call: Call) -> str:
    call.controller.set_frame_proc_range(call.target, call.values["start"], call.values["end"])
    return f"{call.target}: dates {call.values['start'] or 'open'} to {call.values['end'] or 'open'}"


def _master(call: Call) -> str:
    change = FrameChange(master=call.values["date"])
    plan = call.controller.change_frame(call.target, change, confirm=call.confirmed)
    return f"{call.target}: {plan.change}"


def _exclude(call: Call) -> str:
    change = FrameChange(exclude=((call.values["date"], call.values["date2"]),), reason=call.values["reason"])
    plan = call.controller.change_frame(call.target, change, confirm=call.confirmed)
    return f"{call.target}: {plan.change}"


def _include(call: Call) -> str:
    change = FrameChange(include=((call.values["date"], call.values["date2"]),))
    plan = call.controller.change_frame(call.target, change, confirm=call.confirmed)
    return f"{call.target}: {plan.change}"


def _retry(call: Call) -> str:
    return f"{call.controller.retry(frame_id=call.target, stage=call.values['stage'])} jobs are in the queue again"


def _cancel(call: Call) -> str:
    count = call.controller.cancel(frame_id=call.target, reason=call.values["reason"] or "")
    return f"{count} jobs are stopped, and held until somebody retries them"


def _notes(call: Call) -> str:
    call.controller.set_frame_notes(call.target, call.values["notes"])
    return f"{call.target}: notes kept"


ACTIONS = (
    Action("frame", "on", "Switch on", "{target} is processed with all stages, and new dates are taken up.", _on),
    Action("frame", "off", "Switch off", "{target} is not processed any more. What runs ends; what is made stays.", _off),
    Action(
        "frame", "til", "Process til a stage", "{target} is on, and all stages after this one are off.", _til,
        (Field("stage", "Last stage", Kind.CHOICE, choices=tuple(Stage)),),
    ),
    Action(
        "frame", "updates", "Updates", "Whether {target} takes up dates that come after its initial processing.", _updates,
        (Field("updates", "Take up new dates", Kind.CHOICE, choices=("yes", "no")),),
    ),
    Action(
        "frame", "reprocess", "Stale products", "Whether what has become stale of {target} is made again.", _reprocess,
        (Field("again", "Make them again", Kind.CHOICE, choices=("yes", "no")),),
    ),
    Action(
        "frame", "priority", "Priority", "Frames with a higher number go first; what is queued of {target} moves too.", _priority,
        (Field("priority", "Priority", Kind.NUMBER),),
    ),
    Action(
        "frame", "range", "Dates from, to", "Only dates within are processed. What is made of others stays.", _range,
        (
            Field("start", "First date", Kind.DATE, required=False, hint="Empty: open."),
            Field("end", "Last date", Kind.DATE, required=False, hint="Empty: open."),
        ),
    ),
    Action(
        "frame", "master", "Change the master", "Everything of {target} from satsar on is made again.", _master,
        (_DATE1,), danger=True,
    ),
    Action(
        "frame", "exclude", "Exclude", "A date or a pair of {target} is left out; the network stays connected.", _exclude,
        (_DATE1, _DATE2, Field("reason", "Reason", hint="Shown wherever the date is.")),
    ),
    Action(
        "frame", "include", "Include", "A date or a pair of {target} that was excluded is taken back.", _include,
        (_DATE1, _DATE2),
    ),
    Action(
        "frame", "retry", "Retry failed jobs", "Failed jobs of {target} are tried again, held ones released.", _retry,
        (Field("stage", "Stage", Kind.CHOICE, required=False, choices=tuple(Stage), hint="Empty: all."),),
    ),
    Action(
        "frame", "cancel", "Cancel jobs", "All jobs of {target} are stopped, running ones too, and held until somebody retries.",
        _cancel, (Field("reason", "Reason", required=False),), danger=True,
    ),
    Action(
        "frame", "notes", "Notes", "What people want to remember of {target}.", _notes,
        (Field("notes", "Notes", required=False),),
    ),
)  # fmt: skip
