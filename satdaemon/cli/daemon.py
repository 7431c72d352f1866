"""`satdaemon daemon ...`: what the running system is asked to do, whatever host it runs on."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from satdaemon.cli.application import ConfigOption, JsonOption, app, controller, make_console

daemon_app = typer.Typer(help="The running system: status, pause, resume, power down.", no_args_is_help=True)
app.add_typer(daemon_app, name="daemon")


@daemon_app.command("status")
def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the parts that are up, the machines, the jobs and the last plan."""
    from satdaemon.db.overview import overview
    from satdaemon.screen import document, screen

    control = controller(config)
    seen = overview(control.database)
    if as_json:
        typer.echo(json.dumps(document(seen), indent=1, default=str))
    else:
        make_console().print(screen(seen, control.database.settings))


@daemon_app.command("pause")
def pause(config: ConfigOption = None) -> None:
    """Launch nothing more until `resume`; running jobs go on, pending ones stay in the queue."""
    controller(config).pause()
    typer.echo("paused: running jobs go on, none is launched; `satdaemon daemon resume` goes on")


@daemon_app.command("resume")
def resume(config: ConfigOption = None) -> None:
    """Launch jobs again, after `pause` or `power-down`; parts that idle after a power down start again."""
    controller(config).resume()
    typer.echo("running: what is owed is planned and launched")


@daemon_app.command("replan")
def replan(config: ConfigOption = None) -> None:
    """Have the planner look again, now."""
    controller(config).replan()
    typer.echo("the planner looks at what changed as soon as it can")


@daemon_app.command("power-down")
def power_down(
    config: ConfigOption = None,
    now: Annotated[bool, typer.Option("--now", help="Stop the running jobs too; they are given back.")] = False,
) -> None:
    """Cancel what is pending, let running jobs end, then stop everything in order. Nothing is lost."""
    from satdaemon.db.overview import overview

    control = controller(config)
    count = control.power_down_daemon(now=now)
    seen = overview(control.database)
    become = "are asked to stop" if now else "end first"
    typer.echo(f"powering down: {count} jobs cancelled; {seen.jobs.running} running jobs {become}")
    if seen.jobs.running and not now:
        typer.echo("`satdaemon daemon power-down --now` stops them too; `satdaemon daemon resume` takes it back")
