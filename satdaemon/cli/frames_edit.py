"""`satdaemon frame preview|edit|clone|retire|restore|delete`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from satdaemon.cli.application import ConfigOption, JsonOption, controller, make_console
from satdaemon.cli.frames import FrameArgument, LicsarOption, PassOption, PolygonOption, TrackOption, frame_app

if TYPE_CHECKING:
    from satdaemon.db import Database
    from satdaemon.db.preview import Preview

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, even where work is lost.")]
AddOption = Annotated[list[str] | None, typer.Option("--add", metavar="BURST", help="A burst to add; repeat.")]
DropOption = Annotated[list[str] | None, typer.Option("--drop", metavar="BURST", help="A burst to drop; repeat.")]


@frame_app.command("preview")
def preview(
    target: Annotated[list[str] | None, typer.Argument(metavar="[FRAME | BURST...]", help="A frame, or burst ids.")] = None,
    polygon: PolygonOption = None,
    track: TrackOption = None,
    direction: PassOption = None,
    licsar: LicsarOption = None,
    add: AddOption = None,
    drop: DropOption = None,
    min_coverage: Annotated[
        float | None, typer.Option("--min-coverage", metavar="X", help="Smallest share of bursts of a usable date, 0..1.")
    ] = None,
    dates: Annotated[bool, typer.Option("--dates", help="One line a date, not one for all dates with the same bursts.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which dates have which bursts, from the files known, before a frame is made or changed; and what a drop would gain."""
    import json

    from satdaemon.cli.frame_tables import drops_table, incidence_table, preview_json
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.errors import RequestError

    if sum(map(bool, (target, polygon, licsar))) != 1:
        raise RequestError("frame preview: expected a frame, burst ids, --polygon or --licsar, and one of these only")
    database = Database(load(config))
    found = _preview(database, list(target or []), polygon, (track, direction), licsar, (add or [], drop or []), min_coverage)
    if as_json:
        typer.echo(json.dumps(preview_json(found), indent=1))
        return
    console = make_console()
    console.print(f"{len(found.bursts)} bursts of track {found.track}, pass {found.direction}")
    console.print(", ".join(burst.id for burst in found.bursts), soft_wrap=True)
    if found.dates:
        console.print(incidence_table(found, every_date=dates))
    every = f"{found.complete} with every burst, from which a master can be chosen"
    console.print(f"{found.usable} of {len(found.dates)} dates usable at min_coverage {found.min_coverage:g}; {every}")
    if found.dates:
        master = f"master: {found.master or 'none yet'}: {found.master_reason}"
        console.print(master, markup=False, highlight=False, soft_wrap=True)
    if found.bperp_to is not None:
        sign = "positive where a date's satellite is higher across the line of sight"
        console.print(f"bperp: perpendicular baseline to {found.bperp_to}, {sign}", highlight=False, soft_wrap=True)
    drops = drops_table(found)
    if not found.dates:
        console.print("no file of them is known: satdaemon ingest-files enters zips, satdaemon frame fill asks the archive")
    else:
        console.print(drops if drops.row_count else "no burst whose dropping would gain a date")
    for warning in found.warnings:
        console.print(f"warning: {warning}", markup=False, soft_wrap=True)


def _preview(
    database: Database,
    target: list[str],
    polygon: str | None,
    where: tuple[int | None, str | None],
    licsar: str | None,
    changes: tuple[list[str], list[str]],
    min_coverage: float | None,
) -> Preview:
    from satdaemon.db.frame_choice import by_polygon
    from satdaemon.db.licsar import by_licsar_id
    from satdaemon.db.preview import preview_bursts, preview_frame
    from satdaemon.db.regions import read_region
    from satdaemon.domain import FRAME_ID
    from satdaemon.errors import RequestError

    if len(target) == 1 and FRAME_ID.match(target[0]):
        return preview_frame(database, target[0], add=changes[0], drop=changes[1], min_coverage=min_coverage)
    if any(changes):
        raise RequestError("frame preview: --add and --drop go with a frame")
    if target:
        return preview_bursts(database, target, min_coverage=min_coverage)
    with database.read_scope() as session:
        choice = by_licsar_id(session, licsar) if licsar else by_polygon(session, read_region(polygon or ""), *where)
    return preview_bursts(database, choice, min_coverage=min_coverage)


@frame_app.command("edit")
def edit(
    frame_id: FrameArgument,
    add: AddOption = None,
    drop: DropOption = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--setting", metavar="STAGE.KEY=VALUE", help="A stage's setting for this frame; no VALUE: satdaemon.cfg's."),
    ] = None,
    notes: Annotated[
        str | None, typer.Option("--notes", metavar="TEXT", help="What to remember of the frame; '' clears it.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what the change means, and change nothing.")] = False,
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add or drop bursts (asks where products are made again), set notes and settings. Range and network: `frame set`."""
    import json

    from satdaemon.cli.frame_tables import plain
    from satdaemon.db.frame_edit import plan_edit
    from satdaemon.errors import RequestError

    if not (add or drop or setting or notes is not None):
        raise RequestError("frame edit: expected --add, --drop, --setting or --notes, got none")
    control = controller(config)
    values = _settings(setting or [])
    told: dict[str, object] = {}
    if add or drop:
        plan = plan_edit(control.database, frame_id, add=add or [], drop=drop or [])
        told["bursts"] = plain(plan)
        if not as_json:
            typer.echo(f"{frame_id}: {plan}")
            for warning in plan.warnings:
                typer.echo(f"warning: {warning}")
        if plan.redo and not dry_run and not yes:
            _ask(f"frame {frame_id}: {plan}")
    stale = control.edit_frame(frame_id, add=add or [], drop=drop or [], settings=values, notes=notes, dry_run=dry_run)
    if values:
        told["becomes_stale"] = plain(list(stale))
        if stale and not as_json:
            typer.echo(f"{frame_id}: made with other settings, stale from the next plan on: {', '.join(map(str, stale))}")
    if as_json:
        typer.echo(json.dumps({**told, "changed": not dry_run}, indent=1))
    else:
        typer.echo(f"{frame_id}: {'nothing changed (dry run)' if dry_run else 'changed'}")


@frame_app.command("clone")
def clone(
    frame_id: FrameArgument,
    new_id: Annotated[str, typer.Argument(help="Id of the new frame.")],
    config: ConfigOption = None,
) -> None:
    """Make a frame with the bursts and settings of another. It is off, and has no dates until it is filled."""
    report = controller(config).clone_frame(frame_id, new_id)
    typer.echo(f"{new_id}: {len(report.bursts)} bursts and the settings of {frame_id}, {report.files} files known; it is off")


@frame_app.command("retire")
def retire(
    frame_id: FrameArgument,
    cancel: Annotated[bool, typer.Option("--cancel", help="Stop the jobs of it that run.")] = False,
    let_end: Annotated[bool, typer.Option("--let-end", help="Let the jobs of it that run come to their end.")] = False,
    config: ConfigOption = None,
) -> None:
    """Take a frame out of service: nothing is deleted, nothing more is planned. `frame restore` takes it back."""
    from satdaemon.errors import NeedsConfirmation, RequestError

    if cancel and let_end:
        raise RequestError("frame retire: expected --cancel or --let-end, got both")
    control = controller(config)
    try:
        pending, running = control.retire_frame(frame_id, running="cancel" if cancel else "let_end" if let_end else None)
    except NeedsConfirmation as error:
        raise RequestError(f"{error}: --cancel or --let-end") from error
    typer.echo(
        f"{frame_id}: retired; {pending} pending jobs dropped, {running} running ones {'asked to stop' if cancel else 'left'}"
    )


@frame_app.command("restore")
def restore(frame_id: FrameArgument, config: ConfigOption = None) -> None:
    """Take a retired frame back, with the switches that it had."""
    on = controller(config).restore_frame(frame_id)
    typer.echo(f"{frame_id}: back in service, {'on' if on else 'off'}")


@frame_app.command("delete")
def delete(frame_id: FrameArgument, yes: YesOption = False, config: ConfigOption = None) -> None:
    """Delete a frame with its dates, jobs, record of products and points. Files on disk stay. Asks; `retire` loses nothing."""
    from satdaemon.errors import NeedsConfirmation

    control = controller(config)
    try:
        gone = control.delete_frame(frame_id, confirm=yes)
    except NeedsConfirmation as error:
        _ask(str(error).replace(". Call again with confirm=True to do so", ""))
        gone = control.delete_frame(frame_id, confirm=True)
    typer.echo(f"{frame_id}: deleted{f', and with it {gone}' if str(gone) else ''}")


def _ask(what: str) -> None:
    """Ask at a terminal; where there is none, say how to confirm."""
    from satdaemon.errors import RequestError

    if not sys.stdin.isatty():
        raise RequestError(f"{what}; --yes does it")
    typer.echo(what)
    typer.confirm("Do it?", abort=True)


def _settings(given: list[str]) -> dict[str, dict[str, str | None]]:
    """`satsar.esd_cell_lines=7` -> {"satsar": {"esd_cell_lines": "7"}}; no value is None."""
    from satdaemon.errors import RequestError

    found: dict[str, dict[str, str | None]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        stage, dot, key = name.strip().partition(".")
        if not (equals and dot and key):
            raise RequestError(f"--setting: expected STAGE.KEY=VALUE such as satsar.esd_cell_lines=7, got {text!r}")
        found.setdefault(stage.lower(), {})[key] = value.strip() or None
    return found
