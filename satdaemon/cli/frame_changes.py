"""What the commands that change a frame share: reading dates and settings, showing a plan, asking, doing."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from datetime import date
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from satdaemon.cli.application import controller, make_console
from satdaemon.domain import some_of
from satdaemon.errors import NeedsConfirmation, RequestError

if TYPE_CHECKING:
    from satdaemon.db.what_if import Effect, FrameChange, FramePlan, Row

_DAY = r"\d{4}-?\d{2}-?\d{2}"
_ROW = re.compile(rf"^({_DAY})(?:[_/:, -]({_DAY}))?$")
_WORDS = {
    "make": "make", "redo": "make again", "stale": "becomes stale", "drop": "not used any more", "cancel": "not made any more",
    "owed": "owed anyway",
}  # fmt: skip
_STYLES = {"make": "green", "redo": "yellow", "stale": "cyan", "drop": "red", "cancel": "magenta", "owed": "dim"}
_OF = {"master": "frame", "ifg": "dates", "rsar_ifg": "pairs"}
_WHOLE = {"previous", "annual_pairs", "annual_tolerance_days", "max_days", "initial_stack"}


def days_of(text: str) -> date:
    """A date as people type it: 2023-01-05 or 20230105."""
    row = _row(text)
    if row[1] is not None:
        raise RequestError(f"expected one date such as 2023-01-05, got {text!r}")
    return row[0]


def rows_of(texts: list[str] | None) -> tuple[Row, ...]:
    """Dates, and pairs such as 20230105_20230117."""
    return tuple(_row(text) for text in texts or ())


def change_of(
    master: str | None, exclude: list[str] | None, include: list[str] | None, reason: str, **settings: str | None
) -> FrameChange:
    """A change as the options of the command line tell it; settings that are None are not touched."""
    from satdaemon.db.what_if import FrameChange

    values = {name: _setting(name, text) for name, text in settings.items() if text is not None}
    day = None if master is None else days_of(master)
    return FrameChange(values, day, rows_of(exclude), rows_of(include), reason)


def carry_out(frame_id: str, change: FrameChange, config: Path | None, *, yes: bool, as_json: bool) -> None:
    """Do a change and show what it did; where it costs products, show them and ask first."""
    from satdaemon.db.what_if import FrameChange, what_if

    if change == FrameChange():
        raise RequestError(f"frame {frame_id}: expected something to change, got nothing; --help lists what can be")
    control = controller(config)
    try:
        plan = control.change_frame(frame_id, change, confirm=yes)
    except NeedsConfirmation as error:
        if as_json:
            raise RequestError(f"{str(error).split('. Call again')[0]}; --yes does so") from error
        print_plan(what_if(control.database, frame_id, change))
        typer.confirm("Do so?", abort=True)
        plan = control.change_frame(frame_id, change, confirm=True)
        typer.echo(f"{frame_id}: done")
        return
    if as_json:
        typer.echo(json.dumps(plan_json(plan), indent=1))
    else:
        print_plan(plan)


def plan_json(plan: FramePlan) -> dict[str, Any]:
    """A plan as plain values, with every key."""
    dates = plan.dates
    return {
        "frame": plan.frame_id,
        "change": plan.change,
        "master": None if dates.master is None else dates.master.isoformat(),
        "dates": len(dates.dates),
        "added": [day.isoformat() for day in dates.added],
        "returned": [day.isoformat() for day in dates.returned],
        "excluded": {day.isoformat(): reason for day, reason in dates.excluded.items()},
        "network_parts": dates.parts,
        "bperp_m": {day.isoformat(): value for day, value in sorted(dates.bperp_m.items())},
        **{name: [_plain(effect) for effect in getattr(plan.effects, name)] for name in _WORDS},
        "loses_work": plan.effects.loses_work,
        "notes": list(plan.notes),
    }


def print_plan(plan: FramePlan) -> None:
    """A plan for people."""
    console, dates = make_console(), plan.dates
    console.print(f"[bold]{plan.frame_id}[/]: {plan.change}", highlight=False)
    words = [f"{len(dates.added)} new"] * bool(dates.added) + [f"{len(dates.returned)} back"] * bool(dates.returned)
    words += [f"{len(dates.excluded)} left out by a rule"] * bool(dates.excluded)
    shown = f"{len(dates.dates)} dates" + (f" ({', '.join(words)})" if words else "")
    console.print(f"{shown}; master {dates.master or 'not chosen yet'}", highlight=False)
    if dates.master is not None and dates.bperp_m:
        console.print(f"perpendicular baselines to it: {_spread(list(dates.bperp_m.values()))}", highlight=False)
    table = Table("what", "stage", "of", "count", "which", "GB", "CPU-h")
    for name, word in _WORDS.items():
        for effect in getattr(plan.effects, name):
            which = some_of(effect.keys)
            size = "?" if effect.bytes is None else f"{effect.bytes / 1e9:.3g}"
            cost = "?" if effect.cpu_h is None else f"{effect.cpu_h:.3g}"
            of = _OF[effect.kind.value]
            table.add_row(f"[{_STYLES[name]}]{word}[/]", effect.stage.value, of, str(len(effect.keys)), which, size, cost)
    if table.row_count:
        console.print(table)
        console.print(_total(plan), highlight=False)
    else:
        console.print("nothing is made, made again or given up")
    for note in plan.notes:
        console.print(f"note: {note}", markup=False, highlight=False)


def _spread(bperp_m: list[float | None]) -> str:
    """Baselines in a few words; positive where a date's satellite is the higher one."""
    known = sorted(value for value in bperp_m if value is not None)
    lacking = f"{len(bperp_m) - len(known)} of {len(bperp_m)} not known"
    if not known:
        return lacking
    words = f"{known[0]:.0f} to {known[-1]:.0f} m, half of them within {median(map(abs, known)):.0f} m"
    return words if len(known) == len(bperp_m) else f"{words}; {lacking}"


def _total(plan: FramePlan) -> str:
    new = [*plan.effects.make, *plan.effects.redo]
    hours = [effect.cpu_h for effect in new]
    known = sum(h for h in hours if h is not None)
    unknown = ", without the stages that have no history yet" if None in hours else ""
    return f"to make because of it: {sum(len(effect.keys) for effect in new)} products, {known:.3g} CPU-h{unknown}"


def _plain(effect: Effect) -> dict[str, Any]:
    return {**asdict(effect), "stage": effect.stage.value, "kind": effect.kind.value, "count": len(effect.keys)}


def _row(text: str) -> Row:
    match = _ROW.match(text.strip())
    try:
        if match is None:
            raise ValueError
        first, last = (None if part is None else date.fromisoformat(part) for part in match.groups())
        assert first is not None
    except ValueError:
        raise RequestError(f"expected a date such as 2023-01-05, or a pair such as 20230105_20230117, got {text!r}") from None
    if last is not None and last <= first:
        raise RequestError(f"pair: expected the earlier date first, got {text!r}")
    return first, last


def _setting(name: str, text: str) -> Any:
    if name in ("start_date", "end_date"):
        return None if text == "open" else days_of(text)
    if text == "default":
        return None
    try:
        return int(text) if name in _WHOLE else float(text)
    except ValueError:
        kind = "a whole number" if name in _WHOLE else "a number"
        raise RequestError(f"--{name.replace('_', '-')}: expected {kind} or `default`, got {text!r}") from None
