"""The parts of the system: what each consists of, and in what order they start and end.

`satdaemon up` brings all up on one host; `satdaemon up --only KIND` one of them, as a service of its own. A new part is
a line in KINDS.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deployments import services
from satdaemon.config import Machine, Settings
from satdaemon.db import Database, RunningJob, parts
from satdaemon.errors import RequestError
from satdaemon.machines.supervisor import Service

PLANNER = "planner"
"""The part that has no process of its own: its turns are taken by the process that keeps the parts up."""

WEB = "web"


@dataclass(frozen=True)
class Part:
    """One part that is brought up here."""

    kind: str
    name: str
    """What it is claimed by in the database: there is one of that name at a time."""
    services: tuple[Service, ...]
    """Its processes, in the order of their start."""
    machine: str | None = None
    note: str | None = None
    """What people are told of it while all is well."""


@dataclass(frozen=True)
class Kind:
    """What a part of one kind consists of."""

    make: Callable[[Settings, Machine | None, Path | None], tuple[Service, ...]]
    """Its processes, given the machine (for a worker) and the socket of a fork server that workers share."""
    used_by: tuple[str, ...] = ()
    """Kinds of parts that need it as long as they work: in a power down it ends after them."""
    note: Callable[[Settings], str | None] = lambda _: None


KINDS: Mapping[str, Kind] = {
    "prefect": Kind(lambda settings, _, __: (services.prefect_server(settings),), ("flows", PLANNER), services.prefect_database),
    "scheduler": Kind(lambda settings, _, __: (services.dask_scheduler(settings),), ("flows", "worker")),
    "worker": Kind(lambda settings, machine, forks: _worker(settings, machine, forks)),
    "flows": Kind(lambda settings, _, __: (services.process_worker(settings),)),
    PLANNER: Kind(lambda *_: ()),
    WEB: Kind(lambda settings, _, __: (services.web_server(settings),), note=services.web_address),
}
"""In the order of their start."""


def all_parts(settings: Settings, forks: Path) -> list[Part]:
    """Every part that `satdaemon up` brings up: workers of machines with `start = local`, which share a fork server at
    `forks`, and with `start = ssh`."""
    found: list[Part] = []
    local = [machine for machine in settings.machines if machine.start == "local"]
    for kind, what in KINDS.items():
        if kind == WEB and not settings.web.start:
            continue
        if kind != "worker":
            found.append(Part(kind, _name(kind), what.make(settings, None, None), note=what.note(settings)))
            continue
        for place, machine in enumerate(local):
            first = (services.fork_server(settings, forks),) if place == 0 else ()
            found.append(Part(kind, f"worker {machine.name}", first + what.make(settings, machine, forks), machine.name))
        for machine in (one for one in settings.machines if one.start == "ssh"):
            found.append(Part(kind, f"worker {machine.name}", (services.ssh_worker(settings, machine),), machine.name))
    return found


def one_part(settings: Settings, kind: str, machine: str | None) -> Part:
    """The one part for `--only`; its output goes where this process's does. RequestError for an unknown one."""
    if kind not in KINDS:
        raise RequestError(f"--only: expected one of {', '.join(KINDS)}, got {kind!r}")
    if (kind == "worker") != (machine is not None):
        found = "none" if machine is None else repr(machine)
        raise RequestError(f"--only {kind}: expected {'the name of a machine' if kind == 'worker' else 'no name'}, got {found}")
    if machine is None:
        part = Part(kind, _name(kind), KINDS[kind].make(settings, None, None), note=KINDS[kind].note(settings))
    else:
        known = {entry.name: entry for entry in settings.machines}
        if machine not in known:
            raise RequestError(f"--only worker: expected a machine of [PROC_MACHINES] ({', '.join(known)}), got {machine!r}")
        part = Part(kind, f"worker {machine}", KINDS[kind].make(settings, known[machine], None), machine)
    for service in part.services:
        service.log = None
    return part


def reason_to_stay(database: Database, part: Part) -> str | None:
    """What a part waits for before it ends in a power down; None where its turn has come."""
    held = database.query(RunningJob, **({} if part.machine is None else {"machine": part.machine}))
    if held and part.kind in ("worker", "flows", PLANNER):
        return f"{len(held)} running job{'s' if len(held) > 1 else ''}"
    working = [one.name for one in parts.live(database) if one.state != parts.IDLE]
    return ", ".join(name for name in working if kind_of(name) in KINDS[part.kind].used_by) or None


def kind_of(name: str) -> str:
    """The kind of a claimed part."""
    return name.split(" ", 1)[0]


def _name(kind: str) -> str:
    # Every host may have flow runs of its own; of all others there is one.
    return f"flows {socket.gethostname()}" if kind == "flows" else kind


def _worker(settings: Settings, machine: Machine | None, forks: Path | None) -> tuple[Service, ...]:
    assert machine is not None
    return (services.dask_worker(settings, machine, forks),)
