"""`satdaemon archive ...`: what the configured archives have, into the database, and single products from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from satdaemon.cli.application import ConfigOption, JsonOption, app, make_console

if TYPE_CHECKING:
    from satdaemon.archive.found import Listed
    from satdaemon.db.scenes import Searched

archive_app = typer.Typer(help="The archives that scenes come from: [DOWNLOAD] archives.", no_args_is_help=True)
app.add_typer(archive_app, name="archive")
ArchiveOption = Annotated[
    list[str] | None, typer.Option("--archive", metavar="NAME", help="Only this one; may be repeated. Default: all configured.")
]


@archive_app.command("search")
def search(
    frame_id: Annotated[str, typer.Argument(metavar="FRAME")],
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which scenes of a frame the archives have; nothing is changed."""
    import json

    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.scenes import search_archives

    searched = search_archives(Database(load(config)), [frame_id], only=archive or ())
    for warning in searched.warnings:
        typer.echo(f"warning: {warning}", err=True)
    scenes = _by_scene(searched)
    if as_json:
        typer.echo(json.dumps([_document(name, each) for name, each in scenes.items()], indent=1))
        return
    _print(scenes)
    counts = ", ".join(f"{name} {len(found.listed)}" for name, found in searched.found.items())
    typer.echo(f"{frame_id}: {len(scenes)} scenes ({counts}); entered by: satdaemon archive fill {frame_id}")


@archive_app.command("fill")
def fill(
    frames: Annotated[list[str] | None, typer.Argument(metavar="FRAME...")] = None,
    every: Annotated[bool, typer.Option("--all", help="All frames that are not retired.")] = False,
    archive: ArchiveOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be entered; change nothing.")] = False,
    config: ConfigOption = None,
) -> None:
    """Enter the scenes that the archives have of frames; the planner takes it from there. Entered again, nothing changes."""
    from satdaemon.config import load
    from satdaemon.db import Database, Frame
    from satdaemon.db.scenes import fill_files, together
    from satdaemon.errors import RequestError

    if every == bool(frames):
        raise RequestError("archive fill: expected FRAME... or --all, got " + ("both" if every else "neither"))
    database = Database(load(config))
    wanted = [frame.id for frame in database.query(Frame) if frame.retired_utc is None] if every else list(frames or ())
    for some in together(database, wanted):
        report = fill_files(database, *some, only=archive or (), dry_run=dry_run)
        counts = ", ".join(f"{name} {count}" for name, count in (report.listed or {}).items())
        would = " (nothing was entered)" if dry_run else ""
        typer.echo(
            f"{', '.join(some)}: {report.found} scenes ({counts}), {report.added} new, {report.renewed} renewed,"
            f" {len(report.bad)} bad{would}"
        )
        for warning in report.warnings:
            typer.echo(f"warning: {warning}", err=True)
        for scene, reason in report.bad.items():
            typer.echo(f"bad: {scene}: {reason}", err=True)


@archive_app.command("fetch")
def fetch(
    scenes: Annotated[list[str], typer.Argument(metavar="SCENE...", help="Names of products, as `archive search` shows them.")],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Put them there, and enter nothing. Default: data_path.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Fetch products, verified, from the first archive that gives them; what is there already is checked and left."""
    from satdaemon.cli.archive_fetch import Bar
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.fetching import fetch_scenes

    database = Database(load(config))
    with Bar(make_console()) as bar:
        for found in fetch_scenes(database, scenes, to, bar):
            bar.done(f"{found.path}  {(found.size or 0) / 1e9:.3f} GB  {found.checksum}")


def _by_scene(searched: Searched) -> dict[str, dict[str, Listed]]:
    """Scene -> archive -> what that lists, in order of time."""
    scenes: dict[str, dict[str, Listed]] = {}
    for name, found in searched.found.items():
        for listed in found.listed:
            scenes.setdefault(listed.scene.id, {})[name] = listed
    return dict(sorted(scenes.items(), key=lambda one: (next(iter(one[1].values())).scene.start_utc, one[0])))


def _document(name: str, each: dict[str, Listed]) -> dict[str, Any]:
    first = next(iter(each.values())).scene
    processed = next((one.scene.proc_utc for one in each.values() if one.scene.proc_utc is not None), None)
    return {
        "scene": name,
        "start_utc": first.start_utc.isoformat(),
        "track": first.track,
        "platform": first.platform,
        "proc_utc": None if processed is None else processed.isoformat(),
        "archives": {
            archive: {
                "url": one.scene.url,
                "size": one.scene.size,
                "checksum": one.scene.checksum,
                "published_utc": None if one.published_utc is None else one.published_utc.isoformat(),
            }
            for archive, one in each.items()
        },
    }


def _print(scenes: dict[str, dict[str, Listed]]) -> None:
    from rich.table import Table

    table = Table("scene", "GB", "published", "archives")
    for name, each in scenes.items():
        one = next(iter(each.values()))
        size = "" if one.scene.size is None else f"{one.scene.size / 1e9:.2f}"
        when = "" if one.published_utc is None else f"{one.published_utc:%Y-%m-%d %H:%M}"
        table.add_row(name, size, when, ", ".join(each))
    make_console().print(table)
