"""`satdaemon frame ...`: make a frame, fill it, switch it on or off."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from satdaemon.cli.application import ConfigOption, app, make_console

frame_app = typer.Typer(help="Frames: fixed sets of bursts that are processed together.", no_args_is_help=True)
app.add_typer(frame_app, name="frame")
FrameArgument = Annotated[str, typer.Argument(help="Frame id, such as 132A_CUSTOM_FRAME.")]


@frame_app.command("make")
def make(
    frame_id: FrameArgument,
    bursts: Annotated[list[str] | None, typer.Argument(help="Burst ids, such as 132_8603_IW1.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="frame.json of a simulation: its bursts are entered and used.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Make a frame from bursts that the database knows, find its scenes, choose its master and its pairs."""
    import json

    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.bursts import insert_bursts

    database = Database(load(config))
    wanted = list(bursts or [])
    if file is not None:
        found = json.loads(file.read_text())["bursts"]
        insert_bursts(database, found)
        wanted += [burst["id"] for burst in found]
    report = database.make_new_frame_using_burstlist(wanted, frame_id)
    typer.echo(f"{frame_id}: {len(report.bursts)} bursts")
    for warning in report.warnings:
        typer.echo(f"warning: {warning}")


@frame_app.command("fill")
def fill(frame_id: FrameArgument, config: ConfigOption = None) -> None:
    """Find the frame's scenes in the archive; bring its dates, master and pairs up to date."""
    from satdaemon.config import load
    from satdaemon.db import Database

    database = Database(load(config))
    files = database.fill_files_table(frame_id)
    typer.echo(f"{frame_id}: {files.found} scenes in the archive, {files.added} new, {len(files.bad)} bad")
    for scene, reason in files.bad.items():
        typer.echo(f"bad: {scene}: {reason}")
    dates = database.update_procdates(frame_id)
    typer.echo(str(dates))


@frame_app.command("list")
def list_frames(config: ConfigOption = None) -> None:
    """List the frames."""
    from satdaemon.config import load
    from satdaemon.db import Database, Frame

    table = Table("frame", "track", "pass", "bursts", "on", "priority")
    for frame in Database(load(config)).query(Frame):
        table.add_row(
            frame.id, str(frame.track), frame.orbit_direction, str(len(frame.bursts)), "yes" if frame.processing else "no",
            str(frame.priority),
        )  # fmt: skip
    make_console().print(table)


@frame_app.command("on")
def switch_on(frame_id: FrameArgument, config: ConfigOption = None) -> None:
    """Switch full processing of a frame on."""
    _switch(frame_id, True, config)


@frame_app.command("off")
def switch_off(frame_id: FrameArgument, config: ConfigOption = None) -> None:
    """Switch a frame off: nothing new is started."""
    _switch(frame_id, False, config)


@frame_app.command("priority")
def priority(frame_id: FrameArgument, value: int, config: ConfigOption = None) -> None:
    """Set a frame's priority; higher goes first."""
    from satdaemon.config import load
    from satdaemon.control import SatDaemonController

    SatDaemonController(load(config)).set_frame_priority(frame_id, value)
    typer.echo(f"{frame_id}: priority {value}")


def _switch(frame_id: str, on: bool, config: Path | None) -> None:
    from satdaemon.config import load
    from satdaemon.control import SatDaemonController

    SatDaemonController(load(config)).set_frame_full_proc(frame_id, on)
    typer.echo(f"{frame_id}: {'on' if on else 'off'}")
