"""`satdaemon frames ...`: frames and bursts for a map."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from satdaemon.cli.application import ConfigOption, JsonOption, app, make_console

frames_app = typer.Typer(help="All frames at once.", no_args_is_help=True)
app.add_typer(frames_app, name="frames")


@frames_app.command("export")
def export(
    out: Annotated[Path, typer.Argument(help="File to write: .shp, .gpkg, .geojson, .parquet or .geoparquet.")],
    bursts: Annotated[bool, typer.Option("--bursts", help="Bursts, not frames.")] = False,
    frames: Annotated[
        list[str] | None, typer.Option("--frames", metavar="ID", help="Only of these frames, comma separated; or repeat.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write frames with switches, dates and counts a stage and state, or bursts, for QGIS and others (docs/maps.md)."""
    import json

    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.export import export_bursts, export_frames

    columns = (TextColumn("[bold]export"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    write = export_bursts if bursts else export_frames
    with Progress(*columns, transient=True, disable=as_json or not make_console().is_terminal) as bars:
        bar = bars.add_task("", total=None)
        report = write(
            Database(load(config)),
            out,
            [one for text in frames for one in text.split(",") if one] if frames else None,
            overwrite=force,
            progress=lambda done, total: bars.update(bar, completed=done, total=total),
        )
    if as_json:
        typer.echo(json.dumps({"path": str(report.path), "rows": report.rows, "columns": report.columns}))
    else:
        typer.echo(f"{report.path}: {report.rows} {'bursts' if bursts else 'frames'}")
