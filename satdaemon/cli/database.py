"""`satdaemon init-database`, `satdaemon ingest-files`: the processing database and its files."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from satdaemon.cli.application import ConfigOption, JsonOption, app


@app.command("init-database")
def init_database_command(config: ConfigOption = None) -> None:
    """Create what is missing, migrate what is old; never destroys anything."""
    from satdaemon.config import load
    from satdaemon.db import init_database

    settings = load(config)
    init_database(settings)
    typer.echo(f"{settings.parameters.database}: ready")


@app.command("ingest-files")
def ingest_files_command(
    directory: Annotated[
        Path | None, typer.Argument(help="Directory with subdirectories named by track (T132); default: data_path.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register the product zips below subdirectories that start with T. A bad file is recorded and stops nothing."""
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.files import ingest_files

    columns = (TextColumn("[bold]ingest"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, transient=True, disable=as_json) as bars:
        bar = bars.add_task("")
        report = ingest_files(
            Database(load(config)), directory, progress=lambda done, total: bars.update(bar, completed=done, total=total)
        )
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=1))
        return
    typer.echo(
        f"{report.added} added, {report.renewed} renewed, {report.unchanged} unchanged, "
        f"{report.missing} missing, {len(report.bad)} bad"
    )
    for path, reason in report.bad.items():
        typer.echo(f"bad: {path}: {reason}")
    for warning in report.warnings:
        typer.echo(f"warning: {warning}")
