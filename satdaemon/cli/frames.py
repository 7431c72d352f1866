"""`satdaemon frame ...`: make a frame, fill it, list and show frames, switch them on or off."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from satdaemon.cli.application import ConfigOption, JsonOption, app, controller, make_console

if TYPE_CHECKING:
    from satdaemon.db import Database
    from satdaemon.db.frames import FrameReport

frame_app = typer.Typer(help="Frames: fixed sets of bursts that are processed together.", no_args_is_help=True)
app.add_typer(frame_app, name="frame")
FrameArgument = Annotated[str, typer.Argument(help="Frame id, such as 132A_CUSTOM_FRAME.")]
PolygonOption = Annotated[
    str | None,
    typer.Option(
        "--polygon", metavar="FILE|WKT", help="All bursts that show this area: a file that GDAL reads, or WKT (lon lat)."
    ),
]
TrackOption = Annotated[
    int | None, typer.Option("--track", min=1, max=175, help="Track (relative orbit) of the polygon's bursts.")
]
PassOption = Annotated[str | None, typer.Option("--pass", metavar="A|D", help="Pass of the polygon's bursts: A or D.")]
LicsarOption = Annotated[
    str | None, typer.Option("--licsar", metavar="ID", help="The bursts of a LiCSAR frame id, such as 132A_03579_131313.")
]


@frame_app.command("make")
def make(
    frame_id: FrameArgument,
    bursts: Annotated[list[str] | None, typer.Argument(help="Burst ids, such as 132_8603_IW1.")] = None,
    polygon: PolygonOption = None,
    track: TrackOption = None,
    direction: PassOption = None,
    licsar: LicsarOption = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="frame.json of a simulation: its bursts are entered and used.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a frame from bursts, from a polygon, or from a LiCSAR frame id (which may be the frame's own id).

    `satdaemon frame preview` shows its dates before it is made; `satdaemon frame fill` then finds its scenes.
    """
    import json
    from dataclasses import asdict

    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.errors import RequestError

    given = [name for name, value in (("BURSTS", bursts), ("--polygon", polygon), ("--licsar", licsar)) if value]
    if len(given) > 1 or (file is not None and given not in ([], ["BURSTS"])):
        raise RequestError(
            f"frame make: expected one way to say the bursts, got {' and '.join([*given, *['--file'] * bool(file)])}"
        )
    if (track or direction) and polygon is None:
        raise RequestError("frame make: --track and --pass go with --polygon; a frame's id says its own")
    database = Database(load(config))
    if polygon is not None:
        report = _of_polygon(database, frame_id, polygon, track, direction)
    else:
        report = _of_bursts(database, frame_id, list(bursts or []), licsar, file)
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=1))
        return
    typer.echo(f"{frame_id}: {len(report.bursts)} bursts, {report.files} files known")
    if polygon is not None or ((licsar or not bursts) and file is None):
        typer.echo(", ".join(report.bursts))
    for warning in report.warnings:
        typer.echo(f"warning: {warning}")


def _of_polygon(database: Database, frame_id: str, polygon: str, track: int | None, direction: str | None) -> FrameReport:
    from satdaemon.db.frames import make_frame_of_polygon
    from satdaemon.db.regions import read_region

    return make_frame_of_polygon(database, read_region(polygon), frame_id, track=track, direction=direction)


def _of_bursts(database: Database, frame_id: str, wanted: list[str], licsar: str | None, file: Path | None) -> FrameReport:
    import json

    from satdaemon.db.bursts import insert_bursts
    from satdaemon.db.frames import make_frame_of_licsar_id
    from satdaemon.db.licsar import is_licsar_id

    if licsar is not None or (not wanted and file is None and is_licsar_id(frame_id)):
        return make_frame_of_licsar_id(database, licsar or frame_id, frame_id)
    if file is not None:
        found = json.loads(file.read_text())["bursts"]
        insert_bursts(database, found)
        wanted += [burst["id"] for burst in found]
    return database.make_new_frame_using_burstlist(wanted, frame_id)


@frame_app.command("fill")
def fill(frame_id: FrameArgument, config: ConfigOption = None) -> None:
    """Find the frame's scenes in the archives; bring its dates, master and pairs up to date."""
    from satdaemon.config import load
    from satdaemon.db import Database

    database = Database(load(config))
    files = database.fill_files_table(frame_id)
    typer.echo(f"{frame_id}: {files.found} scenes in the archives, {files.added} new, {len(files.bad)} bad")
    for warning in files.warnings:
        typer.echo(f"warning: {warning}")
    for scene, reason in files.bad.items():
        typer.echo(f"bad: {scene}: {reason}")
    dates = database.update_procdates(frame_id)
    typer.echo(str(dates))


@frame_app.command("list")
def list_frames(
    track: Annotated[int | None, typer.Option("--track", min=1, max=175, help="Only frames of this track.")] = None,
    retired: Annotated[bool, typer.Option("--all", help="Retired frames too.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the frames."""
    import json

    from satdaemon.cli.frame_tables import frames_table, plain
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.frame_overview import overviews

    found = [one for one in overviews(Database(load(config)), retired=retired, counts=False) if track in (None, one.track)]
    if as_json:
        typer.echo(json.dumps([plain(one) for one in found], indent=1))
        return
    make_console().print(frames_table(found))


@frame_app.command("show")
def show(frame_id: FrameArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show one frame: bursts, switches, settings of its own, dates, and how far every stage is."""
    import json

    from satdaemon.cli.frame_tables import counts_table, facts_table, plain
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.frame_overview import overviews
    from satdaemon.db.frames import frame_of

    database = Database(load(config))
    (one,) = overviews(database, [frame_id])
    with database.read_scope() as session:
        bursts = [burst.id for burst in frame_of(session, frame_id).bursts]
    if as_json:
        typer.echo(json.dumps({**plain(one), "bursts": bursts}, indent=1))
        return
    console = make_console()
    console.print(facts_table(one, bursts))
    console.print(counts_table(one))


@frame_app.command("on")
def switch_on(
    frame_id: FrameArgument,
    til: Annotated[str | None, typer.Option("--til", metavar="STAGE", help="Only til the end of this stage.")] = None,
    config: ConfigOption = None,
) -> None:
    """Switch processing of a frame on, for all stages or til the end of one."""
    control = controller(config)
    if til is None:
        control.set_frame_full_proc(frame_id, True)
    else:
        control.set_frame_til(frame_id, til, True)
    typer.echo(f"{frame_id}: on" + (f" til the end of {til}" if til else ""))


@frame_app.command("off")
def switch_off(frame_id: FrameArgument, config: ConfigOption = None) -> None:
    """Switch a frame off: nothing new is started."""
    controller(config).set_frame_full_proc(frame_id, False)
    typer.echo(f"{frame_id}: off")


@frame_app.command("updates")
def updates(
    frame_id: FrameArgument, word: Annotated[str, typer.Argument(metavar="on|off")], config: ConfigOption = None
) -> None:
    """Process dates that come later too, or only the initial ones."""
    from satdaemon.errors import RequestError

    if word not in ("on", "off"):
        raise RequestError(f"frame updates: expected on or off, got {word!r}")
    controller(config).set_frame_noupdate(frame_id, word == "off")
    typer.echo(f"{frame_id}: updates {word}" + (": only its initial processing" if word == "off" else ""))


@frame_app.command("priority")
def priority(frame_id: FrameArgument, value: int, config: ConfigOption = None) -> None:
    """Set a frame's priority; higher goes first."""
    controller(config).set_frame_priority(frame_id, value)
    typer.echo(f"{frame_id}: priority {value}")
