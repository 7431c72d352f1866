"""The Typer application and the one place where an expected error becomes a message and an exit code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from satdaemon import __version__
from satdaemon.errors import SatDaemonError

app = typer.Typer(
    name="satdaemon",
    help="Automatic Sentinel-1 InSAR production: from SLC zips to millimetre displacement series.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
ConfigOption = Annotated[
    Path | None,
    typer.Option("-d", "--config", help="Configuration file; default: $SATDAEMON_CONFIG, else satdaemon.cfg.", metavar="CFG"),
]
DIFFERS = 3
"""Exit code of a command that compared and found differences."""
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def make_console() -> Console:
    """A console for tables: as wide as the terminal, and wide enough for a log file where there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=120)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if version:
        typer.echo(f"satdaemon {__version__}")
        raise typer.Exit


def load_commands() -> None:
    """Import the modules that register the commands; each imports what it needs when it runs."""
    from satdaemon.cli import (  # noqa: F401
        configuration,
        consistency,
        database,
        demo,
        frame_plan,
        frames,
        frames_edit,
        frames_export,
        inspect,
        points,
        points_versions,
        services,
        simulate,
        stale,
        status,
        transfer,
    )


def main() -> None:
    """Run the command line. Expected errors end with exit code 1 and their message, without a stack trace."""
    load_commands()
    try:
        app()
    except SatDaemonError as error:
        Console(stderr=True, soft_wrap=True).print(f"error: {error}", style="red", markup=False, highlight=False)
        sys.exit(1)
