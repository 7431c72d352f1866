"""`SatDaemonController`: everything that an operator does. Flows and the command line act through it.

Every call is one transaction, is recorded with who made it, and counts a change, so that the planner makes its
list of jobs again. None of them waits for the daemon.
"""

from __future__ import annotations

import difflib
import getpass
import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from satdaemon.config import NetworkSettings, Settings
from satdaemon.db import (
    Database,
    Frame,
    daemon,
    frame_edit,
    frame_life,
    frame_settings,
    frames,
    jobs,
    machines,
    resources,
    rows,
    space,
)
from satdaemon.db.exclude_failed import exclude_failed
from satdaemon.db.frames import FrameReport
from satdaemon.db.what_if import FrameChange, FramePlan, change_frame
from satdaemon.errors import RequestError
from satdaemon.status import Stage

LARGEST_PRIORITY = 1_000_000


class SatDaemonController:
    """Controls frames, jobs and the daemon of one configuration (default: satdaemon.cfg).

    `who` is recorded with every action; default: the user and host of this process. Each call that names a
    frame, row, job or machine raises RequestError where there is none such.
    """

    def __init__(self, config: Database | Settings | Path | str | None = None, *, who: str | None = None) -> None:
        self.database = config if isinstance(config, Database) else Database(config)
        self.who = who or operator_name()

    # Frames. "Til" a stage: the frame is on, with the stages up to it on and all later ones off. False turns that
    # last stage and all later ones off; a frame without any stage left is off.

    def set_frame_full_proc(self, frame_id: str, on: bool) -> None:
        """Turn a frame on for all stages and for updates, or off for all stages."""
        self._set(
            frame_id, f"full processing {_word(on)}", {**_switches(_flag(on), Stage), **({"do_update": True} if on else {})}
        )

    def set_frame_download(self, frame_id: str, on: bool) -> None:
        """Process the frame only til the end of download."""
        self._til(frame_id, Stage.DOWNLOAD, on)

    def set_frame_satsar(self, frame_id: str, on: bool) -> None:
        """Process the frame only til the end of SatSAR."""
        self._til(frame_id, Stage.SATSAR, on)

    def set_frame_process_til_timeseries(self, frame_id: str, on: bool) -> None:
        """Process the frame only til the end of unwrap: everything that the time series needs."""
        self._til(frame_id, Stage.UNWRAP, on)

    def set_frame_til(self, frame_id: str, stage: Stage | str, on: bool) -> None:
        """Process the frame only til the end of any stage."""
        self._til(frame_id, _stage(stage), on)

    def set_frame_noupdate(self, frame_id: str, on: bool) -> None:
        """On: all stages, but only the initial processing, nothing for dates that come later. Off: updates again."""
        values = {**_switches(True, Stage), "do_update": False} if _flag(on) else {"do_update": True}
        self._set(frame_id, "no updates" if on else "updates on", values)

    def set_frame_reprocess(self, frame_id: str, on: bool) -> None:
        """Allow, or not, that what has become stale is made again."""
        self._set(frame_id, f"reprocessing {_word(on)}", {"reprocess": _flag(on)})

    def set_frame_proc_range(self, frame_id: str, start: date | None, end: date | None) -> None:
        """Process only dates from `start` to `end`, both included; None leaves that side open."""
        for name, day in (("start", start), ("end", end)):
            if day is not None and (not isinstance(day, date) or isinstance(day, datetime)):
                raise RequestError(f"frame {frame_id}: expected a date or None as {name}, got {day!r}")
        if start is not None and end is not None and start > end:
            raise RequestError(f"frame {frame_id}: expected a start that is not after the end, got {start} and {end}")
        values = {"start_date": start, "end_date": end, "network_due": True}
        self._set(frame_id, f"range {start or 'open'} to {end or 'open'}", values)

    def set_frame_priority(self, frame_id: str, priority: int) -> None:
        """Frames with a higher number go first."""
        if not isinstance(priority, int) or isinstance(priority, bool) or abs(priority) > LARGEST_PRIORITY:
            raise RequestError(
                f"frame {frame_id}: expected a whole number from -{LARGEST_PRIORITY} to {LARGEST_PRIORITY}, got {priority!r}"
            )
        self._set(frame_id, f"priority {priority}", {"priority": priority})

    def set_frame_network(self, frame_id: str, **values: float | int | None) -> None:
        """Give a frame keys of [NETWORK] of its own; None takes satdaemon.cfg's again. Pairs that exist stay."""
        own = {name: value for name, value in values.items() if value is not None}
        unknown = sorted(set(values) - set(NetworkSettings.model_fields))
        if unknown or not values:
            known = ", ".join(NetworkSettings.model_fields)
            raise RequestError(f"frame {frame_id}: expected keys of [NETWORK] ({known}), got {', '.join(unknown) or 'none'}")
        try:
            checked = NetworkSettings.model_validate(own)
        except ValidationError as error:
            wrong = "; ".join(f"{item['loc'][0]}: expected: {item['msg']}; got {item['input']!r}" for item in error.errors())
            raise RequestError(f"frame {frame_id}: {wrong}") from error
        stored = {name: getattr(checked, name) if name in own else None for name in values}
        self._set(frame_id, f"network {dict(sorted(values.items()))}", {**stored, "network_due": True})

    def change_frame(self, frame_id: str, change: FrameChange, *, confirm: bool = False) -> FramePlan:
        """Change range, network, master, dates or pairs of a frame in one go; what that does.

        Raises NeedsConfirmation where products would be made again or given up and `confirm` is not given.
        """
        return change_frame(self.database, frame_id, change, who=self.who, confirm=confirm)

    def edit_frame_bursts(
        self, frame_id: str, *, add: Sequence[str] = (), drop: Sequence[str] = (), confirm: bool = False
    ) -> frame_edit.EditPlan:
        """Add bursts to a frame and drop others; what that does. All from slc on is made again.

        Raises NeedsConfirmation where there are such products and `confirm` is not given.
        """
        return frame_edit.edit_bursts(self.database, frame_id, add=add, drop=drop, confirm=confirm, who=self.who)[0]

    def edit_frame(
        self,
        frame_id: str,
        *,
        add: Sequence[str] = (),
        drop: Sequence[str] = (),
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        notes: str | None = None,
        dry_run: bool = False,
    ) -> tuple[frame_edit.Redo, ...]:
        """Change bursts, settings and notes of a frame at once; what becomes stale by the settings. Nothing with `dry_run`."""
        return frame_settings.edit_frame(
            self.database, frame_id, add=add, drop=drop, settings=settings, notes=notes, dry_run=dry_run, who=self.who
        )

    def set_frame_settings(self, frame_id: str, values: Mapping[str, Mapping[str, Any]]) -> tuple[frame_edit.Redo, ...]:
        """Give a frame settings of its own, `{stage: {key: value}}`; None takes satdaemon.cfg's. What becomes stale by it."""
        return frame_settings.edit_settings(self.database, frame_id, values, who=self.who)

    def set_frame_notes(self, frame_id: str, notes: str | None) -> None:
        """Set what people want to remember of a frame."""
        frame_settings.edit_notes(self.database, frame_id, notes, who=self.who)

    def make_frame(self, frame_id: str, bursts: Sequence[str]) -> FrameReport:
        """Make a frame from bursts of the database; it is off. Says which are unknown or do not belong together."""
        return frames.make_frame(self.database, bursts, frame_id, who=self.who)

    def clone_frame(self, frame_id: str, new_id: str) -> FrameReport:
        """Make a frame with the bursts and settings of another; it is off."""
        return frame_life.clone_frame(self.database, frame_id, new_id, who=self.who)

    def retire_frame(self, frame_id: str, *, running: Literal["cancel", "let_end"] | None = None) -> tuple[int, int]:
        """Take a frame out of service; nothing is deleted. How many pending jobs were dropped, how many run.

        Raises NeedsConfirmation where jobs run and `running` does not say what becomes of them.
        """
        return frame_life.retire_frame(self.database, frame_id, running=running, who=self.who)

    def restore_frame(self, frame_id: str) -> bool:
        """Take a retired frame back with the switches it had; True where it is on."""
        return frame_life.restore_frame(self.database, frame_id, who=self.who)

    def delete_frame(self, frame_id: str, *, confirm: bool = False) -> frame_life.Contents:
        """Delete a frame with all that the database has of it; what went. Files on disk stay."""
        return frame_life.delete_frame(self.database, frame_id, confirm=confirm, who=self.who)

    # Jobs and rows.

    def retry(
        self, *, job_id: int | Collection[int] | None = None, frame_id: str | None = None, stage: Stage | str | None = None
    ) -> int:
        """Try failed jobs again with all their tries, release held ones, hurry those that wait; how many.

        One job, several in one go, or those of a frame.
        """
        self._one_of("retry", job_id, frame_id)
        return jobs.retry(self.database, job_id=job_id, frame_id=frame_id, stage=_stage_or_all(stage), who=self.who)

    def cancel(self, *, job_id: int | None = None, frame_id: str | None = None, reason: str = "") -> int:
        """Stop a job or all jobs of a frame, running ones too, and hold them until `retry`; how many."""
        self._one_of("cancel", job_id, frame_id)
        return jobs.cancel(self.database, job_id=job_id, frame_id=frame_id, who=self.who, reason=reason)

    def exclude(self, frame_id: str, date1: date, date2: date | None = None, *, reason: str) -> None:
        """Leave out a date, or the pair of two dates, with a reason that people see."""
        if not reason.strip():
            raise RequestError(f"exclude {frame_id} {date1}: expected a reason, got an empty one")
        rows.exclude(self.database, frame_id, date1, date2, reason=reason.strip(), who=self.who)

    def exclude_failed(self, job_ids: Collection[int], *, reason: str, confirm: bool = False) -> list[FramePlan]:
        """Leave out the dates and pairs of failed jobs, with a reason that people see; what that does, a plan a frame.

        All of it or, on an error, nothing. Raises NeedsConfirmation where products would be made again or given up and
        `confirm` is not given, RequestError where a master is among them: choose another one.
        """
        return exclude_failed(self.database, job_ids, reason=reason, who=self.who, confirm=confirm)

    def include(self, frame_id: str, date1: date, date2: date | None = None) -> None:
        """Take back a date or pair that was excluded."""
        rows.include(self.database, frame_id, date1, date2, who=self.who)

    # The daemon and its machines.

    def pause(self) -> None:
        """Launch nothing more until `resume`; running jobs go on, pending ones stay in the queue."""
        self._command("pause")

    def resume(self) -> None:
        """Launch jobs again, after `pause` or `power_down_daemon`."""
        self._command("run")

    def power_down_daemon(self, now: bool = False) -> int:
        """Cancel all pending jobs and launch nothing more; running jobs complete, or with `now` are stopped. How many were.

        Then the daemon stops in order (docs/howto/operate.md). Nothing is lost: after `resume`, or when the system is
        started again, the planner lists what is owed again.
        """
        self._command("power_down")
        return jobs.cancel(self.database, who=self.who, reason="power down", hold=False, running=_flag(now))

    def replan(self) -> None:
        """Have the planner make its list of jobs again, now."""
        self.database.write(lambda session: daemon.changed(session, who=self.who, what="plan asked for"))

    def set_machine_state(self, name: str, state: str, reason: str | None = None) -> None:
        """`enabled`; `draining` (running jobs end, none is added); or `quarantined`."""
        machines.set_state(self.database, name, state, who=self.who, reason=reason)

    def forget_resources(self, stage: Stage | str | None = None) -> int:
        """Forget what jobs of a stage, or all, were seen to cost; how many classes. They ask for what is configured again."""
        return resources.forget(self.database, _stage_or_all(stage), who=self.who)

    def free_space(self, wanted_gb: float | None = None, *, frame_ids: Sequence[str] | None = None) -> list[space.Removable]:
        """Remove intermediate products that nothing owes, the cheapest to make again first, until so much is free; those gone.

        Without `wanted_gb` nothing is removed, and all that may be are returned.
        """
        for frame_id in frame_ids or ():
            self._one_of("free_space", None, frame_id)
        found = space.removable(self.database, frame_ids)
        if wanted_gb is None:
            return found
        return space.remove(self.database, space.choose(found, wanted_gb), who=self.who)

    def _command(self, word: str) -> None:
        self.database.write(lambda session: daemon.command(session, word, who=self.who))

    def _til(self, frame_id: str, last: Stage, on: bool) -> None:
        order = list(Stage)
        later = order[order.index(last) + 1 :]
        if _flag(on):
            values = {**_switches(True, order[: order.index(last) + 1]), **_switches(False, later), "processing": True}
            self._set(frame_id, f"til {last}", values)
        else:
            values = _switches(False, [last, *later])
            self._set(frame_id, f"{last} and later off", {**values, "processing": None})

    def _set(self, frame_id: str, what: str, values: Mapping[str, Any]) -> None:
        """Write columns of a frame. `processing` None: off if no stage is left on, else as it is."""

        def work(frame: Frame) -> None:
            for name, value in values.items():
                if name != "processing" or value is not None:
                    setattr(frame, name, value)
            if not any(getattr(frame, f"do_{stage.value}") for stage in Stage):
                frame.processing = False

        self._change(frame_id, what, work)

    def _change(self, frame_id: str, what: str, work: Callable[[Frame], None]) -> None:
        def write(session: Any) -> None:
            frame = session.get(Frame, frame_id, with_for_update=True)
            if frame is None:
                raise _no_frame(session, frame_id)
            if frame.retired_utc is not None:
                raise RequestError(f"frame {frame_id}: retired on {frame.retired_utc:%Y-%m-%d}; it is not processed any more")
            work(frame)
            daemon.changed(session, who=self.who, what=what, frame_id=frame_id)

        self.database.write(write)

    def _one_of(self, what: str, job_id: object, frame_id: str | None) -> None:
        if (job_id is None) == (frame_id is None):
            raise RequestError(f"{what}: expected either job_id or frame_id, got {'neither' if job_id is None else 'both'}")
        if frame_id is not None:
            with self.database.read_scope() as session:
                if session.get(Frame, frame_id) is None:
                    raise _no_frame(session, frame_id)


def _no_frame(session: Any, frame_id: str) -> RequestError:
    known = [row.id for row in session.query(Frame.id)]
    near = difflib.get_close_matches(str(frame_id), known, n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else f"; the database has {len(known)} frames"
    return RequestError(f"frame {frame_id!r}: expected a frame of the database, found none{hint}")


def _switches(on: bool, stages: Iterable[Stage]) -> dict[str, Any]:
    """Columns that turn stages on or off; on: the frame with them."""
    return {**{f"do_{stage.value}": on for stage in stages}, **({"processing": True} if on else {})}


def _flag(on: bool) -> bool:
    if not isinstance(on, bool):
        raise RequestError(f"expected True or False, got {on!r}")
    return on


def _word(on: bool) -> str:
    return "on" if on else "off"


def _stage_or_all(stage: Stage | str | None) -> Stage | None:
    return None if stage is None else _stage(stage)


def _stage(stage: Stage | str) -> Stage:
    try:
        return Stage(stage)
    except ValueError:
        raise RequestError(f"stage: expected one of {', '.join(Stage)}, got {stage!r}") from None


def operator_name() -> str:
    """Who does it, for the record: user@host of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
