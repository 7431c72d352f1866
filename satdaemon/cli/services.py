"""`satdaemon up`, `deploy`, `doctor` and `certificates`: the services, whether they are well, how they trust each other."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from satdaemon.cli.application import ConfigOption, JsonOption, app


@app.command("up")
def up(
    machine: Annotated[str | None, typer.Argument(metavar="[MACHINE]", help="With --only worker: which.")] = None,
    config: ConfigOption = None,
    once: Annotated[bool, typer.Option("--once", help="End when nothing that is owed can move any more.")] = False,
    only: Annotated[
        str | None, typer.Option("--only", metavar="PART", help="One part: prefect, scheduler, worker, flows, planner or web.")
    ] = None,
) -> None:
    """Bring up the whole system on this machine, or with --only one part of it.

    Prefect server, Dask scheduler, one worker a machine of [PROC_MACHINES] that starts locally, the process worker of
    the frames' flow runs, the planner, and the processing controller. Ctrl-C powers down: running jobs end first; a
    second Ctrl-C stops them too.
    """
    if machine is not None and only is None:
        raise typer.BadParameter(f"expected --only worker with a machine, got {machine!r} alone")
    part = [] if only is None else ["--only", only, *([machine] if machine is not None else [])]
    _become("deployments.up", config, *(["--once"] if once else []), *part)


@app.command("deploy")
def deploy(
    config: ConfigOption = None,
    frame: Annotated[list[str] | None, typer.Option("--frame", metavar="FRAME", help="Only this frame; may be repeated.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be made, changed and removed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make and update the Prefect deployments: planner, maintenance, watch, and process-frame/FRAME for each frame.

    The planner does this by itself; by hand it is of use before `satdaemon up`, or to see what differs.
    """
    frames = [word for name in frame or [] for word in ("--frame", name)]
    _become("deployments.deploy", config, *frames, *(["--dry-run"] if dry_run else []), *(["--json"] if as_json else []))


@app.command("doctor")
def doctor(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check versions, configuration, database, Prefect, Dask and every machine; says the mend of what is wrong."""
    _become("deployments.doctor", config, *(["--json"] if as_json else []))


@app.command("certificates")
def certificates(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where they are written; made where it is missing.")],
    hosts: Annotated[list[str], typer.Argument(metavar="HOST...", help="Names or addresses of the head node and machines.")],
) -> None:
    """Make a private authority and a certificate for each host, for TLS on Dask; what is there already stays.

    A host needs ca.pem, HOST.pem and HOST.key: dask_ca, dask_cert and dask_key of [PARAMETERS]. ca.key stays where it is.
    """
    from satdaemon.machines.certificates import make_certificates

    for path in make_certificates(directory, hosts):
        typer.echo(str(path))


def _become(module: str, config: ConfigOption, *arguments: str) -> None:
    """Become `python -m MODULE`, with the configuration file that was found from here."""
    from satdaemon.config import load

    source = load(config, check_paths=False).source
    os.execv(sys.executable, [sys.executable, "-m", module, "-d", str(source), *arguments])
