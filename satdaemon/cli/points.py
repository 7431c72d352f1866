"""`satdaemon points ...`: what stands in the points database."""

from __future__ import annotations

import json
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from satdaemon.cli.application import ConfigOption, JsonOption, app, make_console
from satdaemon.errors import RequestError

points_app = typer.Typer(help="Points and their displacement series.", no_args_is_help=True)
app.add_typer(points_app, name="points")


@points_app.command("near", context_settings={"ignore_unknown_options": True})
def near(
    frame_id: Annotated[str, typer.Argument(help="Frame id.")],
    lon: Annotated[float, typer.Argument(help="Longitude, degrees.")],
    lat: Annotated[float, typer.Argument(help="Latitude, degrees.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the point nearest to a place, and its displacement series."""
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.points import nearest, series

    database = Database(load(config))
    found = nearest(database, frame_id, lon, lat)
    if not len(found):
        raise RequestError(f"frame {frame_id}: expected points in the database, found none; has its ingest run?")
    point_id = int(found.point_id[0])
    line = series(database, frame_id, point_id)
    values: dict[str, Any] = {
        "point_id": point_id,
        "lon": float(found.lon[0]),
        "lat": float(found.lat[0]),
        **{name: None if np.isnan(v[0]) else round(float(v[0]), 3) for name, v in found.values.items()},
    }
    steps = [None if np.isnan(v) else round(float(v), 1) for v in line.displacement_mm]
    if as_json:
        days = [day.isoformat() for day in line.dates]
        typer.echo(json.dumps({**values, "dates": days, "displacement_mm": steps}, indent=1))
        return
    console = make_console()
    for name, value in values.items():
        console.print(f"[bold]{name}[/]: {value}", highlight=False)
    table = Table("date", "mm towards the satellite")
    for day, step in zip(line.dates, steps, strict=True):
        table.add_row(day.isoformat(), "" if step is None else f"{step:+.1f}")
    console.print(table)


@points_app.command("count")
def count(frame_id: Annotated[str, typer.Argument(help="Frame id.")], config: ConfigOption = None) -> None:
    """Print how many points of a frame readers see."""
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.points import version_of

    version = version_of(Database(load(config)), frame_id)
    typer.echo(str(0 if version is None else version.points))
