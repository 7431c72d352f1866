"""The Typer application and the one place where an expected error becomes a message and an exit code."""

from __future__ import annotations

import sys
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from satdaemon import __version__
from satdaemon.errors import SatDaemonError

if TYPE_CHECKING:
    from satdaemon.control import SatDaemonController

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
MODULES: dict[str, tuple[str, ...]] = {
    "archive": ("archive",),
    "config": ("configuration",),
    "check-consistency": ("consistency",),
    "init-database": ("database",),
    "ingest-files": ("database",),
    "files": ("database",),
    "daemon": ("daemon",),
    "demo": ("demo",),
    "frame": ("frames", "frames_edit", "frame_plan", "stale"),
    "frames": ("frames_export",),
    "inspect": ("inspect",),
    "job": ("jobs",),
    "joblog": ("joblog",),
    "machines": ("machines",),
    "notify": ("notify",),
    "points": ("points", "points_versions"),
    "up": ("services",),
    "deploy": ("services",),
    "doctor": ("services",),
    "certificates": ("services",),
    "simulate": ("simulate",),
    "resources": ("resources",),
    "space": ("space",),
    "stale": ("stale",),
    "status": ("status",),
    "db": ("transfer",),
    "web": ("web",),
}
"""First word of a command -> the modules that register what may follow."""
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def make_console() -> Console:
    """A console for tables: as wide as the terminal, and wide enough for a log file where there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=120)


def controller(config: Path | None) -> SatDaemonController:
    """What commands that change something act through."""
    from satdaemon.config import load
    from satdaemon.control import SatDaemonController

    return SatDaemonController(load(config))


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if version:
        typer.echo(f"satdaemon {__version__}")
        raise typer.Exit


def load_commands(first: str | None = None) -> None:
    """Import the modules that register the commands of `first`; where it is none of them (`--help`), all modules.

    Each module imports what its commands need when they run.
    """
    wanted = MODULES.get(first or "")
    for name in wanted if wanted is not None else chain.from_iterable(MODULES.values()):
        import_module(f"satdaemon.cli.{name}")


def main() -> None:
    """Run the command line. Expected errors end with exit code 1 and their message, without a stack trace."""
    load_commands(next((word for word in sys.argv[1:] if not word.startswith("-")), None))
    try:
        app()
    except SatDaemonError as error:
        Console(stderr=True, soft_wrap=True).print(f"error: {error}", style="red", markup=False, highlight=False)
        sys.exit(1)
