"""`satdaemon machines ...`: the processing machines, and whether they get jobs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from satdaemon.cli.application import ConfigOption, JsonOption, app, controller, make_console

if TYPE_CHECKING:
    from satdaemon.db.overview import MachineView

machines_app = typer.Typer(help="Processing machines: list, drain, quarantine, enable.", no_args_is_help=True)
app.add_typer(machines_app, name="machines")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A name of [PROC_MACHINES].")]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Why, for the record and for those who look.")]


@machines_app.command("list")
def list_machines(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the machines: state, whether their workers are alive, and what is in use of what they have."""
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.overview import overview

    found = overview(Database(load(config)), running=0).machines
    if as_json:
        typer.echo(json.dumps([asdict(machine) for machine in found], indent=1))
        return
    _print(found)


@machines_app.command("drain")
def drain(name: NameArgument, reason: ReasonOption = None, config: ConfigOption = None) -> None:
    """Let running jobs end on a machine and give it no more, until `enable`."""
    _set(name, "draining", reason, config)
    typer.echo(f"{name}: its running jobs end, it gets no more; `satdaemon machines enable {name}` takes that back")


@machines_app.command("quarantine")
def quarantine(name: NameArgument, reason: ReasonOption = None, config: ConfigOption = None) -> None:
    """The same for a machine that does harm; people are told."""
    _set(name, "quarantined", reason, config)
    typer.echo(f"{name}: in quarantine, it gets no jobs; `satdaemon machines enable {name}` takes that back")


@machines_app.command("enable")
def enable(name: NameArgument, config: ConfigOption = None) -> None:
    """Give a machine jobs again."""
    _set(name, "enabled", None, config)
    typer.echo(f"{name}: gets jobs")


def _set(name: str, state: str, reason: str | None, config: ConfigOption) -> None:
    controller(config).set_machine_state(name, state, reason)


def _print(machines: tuple[MachineView, ...]) -> None:
    from rich.table import Table

    table = Table("machine", "state", "worker", "jobs", "CPU", "memory (GB)", "disk", "failing", "reason")
    for m in machines:
        used = [f"{a:g} of {b:g}" for a, b in ((m.cpu_used, m.cpu), (m.memory_used_gb, m.memory_gb), (m.disk_used, m.disk))]
        worker = "alive" if m.is_seen else "not heard of"
        table.add_row(m.name, m.state, worker, str(m.jobs), *used, str(m.failing or ""), m.reason or "")
    make_console().print(table if machines else "no machine is known yet: [PROC_MACHINES] names them, `satdaemon up` starts them")
