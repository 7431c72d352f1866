"""`satdaemon inspect`: what a SAFE product holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from satdaemon.cli.application import JsonOption, app, make_console


@app.command("inspect")
def inspect(
    path: Annotated[Path, typer.Argument(help="A Sentinel-1 SLC product: SAFE zip or directory.")],
    as_json: JsonOption = False,
) -> None:
    """Show product, orbit and bursts (id, ESA id, ANX time, swath, footprint) of a SAFE zip or directory."""
    from satdaemon.insar.safe import inspect as read

    found = read(path)
    if as_json:
        typer.echo(json.dumps(found, indent=1, default=str))
        return
    console = make_console()
    for part in ("product", "orbit"):
        for key, value in found[part].items():
            console.print(f"[bold]{part} {key}[/]: {value}", highlight=False)
    table = Table("burst", "ESA id", "anx (0.1 s)", "swath", "footprint (lon, lat)")
    for burst in found["bursts"]:
        corners = " ".join(f"{x:.3f},{y:.3f}" for x, y in burst["footprint"])
        table.add_row(burst["id"], str(burst["esa_id"]), str(burst["anx"]), burst["swath"], corners)
    console.print(table)
