"""`satdaemon points ...`: what stands in the points database."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.table import Table

from satdaemon.cli.application import ConfigOption, JsonOption, app, make_console

points_app = typer.Typer(help="Points and their displacement series.", no_args_is_help=True)
app.add_typer(points_app, name="points")
NEGATIVE_NUMBERS = {"ignore_unknown_options": True}
"""Context settings: an argument such as -1.9 is no option."""

FrameArgument = Annotated[str, typer.Argument(help="Frame id.")]
MinCoherence = Annotated[float | None, typer.Option(help="Only points of at least this temporal coherence, 0..1.")]
MinVelocity = Annotated[float | None, typer.Option(help="Only points of at least this velocity, mm/yr (subsidence is negative).")]
MaxVelocity = Annotated[float | None, typer.Option(help="Only points of at most this velocity, mm/yr.")]
MaxStd = Annotated[float | None, typer.Option(help="Only points whose velocity's standard error is at most this, mm/yr.")]
PolygonArgument = Annotated[str, typer.Argument(help="Vector file, WKT or GeoJSON, longitude and latitude.")]
LimitOption = Annotated[int, typer.Option("--limit", min=0, help="At most so many points; 0: all.")]


@points_app.command("near", context_settings=NEGATIVE_NUMBERS)
def near(
    frame_id: FrameArgument,
    lon: Annotated[float, typer.Argument(help="Longitude, degrees.")],
    lat: Annotated[float, typer.Argument(help="Latitude, degrees.")],
    count: Annotated[int, typer.Option("--count", min=1, help="How many points; the series is shown of one alone.")] = 1,
    min_coherence: MinCoherence = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the point nearest to a place and its displacement series, or the nearest few."""
    from satdaemon.db.points import Quality, distance_m, nearest, series

    database = _database(config)
    found = nearest(database, frame_id, lon, lat, count, quality=Quality(min_coherence=min_coherence))
    rows = _rows(found)
    for row, metres in zip(rows, distance_m(lon, lat, found.lon, found.lat), strict=True):
        row["distance_m"] = round(float(metres), 1)
    if count > 1:
        _show_points(rows, as_json, "")
    elif not rows:
        _refuse(frame_id)
    else:
        line = series(database, frame_id, rows[0]["point_id"])
        days = [day.isoformat() for day in line.dates]
        _show_point(rows[0], days, _steps(line.displacement_mm), as_json)


@points_app.command("series")
def series_command(
    frame_id: FrameArgument,
    point_ids: Annotated[list[int], typer.Argument(help="Ids of points.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the displacement series of points, in mm towards the satellite."""
    from satdaemon.db.points import series_of

    many = series_of(_database(config), frame_id, point_ids)
    days = [day.isoformat() for day in many.dates]
    lines = [_steps(line) for line in many.displacement_mm]
    if as_json:
        parts = [{"point_id": int(i), "displacement_mm": line} for i, line in zip(many.point_id, lines, strict=True)]
        typer.echo(json.dumps({"frame": frame_id, "dates": days, "points": parts}, indent=1))
        return
    table = Table("date", *(str(i) for i in many.point_id))
    for day, *values in zip(days, *lines, strict=True):
        table.add_row(day, *("" if value is None else f"{value:+.1f}" for value in values))
    make_console().print(table)


@points_app.command("box", context_settings=NEGATIVE_NUMBERS)
def box(
    frame_id: FrameArgument,
    west: Annotated[float, typer.Argument(help="Western longitude, degrees; greater than the eastern: across 180.")],
    south: Annotated[float, typer.Argument(help="Southern latitude, degrees.")],
    east: Annotated[float, typer.Argument(help="Eastern longitude, degrees.")],
    north: Annotated[float, typer.Argument(help="Northern latitude, degrees.")],
    min_coherence: MinCoherence = None,
    min_velocity: MinVelocity = None,
    max_velocity: MaxVelocity = None,
    max_std: MaxStd = None,
    limit: LimitOption = 1000,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the points within a box."""
    from satdaemon.db.points import Quality, in_box

    quality = Quality(min_coherence, min_velocity, max_velocity, max_std)
    found = in_box(_database(config), frame_id, west, south, east, north, limit=limit or None, quality=quality)
    _show_points(_rows(found), as_json, _limited(len(found), limit))


@points_app.command("polygon")
def polygon_command(
    frame_id: FrameArgument,
    polygon: PolygonArgument,
    min_coherence: MinCoherence = None,
    min_velocity: MinVelocity = None,
    max_velocity: MaxVelocity = None,
    max_std: MaxStd = None,
    limit: LimitOption = 1000,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the points within a polygon."""
    from satdaemon.db.points import Quality, in_polygon

    quality = Quality(min_coherence, min_velocity, max_velocity, max_std)
    found = in_polygon(_database(config), frame_id, polygon, limit=limit or None, quality=quality)
    _show_points(_rows(found), as_json, _limited(len(found), limit))


@points_app.command("mean")
def mean(
    frame_id: FrameArgument,
    polygon: Annotated[str | None, typer.Argument(help="Vector file, WKT or GeoJSON; default: the whole frame.")] = None,
    min_coherence: MinCoherence = None,
    min_velocity: MinVelocity = None,
    max_velocity: MaxVelocity = None,
    max_std: MaxStd = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the mean series of an area: mean, spread and number of points for each date."""
    from satdaemon.db.points import Quality, mean_series

    quality = Quality(min_coherence, min_velocity, max_velocity, max_std)
    found = mean_series(_database(config), frame_id, polygon, quality=quality)
    days = [day.isoformat() for day in found.dates]
    means, spreads = ([_number(v, 3) for v in values] for values in (found.mean_mm, found.std_mm))
    counts = [int(n) for n in found.count]
    if as_json:
        typer.echo(json.dumps({"frame": frame_id, "points": found.points, "dates": days, "count": counts,
                               "mean_mm": means, "std_mm": spreads}, indent=1))  # fmt: skip
        return
    typer.echo(f"{found.points} points")
    table = Table("date", "mean, mm", "spread, mm", "points")
    for day, value, spread, count in zip(days, means, spreads, counts, strict=True):
        table.add_row(day, "" if value is None else f"{value:+.2f}", "" if spread is None else f"{spread:.2f}", str(count))
    make_console().print(table)


def _database(config: Any) -> Any:
    from satdaemon.config import load
    from satdaemon.db import Database

    return Database(load(config))


def _rows(found: Any) -> list[dict[str, Any]]:
    names = ["point_id", "lon", "lat", *found.values]
    columns = [found.point_id.tolist(), [round(v, 8) for v in found.lon.tolist()], [round(v, 8) for v in found.lat.tolist()]]
    columns += [[_number(v, 3) for v in values] for values in found.values.values()]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _number(value: Any, digits: int) -> float | None:
    return None if value != value else round(float(value), digits)


def _steps(values: Any) -> list[float | None]:
    return [_number(value, 1) for value in values]


def _limited(found: int, limit: int) -> str:
    return f"the first {limit}; there may be more: --limit 0 shows all" if limit and found == limit else ""


def _show_points(rows: list[dict[str, Any]], as_json: bool, note: str) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    with_distance = bool(rows) and "distance_m" in rows[0]
    table = Table("id", "lon", "lat", "mm/yr", "±", "coherence", *(["m away"] if with_distance else []))
    for row in rows:
        numbers = [row["velocity"], row["velocity_std"], row["temporal_coherence"]]
        texts = ["" if v is None else f"{v:.2f}" for v in numbers] + ([f"{row['distance_m']:.1f}"] if with_distance else [])
        table.add_row(str(row["point_id"]), f"{row['lon']:.6f}", f"{row['lat']:.6f}", *texts)
    make_console().print(table)
    typer.echo(f"{len(rows)} points{': ' + note if note else ''}")


def _show_point(values: dict[str, Any], days: list[str], steps: list[float | None], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({**values, "dates": days, "displacement_mm": steps}, indent=1))
        return
    console = make_console()
    for name, value in values.items():
        console.print(f"[bold]{name}[/]: {value}", highlight=False)
    table = Table("date", "mm towards the satellite")
    for day, step in zip(days, steps, strict=True):
        table.add_row(day, "" if step is None else f"{step:+.1f}")
    console.print(table)


def _refuse(frame_id: str) -> None:
    from satdaemon.errors import RequestError

    raise RequestError(f"frame {frame_id}: expected a point that meets the bounds, found none")
