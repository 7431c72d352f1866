"""A change of a frame's dates, network or master: what it would make, redo and give up, before it is done; and doing it.

Both run the very same steps in one transaction; a question's is undone. So an answer is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pydantic import ValidationError

from satdaemon.config import NetworkSettings
from satdaemon.db import file_orbits, network, rows, staleness
from satdaemon.db.daemon import changed
from satdaemon.db.effects import Effect, Effects, by_stage, compare, snapshot
from satdaemon.db.frames import row_of
from satdaemon.db.master import replace_master
from satdaemon.db.models import Frame
from satdaemon.db.procdates import DatesReport, update_dates
from satdaemon.db.store import Store
from satdaemon.db.within import at_once, undone
from satdaemon.errors import NeedsConfirmation, RequestError
from satdaemon.status import Stage

RANGE = ("start_date", "end_date")
SETTINGS = (*RANGE, *NetworkSettings.model_fields)
"""Columns of a frame that a change may set; None takes satdaemon.cfg's value, or leaves the range open."""
NETWORK = {"previous", "annual_pairs", "annual_tolerance_days", "max_days"}
"""Those of which pairs follow."""
Row = tuple[date, date | None]
"""A date, or the two dates of a pair."""


@dataclass(frozen=True, slots=True)
class FrameChange:
    """What a person would change of a frame; nothing: only what its new files bring."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Any of SETTINGS."""
    master: date | None = None
    exclude: tuple[Row, ...] = ()
    include: tuple[Row, ...] = ()
    reason: str = ""
    """Why dates and pairs are excluded; must be given where some are."""

    def __str__(self) -> str:
        words = [f"{name} {'as configured' if value is None else value}" for name, value in self.settings.items()]
        words += [f"master {self.master}"] if self.master is not None else []
        words += [f"exclude {_named(row)}" for row in self.exclude] + [f"include {_named(row)}" for row in self.include]
        return ", ".join(words) or "its files as they are now"


@dataclass(frozen=True, slots=True)
class FramePlan:
    """What a change would do, or has done."""

    frame_id: str
    change: str
    effects: Effects
    dates: DatesReport
    notes: tuple[str, ...]
    """What a person should know besides: the frame is off, its network is in parts, no master can be chosen yet."""


def what_if(db: Store, frame_id: str, change: FrameChange | None = None) -> FramePlan:
    """What a change would do. Nothing is changed. RequestError where it cannot be done, as `change_frame` raises it."""
    file_orbits.complete(db, file_orbits.of_frame(frame_id))
    return undone(db, lambda store: _do(store, frame_id, change or FrameChange(), "what_if"))


def change_frame(db: Store, frame_id: str, change: FrameChange, *, who: str, confirm: bool = False) -> FramePlan:
    """Change a frame: all of it, or on an error nothing.

    Raises NeedsConfirmation, whose `effects` are the plan's, where products would be made again or given up and
    `confirm` is not given; RequestError where it cannot be done.
    """

    def work(store: Store) -> FramePlan:
        with store.read_scope() as session:
            retired = row_of(session, frame_id).retired_utc
        if retired is not None:
            raise RequestError(
                f"frame {frame_id}: expected one that is processed, got one retired on {retired:%Y-%m-%d}; restore it"
            )
        plan = _do(store, frame_id, change, who)
        if plan.effects.loses_work and not confirm:
            raise NeedsConfirmation(_question(plan), plan.effects)
        return plan

    file_orbits.complete(db, file_orbits.of_frame(frame_id))
    return at_once(db, work)


def set_master(db: Store, frame_id: str, master_date: date, *, confirm: bool, who: str = "set_master_for_frame") -> DatesReport:
    """Make a date the master of a frame, or choose it as the first one."""
    return change_frame(db, frame_id, FrameChange(master=master_date), who=who, confirm=confirm).dates


def _do(store: Store, frame_id: str, change: FrameChange, who: str) -> FramePlan:
    _check(change)
    with store.read_scope() as session:
        row_of(session, frame_id)
    before = snapshot(store, frame_id)
    if change.settings:
        _set(store, frame_id, change.settings, who)
    for row in change.exclude:
        rows.exclude(store, frame_id, *row, reason=change.reason.strip(), who=who)
    for row in change.include:
        rows.include(store, frame_id, *row, who=who)
    wish = change.master
    if wish is not None and replace_master(store, frame_id, wish, who=who):
        wish = None
    dates = update_dates(store, frame_id, wish)
    staleness.mark(store, [frame_id])
    return FramePlan(
        frame_id,
        str(change),
        compare(store, before, snapshot(store, frame_id), frame_id),
        dates,
        tuple(_notes(store, frame_id, dates)),
    )


def _check(change: FrameChange) -> None:
    if unknown := sorted(set(change.settings) - set(SETTINGS)):
        raise RequestError(f"change of a frame: expected any of {', '.join(SETTINGS)}, got {', '.join(unknown)}")
    if change.exclude and not change.reason.strip():
        raise RequestError(f"exclude {_named(change.exclude[0])}: expected a reason, got none")
    if both := set(change.exclude) & set(change.include):
        raise RequestError(f"expected a date to be excluded or included, got both for {_named(sorted(both)[0])}")
    own = {name: value for name, value in change.settings.items() if name not in RANGE and value is not None}
    try:
        NetworkSettings.model_validate(own)
    except ValidationError as error:
        wrong = "; ".join(f"{item['loc'][0]}: {item['msg']}, got {item['input']!r}" for item in error.errors())
        raise RequestError(f"change of a frame: {wrong}") from error


def _set(store: Store, frame_id: str, settings: Mapping[str, Any], who: str) -> None:
    with store.session_scope() as session:
        frame = row_of(session, frame_id, lock=True)
        first, last = (settings.get(name, getattr(frame, name)) for name in RANGE)
        if first is not None and last is not None and first > last:
            raise RequestError(f"frame {frame_id}: expected a start that is not after the end, got {first} and {last}")
        for name, value in settings.items():
            setattr(frame, name, value)
        frame.network_due = True
        session.flush()
        if settings.keys() & NETWORK:
            network.narrow(store, session, frame_id)
        what = ", ".join(f"{name}={value}" for name, value in sorted(settings.items()))
        changed(session, who=who, what=f"frame {what}", frame_id=frame_id)


def _notes(store: Store, frame_id: str, dates: DatesReport) -> list[str]:
    with store.read_scope() as session:
        frame = session.get_one(Frame, frame_id)
        notes = list(dates.warnings)
        if frame.retired_utc is not None:
            notes.append("the frame is retired: nothing is made of it")
        elif not frame.processing:
            notes.append("the frame is switched off: nothing is made until it is on (satdaemon frame on)")
        if off := [stage.value for stage in Stage if not getattr(frame, f"do_{stage.value}")]:
            notes.append(f"switched off for the frame, and so not counted: {', '.join(off)}")
        first, last = frame.start_date, frame.end_date
    inside = [day for day in dates.dates if (first or day) <= day <= (last or day)]
    if len(inside) < len(dates.dates):
        notes.append(f"{len(inside)} of {len(dates.dates)} dates are in the frame's range, {first or '...'} to {last or '...'}")
    if dates.master is None:
        notes.append(dates.master_reason)
    return notes


def _question(plan: FramePlan) -> str:
    again = [f"means making again: {_listed(plan.effects.redo)}"] if plan.effects.redo else []
    lost = [f"gives up: {_listed(plan.effects.drop)}"] if plan.effects.drop else []
    return f"frame {plan.frame_id}: {plan.change}: {'; '.join(again + lost)}. Call again with confirm=True to do so"


def _listed(effects: tuple[Effect, ...]) -> str:
    return ", ".join(map(str, by_stage(effects)))


def _named(row: Row) -> str:
    return f"{row[0]}" if row[1] is None else f"{row[0]} {row[1]}"


__all__ = ["SETTINGS", "Effect", "Effects", "FrameChange", "FramePlan", "change_frame", "set_master", "what_if"]
