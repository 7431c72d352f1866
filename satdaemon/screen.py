"""The system at a glance, for a terminal: used by `satdaemon up`, `satdaemon status --watch` and `satdaemon daemon status`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from satdaemon.config import Settings
from satdaemon.db.overview import MachineView, Overview, PartView, RunningView

_COLOURS = {"up": "green", "starting": "yellow", "ending": "yellow", "idle": "yellow", "down": "red"}
_WORDS = {"run": "running", "pause": "paused", "power_down": "powering down"}


def screen(seen: Overview, settings: Settings, note: str = "") -> Group:
    """Everything on one screen; `note` is a last line, such as what is waited for."""
    parts: list[RenderableType] = [headline(seen), parts_table(seen), machines_table(seen)]
    running = [f"  {escape(job.machine)}: {escape(job.title)}  {_progress(job)}" for job in seen.running]
    more = seen.jobs.running - len(running)
    ui = settings.parameters.prefect_api.removesuffix("/api")
    places = f"Prefect UI {ui}   logs {settings.parameters.service_path / 'logs'}, output of jobs {settings.parameters.log_path}"
    return Group(*parts, *running, *([f"  and {more} more"] if more > 0 else []), escape(places), *([note] if note else []))


def headline(seen: Overview) -> str:
    """One line: what the daemon is to do, jobs, frames, the last plan."""
    jobs, daemon = seen.jobs, seen.daemon
    word = _WORDS[daemon.command]
    if daemon.command != "run":
        word = f"[yellow]{word}[/]"
        if daemon.changed_what == f"daemon: {daemon.command}":
            word += f" (by {escape(daemon.changed_by or '?')})"
    failed = f"[red]{jobs.failed} failed[/]" if jobs.failed else "0 failed"
    plan = "no plan yet"
    if daemon.last_plan_utc is not None:
        plan = f"last plan {ago(seen.now_utc, daemon.last_plan_utc)} ago ({daemon.last_plan_s or 0.0:.1f} s)"
    return (
        f"{word}   jobs: {jobs.running} running, {jobs.pending} pending, {jobs.blocked} blocked, {failed}   "
        f"frames: {seen.frames_on} of {seen.frames} on   {plan}"
    )


def parts_table(seen: Overview) -> Table:
    """The parts that somebody has up."""
    table = Table("part", "state", "since", "restarts", "host", "pid", "", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for part in seen.parts:
        table.add_row(*_part_cells(part, seen.now_utc))
    if not seen.parts:
        table.add_row("[red]nothing is up[/]", "", "", "", "", "", "satdaemon up")
    return table


def machines_table(seen: Overview) -> Table:
    """The machines, with what is granted of what they have."""
    table = Table("machine", "state", "jobs", "CPU", "memory GB", "disk", "", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for machine in seen.machines:
        state = machine.state if machine.is_seen else "not heard of"
        colour = "green" if (machine.is_seen and machine.state == "enabled") else "yellow"
        used = (machine.cpu_used, machine.memory_used_gb, machine.disk_used)
        shares = map(_of, used, (machine.cpu, machine.memory_gb, machine.disk))
        table.add_row(machine.name, f"[{colour}]{state}[/]", str(machine.jobs), *shares, escape(_word(machine)))
    return table


def _word(machine: MachineView) -> str:
    failing = f"{machine.failing} jobs in a row failed here" if machine.failing else ""
    return machine.reason or failing


def ago(now: datetime, then: datetime) -> str:
    """A span in words: `40 s`, `5 min`, `3 h`, `2 d`."""
    seconds = max((now - then).total_seconds(), 0.0)
    for size_s, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size_s:
            return f"{seconds / size_s:.0f} {unit}"
    return f"{seconds:.0f} s"


def document(seen: Overview) -> dict[str, Any]:
    """The same for programs."""
    return asdict(seen)


def _part_cells(part: PartView, now: datetime) -> list[str]:
    state = f"[{_COLOURS.get(part.state, 'default')}]{part.state}[/]"
    restarts = str(part.restarts) if part.restarts else ""
    return [part.name, state, ago(now, part.since_utc), restarts, escape(part.host), str(part.pid), escape(part.message or "")]


def _of(used: float, capacity: float) -> str:
    return f"{used:g} of {capacity:g}"


def _progress(job: RunningView) -> str:
    return "asked to stop" if job.is_asked_to_stop else f"{100 * job.progress:.0f} %"
