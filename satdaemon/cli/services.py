"""`satdaemon up`: Prefect, Dask, workers and planner, in one command."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from satdaemon.cli.application import ConfigOption, app


@app.command("up")
def up(
    config: ConfigOption = None,
    once: Annotated[bool, typer.Option("--once", help="End when nothing that is owed can move any more.")] = False,
) -> None:
    """Bring up the whole system on this machine; Ctrl-C ends it in order.

    Prefect server, Dask scheduler, one worker a machine of [PROC_MACHINES], the process worker of the frames'
    flow runs, and the planner.
    """
    from satdaemon.config import load

    settings = load(config)
    arguments = ["-m", "deployments.up", "-d", str(settings.source), *(["--once"] if once else [])]
    os.execv(sys.executable, [sys.executable, *arguments])
