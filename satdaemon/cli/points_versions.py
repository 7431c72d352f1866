"""`satdaemon points export|versions|count|prune`: sets of points as a whole."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from satdaemon.cli.application import ConfigOption, JsonOption, make_console
from satdaemon.cli.points import FrameArgument, MaxStd, MaxVelocity, MinCoherence, MinVelocity, points_app

AnyFrame = Annotated[str | None, typer.Argument(help="Frame id; default: every frame.")]


@points_app.command("export")
def export_command(
    frame_id: FrameArgument,
    out: Annotated[Path, typer.Argument(help="File to write: .parquet (GeoParquet), .csv or .zarr.")],
    polygon: Annotated[str | None, typer.Option(help="Only points within: vector file, WKT or GeoJSON.")] = None,
    min_coherence: MinCoherence = None,
    min_velocity: MinVelocity = None,
    max_velocity: MaxVelocity = None,
    max_std: MaxStd = None,
    series: Annotated[bool, typer.Option("--series/--no-series", help="With the displacement series.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace what stands there.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the points of a frame, or of a polygon, to a file. It appears whole or not at all."""
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.points import Quality, export

    quality = Quality(min_coherence, min_velocity, max_velocity, max_std)
    columns = (TextColumn("[bold]points"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, transient=True, disable=as_json) as bars:
        bar = bars.add_task("")
        done = export(
            Database(load(config)), frame_id, out, polygon=polygon, quality=quality, with_series=series, overwrite=force,
            progress=lambda count, most: bars.update(bar, completed=count, total=most),
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(asdict(done), default=str, indent=1))
        return
    what = f"{done.dates} dates" if done.dates else "no series"
    typer.echo(f"{done.path}: {done.points} points, {what}, version {done.version}")


@points_app.command("versions")
def versions_command(frame_id: AnyFrame = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the sets of points: shown (active), replaced (old), and being loaded or left by a load that was killed."""
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.points import removable, versions

    database = Database(load(config))
    goes = {version.id for version in removable(database, frame_id)}
    rows = [_row(version, version.id in goes) for version in versions(database, frame_id)]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table("version", "frame", "state", "points", "dates", "job", "loaded, UTC", "shown, UTC", "prune")
    for row in rows:
        span = f"{row['dates']} ({row['first_date']} to {row['last_date']})"
        table.add_row(
            str(row["version"]), row["frame"], row["state"], str(row["points"]), span, str(row["job_id"]), row["created_utc"],
            row["activated_utc"] or "", "removes it" if row["removable"] else "",
        )  # fmt: skip
    make_console().print(table)


@points_app.command("count")
def count(frame_id: AnyFrame = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print how many points readers see."""
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.points import versions

    shown = {v.frame_id: v.points for v in versions(Database(load(config)), frame_id) if v.state == "active"}
    if frame_id is not None:
        shown.setdefault(frame_id, 0)
    if as_json:
        typer.echo(json.dumps(shown, indent=1))
    elif frame_id is not None:
        typer.echo(str(shown[frame_id]))
    else:
        for frame, points in shown.items():
            typer.echo(f"{frame} {points}")


@points_app.command("prune")
def prune_command(
    frame_id: AnyFrame = None,
    keep: Annotated[int, typer.Option("--keep", min=0, help="Replaced versions of a frame to keep.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove replaced sets of points and what killed loads left. What is shown or being loaded is never touched."""
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.points import orphaned, prune, removable

    database = Database(load(config))
    rows = [_row(version, True) for version in removable(database, frame_id, keep=keep)]
    orphans = [] if frame_id is not None else orphaned(database)
    removed = 0 if dry_run else prune(database, frame_id, keep=keep)
    if as_json:
        typer.echo(json.dumps({"removable": rows, "without_entry": orphans, "removed": removed}, indent=1))
        return
    for row in rows:
        typer.echo(f"version {row['version']} of {row['frame']}: {row['state']}, {row['points']} points")
    for version in orphans:
        typer.echo(f"version {version}: rows without an entry")
    some_stay = not dry_run and removed < len(rows) + len(orphans)
    typer.echo(f"{len(rows) + len(orphans)} to remove" if dry_run else f"{removed} removed")
    if some_stay:
        typer.echo(f"{len(rows) + len(orphans) - removed} stay for now: somebody reads them")


def _row(version: Any, removable: bool) -> dict[str, Any]:
    shown = version.activated_utc
    return {
        "version": version.id,
        "frame": version.frame_id,
        "state": version.state,
        "points": version.points,
        "dates": len(version.dates),
        "first_date": version.dates[0] if version.dates else None,
        "last_date": version.dates[-1] if version.dates else None,
        "product": version.product,
        "job_id": version.job_id,
        "attempt": version.attempt,
        "created_utc": f"{version.created_utc:%Y-%m-%d %H:%M:%S}",
        "activated_utc": None if shown is None else f"{shown:%Y-%m-%d %H:%M:%S}",
        "removable": removable,
    }
