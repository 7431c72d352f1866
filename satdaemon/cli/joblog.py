"""`satdaemon joblog` in the list of commands. Called by itself it never comes here (satdaemon/cli/__init__.py)."""

from __future__ import annotations

import typer

from satdaemon.cli.application import app
from satdaemon.cli.joblog_words import run


@app.command(
    "joblog",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def joblog(context: typer.Context) -> None:
    """Tell how a job is going: progress PERCENT [MESSAGE], info, warning or error TEXT. For a site's own programs."""
    raise typer.Exit(run(context.args))
