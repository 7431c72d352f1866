"""`satdaemon db ...`: dump, restore and copy of a database, what it is, and whether two are equal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from satdaemon.cli.application import DIFFERS, ConfigOption, JsonOption, app, make_console

if TYPE_CHECKING:
    from satdaemon.db.transfer import Progress as Told
    from satdaemon.db.transfer import Restored

db_app = typer.Typer(help="The processing database as a whole: what it is, dump, restore, copy, compare.", no_args_is_help=True)
app.add_typer(db_app, name="db")
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Do all of it within a transaction, then undo it.")]
NoPointsOption = Annotated[bool, typer.Option("--no-points", help="Leave the points out; ingest makes them again.")]
PointsUrlOption = Annotated[
    str | None, typer.Option("--points-to", help="URL of the other side's points database, where it has one.", metavar="URL")
]
_URL_HELP = "sqlite:///FILE or postgresql+psycopg2://USER@HOST/NAME; its password from PGPASSWORD or ~/.pgpass, not from here."


@db_app.command("info")
def info_command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show what the database is: dialect, version, revision of the schema, size, rows of each table."""
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.transfer import info

    found = info(Database(load(config)))
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=1))
        return
    console = make_console()
    state = "never initialised: run `satdaemon init-database`"
    if found.revision is not None:
        wrong = found.revision != found.expected_revision
        state = found.revision + (f", expected {found.expected_revision}" if wrong else "")
    lines = {
        "database": found.url,
        "points database": found.points_url,
        "is": f"{found.dialect} {found.version}" + (f" with PostGIS {found.postgis}" if found.postgis else ""),
        "revision of the schema": state,
        "size": f"{found.bytes / 1e6:,.1f} MB",
        "tables that are lacking": ", ".join(found.lacking) if found.revision is not None else None,
        "tables that are not SatDaemon's": ", ".join(found.strange),
    }
    for name, value in lines.items():
        if value:
            console.print(f"[bold]{name}[/]: {value}", highlight=False)
    if found.rows:
        console.print(_rows(found.rows))


@db_app.command("dump")
def dump_command(
    out: Annotated[Path, typer.Argument(help="File to write; it appears when it is whole.")],
    form: Annotated[
        str,
        typer.Option("--format", help="pg: pg_dump's, for PostgreSQL; portable: for either dialect; auto: pg where it can be."),
    ] = "auto",
    no_points: NoPointsOption = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the whole database into a file, as it stands at one moment; others go on working."""
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.transfer import dump

    with _bar("dump", as_json) as told:
        done = dump(Database(load(config)), out, form=form, points=not no_points, force=force, progress=told)
    if as_json:
        typer.echo(json.dumps(asdict(done), indent=1))
        return
    rows = "" if done.rows is None else f"{sum(done.rows.values()):,} rows of {len(done.rows)} tables, "
    typer.echo(f"{done.source} -> {', '.join(done.files)}: {rows}{done.bytes / 1e6:,.1f} MB ({done.format})")


@db_app.command("restore")
def restore_command(
    file: Annotated[Path, typer.Argument(help="A dump, of either format.")],
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a dump into an initialised database without rows: all of it, or nothing."""
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.transfer import restore

    with _bar("restore", as_json) as told:
        done = restore(Database(load(config)), file, dry_run=dry_run, progress=told)
    _show(done, dry_run, as_json)


@db_app.command("copy")
def copy_command(
    to: Annotated[str, typer.Option("--to", help=f"To fill: {_URL_HELP}", metavar="URL", envvar="SATDAEMON_COPY_TO")],
    points_to: PointsUrlOption = None,
    no_points: NoPointsOption = False,
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the database into another one, of either dialect, which is initialised where it is not: all of it, or nothing."""
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.transfer import copy

    with _bar("copy", as_json) as told:
        done = copy(Database(load(config)), to, points_url=points_to, points=not no_points, dry_run=dry_run, progress=told)
    _show(done, dry_run, as_json)


@db_app.command("compare")
def compare_command(
    other: Annotated[str, typer.Argument(help=f"A portable dump, or another database: {_URL_HELP}", metavar="URL|FILE")],
    points_to: PointsUrlOption = None,
    no_points: NoPointsOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the database with another one or with a portable dump, row by row. Exit code 3 where they differ."""
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.transfer import compare

    with _bar("compare", as_json) as told:
        found = compare(Database(load(config)), other, points_url=points_to, points=not no_points, progress=told)
    if as_json:
        typer.echo(json.dumps({"equal": found.equal, **asdict(found)}, indent=1))
    elif found.equal:
        typer.echo(f"{found.first} = {found.second}: {sum(found.rows.values()):,} rows of {len(found.rows)} tables are equal")
    else:
        table = Table("table", "rows", "only in the first", "only in the second", "changed", "such as")
        for d in found.differences:
            counts = (f"{d.rows[0]:,}, {d.rows[1]:,}", *(f"{n:,}" for n in (d.only_in_first, d.only_in_second, d.changed)))
            table.add_row(d.table, *counts, "\n".join(d.examples))
        console = make_console()
        console.print(f"first: {found.first}\nsecond: {found.second}", highlight=False, markup=False)
        console.print(table)
    if not found.equal:
        raise typer.Exit(DIFFERS)


def _show(done: Restored, dry_run: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"dry_run": dry_run, **asdict(done)}, indent=1))
        return
    if done.equal_already:
        typer.echo(f"{done.target}: holds exactly what {done.source} does; nothing was changed")
        return
    if done.rows:
        make_console().print(_rows(done.rows))
    total = f": {sum(done.rows.values()):,} rows of {len(done.rows)} tables" if done.rows else ""
    typer.echo(f"{done.source} -> {done.target}{total}{'; dry run: nothing was changed' if dry_run else ''}")
    for note in done.notes:
        typer.echo(f"note: {note}")


def _rows(rows: dict[str, int]) -> Table:
    table = Table("table", "rows")
    table.columns[1].justify = "right"
    for name, count in sorted(rows.items()):
        table.add_row(name, f"{count:,}")
    return table


@contextmanager
def _bar(title: str, quiet: bool) -> Iterator[Told]:
    told = TextColumn("{task.description}")
    columns = (TextColumn(f"[bold]{title}"), BarColumn(), TaskProgressColumn(), told, TimeElapsedColumn())
    with Progress(*columns, transient=True, disable=quiet) as bars:
        bar = bars.add_task("")
        yield lambda what, done, total: bars.update(bar, description=what, completed=done, total=total)
