"""`satdaemon config ...`: what can be configured, and whether a file is right."""

from __future__ import annotations

import typer

from satdaemon.cli.application import ConfigOption, app

config_app = typer.Typer(help="The configuration file.", no_args_is_help=True)
app.add_typer(config_app, name="config")


@config_app.command("describe")
def describe() -> None:
    """Print every section and key as Markdown (docs/configuration.md)."""
    from satdaemon.config import describe as text

    typer.echo(text(), nl=False)


@config_app.command("example")
def example() -> None:
    """Print a configuration file with every key at its default."""
    from satdaemon.config import example as text

    typer.echo(text(), nl=False)


@config_app.command("check")
def check(config: ConfigOption = None) -> None:
    """Read a configuration file and say what is wrong with it."""
    from satdaemon.config import load

    settings = load(config)
    typer.echo(f"{settings.source}: good ({len(settings.machines)} machines)")
