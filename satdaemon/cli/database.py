"""`satdaemon init-database`, `satdaemon ingest-files`, `satdaemon files`: the processing database and its files."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from satdaemon.cli.application import ConfigOption, JsonOption, app, make_console

if TYPE_CHECKING:
    from collections.abc import Callable

    from satdaemon.config import Settings
    from satdaemon.db.burst_map import BurstMapReport
    from satdaemon.db.files import FileRow, IngestReport

MOST_WORKERS = 8
GIB = 2**30


@app.command("init-database")
def init_database_command(
    config: ConfigOption = None,
    burst_map: Annotated[
        Path | None,
        typer.Option("--burst-map", metavar="FILE", help="Load a global burst map: Parquet, or any vector format of GDAL."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Create what is missing, migrate what is old, load a burst map; never destroys anything, and can be run again."""
    from satdaemon.config import load
    from satdaemon.db import init_database
    from satdaemon.db.burst_map import load_burst_map
    from satdaemon.db.initialise import schema_of

    settings = load(config)
    before = schema_of(settings)
    if not dry_run:
        init_database(settings).close()
    revision = before.revision if dry_run else before.head
    report: BurstMapReport | None = None
    if burst_map is not None:
        with _opened(settings, exists=revision is not None) as database, _bar("bursts", shown=not as_json) as advance:
            report = load_burst_map(database, burst_map, dry_run=dry_run, progress=advance)
    if as_json:
        what = {"revision_before": before.revision, "revision": revision, "head": before.head, "dry_run": dry_run}
        typer.echo(json.dumps({**what, "burst_map": asdict(report) if report else None}, indent=1))
        return
    typer.echo(f"{before.url}: {_schema_line(before, dry_run)}")
    if report is not None:
        _tell_burst_map(report, dry_run)


@app.command("ingest-files")
def ingest_files_command(
    directory: Annotated[
        Path | None, typer.Argument(help="Directory with subdirectories named by track (T132); default: data_path.")
    ] = None,
    config: ConfigOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Go on looking for new files until Ctrl-C or SIGTERM.")] = False,
    interval_s: Annotated[float, typer.Option("--interval", min=0.1, metavar="S", help="--watch: seconds between turns.")] = 60.0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that read; default: one a core, 8 at most.")] = None,
    checksum: Annotated[bool, typer.Option(help="Read new files through once to record their SHA-256.")] = True,
    again: Annotated[bool, typer.Option("--again", help="Open files that are known to be bad once more.")] = False,
    all_gone: Annotated[bool, typer.Option("--all-gone", help="Believe it where none of the known files is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Register the product zips below subdirectories that start with T. A bad file is recorded and stops nothing."""
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.files import ingest_files, watch_files

    database = Database(load(config))
    count = workers or min(MOST_WORKERS, os.cpu_count() or 1)
    options: dict[str, Any] = {"workers": count, "checksum": checksum, "again": again, "all_gone": all_gone}
    with _stopping() as stop:
        if watch:
            seen: set[str] = set()
            watch_files(
                database, directory, interval_s=interval_s, stop=stop,
                told=lambda report: _tell_turn(report, seen, as_json), trouble=_trouble, **options,
            )  # fmt: skip
            return
        with _bar("ingest", shown=not as_json) as advance:
            report = ingest_files(database, directory, progress=advance, stop=stop.is_set, **options)
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=1))
    else:
        _tell_ingest(report)
    if report.stopped:
        raise typer.Exit(130)


@app.command("files")
def files_command(
    track: Annotated[int | None, typer.Option(min=1, max=175, help="List the files of one track.")] = None,
    bad: Annotated[bool, typer.Option("--bad", help="List what cannot be used, with the reason.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the product files of the database; without a track or --bad, count them by track."""
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.files import list_files, problems, tracks

    database = Database(load(config))
    console = make_console()
    if as_json:
        rows = [asdict(row) for row in list_files(database, track=track, bad=bad)]
        typer.echo(json.dumps(rows, indent=1, default=str))
    elif track is None and not bad:
        console.print(_tracks_table(tracks(database)))
        if count := problems(database):
            console.print(f"{count} files cannot be used: satdaemon files --bad")
    else:
        rows_found = list_files(database, track=track, bad=bad)
        console.print(_files_table(rows_found) if rows_found else "no such files")


@contextmanager
def _opened(settings: Settings, *, exists: bool) -> Iterator[Any]:
    """The database; for a dry run where there is none yet, an empty one in a temporary directory."""
    import tempfile

    from satdaemon.db import Database, init_database

    if exists:
        database = Database(settings)
        yield database
        database.close()
        return
    with tempfile.TemporaryDirectory() as place:
        empty = settings.parameters.model_copy(update={"database": f"sqlite:///{place}/empty.sqlite", "points_database": None})
        database = init_database(settings.model_copy(update={"parameters": empty}))
        yield database
        database.close()


@contextmanager
def _bar(name: str, *, shown: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, as a function of (done, total)."""
    columns = (TextColumn(f"[bold]{name}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, disable=not shown, console=Console(stderr=True)) as bars:
        bar = bars.add_task("", total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total if total >= 0 else None)


@contextmanager
def _stopping() -> Iterator[Event]:
    """An event that Ctrl-C or SIGTERM sets; what is being written is finished first. The second Ctrl-C interrupts."""
    stop = Event()

    def ask(number: int, _frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        typer.echo(f"{signal.Signals(number).name}: stops after the files that are being read", err=True)

    former = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _schema_line(before: Any, dry_run: bool) -> str:
    if before.revision == before.head:
        return "ready"
    if before.revision is None:
        return f"would be created (revision {before.head})" if dry_run else "created, ready"
    change = f"migrated from revision {before.revision} to {before.head}"
    return f"would be {change}" if dry_run else f"{change}, ready"


def _tell_burst_map(report: BurstMapReport, dry_run: bool) -> None:
    added = "would be added" if dry_run else "added"
    typer.echo(
        f"burst map: {report.rows} rows, {report.added} bursts {added}, {report.known} known, {report.completed} completed"
    )
    if report.clipped or report.repaired or report.joined:
        typer.echo(
            f"polygons: {report.clipped} smaller than a burst (clipped; entered as they are), {report.repaired} repaired, "
            f"{report.joined} joined across the 180th meridian"
        )
    for reason, count in report.left_out.items():
        typer.echo(f"left out: {count} rows: {reason}; the first: {report.examples[reason]}")


def _tell_ingest(report: IngestReport) -> None:
    typer.echo(
        f"{report.added} added, {report.renewed} renewed, {report.unchanged} unchanged, {report.missing} missing, "
        f"{len(report.bad)} bad, {len(report.duplicates)} second copies, {len(report.growing)} still growing"
    )
    for path, reason in report.bad.items():
        typer.echo(f"bad: {_line(path, reason)}")
    for path, reason in report.growing.items():
        typer.echo(f"growing, left for the next run: {_line(path, reason)}")
    for path, product in report.duplicates.items():
        typer.echo(f"second copy: {path}: of {product}")
    for warning in report.warnings:
        typer.echo(f"warning: {warning}")
    if report.stopped:
        typer.echo("stopped before the end; run it again to go on", err=True)


def _tell_turn(report: IngestReport, seen: set[str], as_json: bool) -> None:
    """One turn of --watch: only what is new."""
    fresh = {path: reason for path, reason in report.bad.items() if path not in seen}
    seen |= set(report.bad)
    seen &= set(report.bad)
    if not (report.news or fresh):
        return
    if as_json:
        typer.echo(json.dumps({**asdict(report), "bad": fresh}))
    else:
        typer.echo(f"{report.added} added, {report.renewed} renewed, {report.missing} missing, {len(report.bad)} bad")
        for path, reason in fresh.items():
            typer.echo(f"bad: {_line(path, reason)}")
    sys.stdout.flush()


def _trouble(reason: str) -> None:
    typer.echo(f"{reason}; tried again at the next turn", err=True)


def _line(path: str, reason: str) -> str:
    """Reasons mostly begin with the path."""
    return reason if reason.startswith(path) else f"{path}: {reason}"


def _tracks_table(rows: list[Any]) -> Any:
    from rich.table import Table

    table = Table("track", "files", "on disk", "in the archive", "missing", "bad", "GiB on disk", "first", "last")
    for row in rows:
        counts = (row.track, row.files, row.on_disk, row.remote, row.missing, row.bad)
        table.add_row(*(str(c) if c else "" for c in counts), f"{row.bytes / GIB:.1f}", str(row.first), str(row.last))
    return table


def _files_table(rows: list[FileRow]) -> Any:
    from rich.table import Table

    table = Table()
    for name in ("date", "track", "state", "file", "GiB", "reason"):
        table.add_column(name, overflow="fold")
    for row in rows:
        track = "" if row.track is None else f"{row.track}{row.orbit_direction or ''}"
        size = "" if row.size is None else f"{row.size / GIB:.2f}"
        named = row.id is not None and row.state not in ("bad", "duplicate")
        table.add_row(str(row.date or ""), track, row.state, row.id if named else row.path or row.id, size, row.reason or "")
    return table
