"""`satdaemon resources`: what jobs are configured to ask for, what they were seen to need, and what they ask for now."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from satdaemon.cli.application import ConfigOption, JsonOption, app, make_console
from satdaemon.status import RowKind, Stage

if TYPE_CHECKING:
    from satdaemon.db.resources import ClassOfJobs

_NAMES = {RowKind.MASTER: "master", RowKind.IFG: "dates", RowKind.RSAR_IFG: "pairs"}


@app.command("resources")
def resources_command(
    forget: Annotated[
        bool, typer.Option("--forget", help="Forget what was learned, of --stage or of all: it is learned anew.")
    ] = False,
    stage: Annotated[Stage | None, typer.Option(help="One stage.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Memory, time and space of jobs by stage and size of frame: configured, seen, and asked for now."""
    from satdaemon.config import load
    from satdaemon.control import SatDaemonController
    from satdaemon.db import Database
    from satdaemon.db.resources import classes

    settings = load(config)
    if forget:
        count = SatDaemonController(settings).forget_resources(stage)
        typer.echo(f"forgotten: {count} classes of jobs; they ask for what is configured until it is learned anew")
        return
    found = [one for one in classes(Database(settings)) if stage in (None, one.stage)]
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=1))
        return
    make_console().print(_table(found))


def _table(found: list[ClassOfJobs]) -> Table:
    table = Table("stage", "rows", title="memory and space in GB, time in seconds")
    for name in ("bursts", "jobs", "out of memory", "configured", "asked", "usual", "most", "time", "predicted", "CPU", "space"):
        table.add_column(name, justify="right")
    for one in found:
        low, high = one.bursts or (0, 0)
        table.add_row(
            one.stage.value,
            _NAMES[one.kind],
            f"{low}-{high}" if one.bursts else "",
            str(one.samples or ""),
            str(one.ooms or ""),
            f"{one.configured_memory_gb:g}",
            f"{one.asked_memory_gb:g}",
            *(_short(value) for value in (one.usual_memory_gb, one.most_memory_gb)),
            *(_short(value) for value in (one.usual_wall_s, one.predicted_wall_s, one.usual_cpu_s, one.space_gb)),
        )
    return table


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
