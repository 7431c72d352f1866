"""`satdaemon space`: intermediate products that may be removed to free disk space, the cheapest to make again first."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from satdaemon.cli.application import ConfigOption, JsonOption, app, controller, make_console

if TYPE_CHECKING:
    from satdaemon.db.retention import Zip
    from satdaemon.db.space import Removable


@app.command("space")
def space(
    remove: Annotated[
        float | None, typer.Option("--remove", min=0.001, metavar="GB", help="Remove the cheapest until so much is free.")
    ] = None,
    frame: Annotated[list[str] | None, typer.Option("--frame", metavar="FRAME", help="Only its; may be repeated.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what may be removed to free disk space; with --remove, remove it.

    Only cut-outs (slc) whose satsar stands, and coherence of pairs whose unwrap stands. Each is made again by itself where a
    later change asks for it. Orbits, satsar, siblings, unwraps, series and points are never touched; zips that were fetched go
    by [DOWNLOAD] keep, and are listed here; so do downloads of single bursts.
    """
    from satdaemon.db import partial_removal, retention

    control = controller(config)
    found = control.free_space(remove, frame_ids=frame)
    keep, zips = control.database.settings.download.keep, retention.removable(control.database)
    going = retention.due(control.database)
    if as_json:
        typer.echo(json.dumps({**_document(found, remove is not None), "zips": _zips(keep, zips, going)}, indent=1))
        return
    make_console().print(_table(found))
    size_gb = sum(one.bytes for one in found) / 1e9
    done = f"removed: {len(found)} products, {size_gb:.3g} GB" if remove is not None else ""
    if keep != "always":
        when = "with the next plan" if keep == "space" else "at the next maintenance"
        went = f"{len(going)} ({_gb(going):.3g} GB) go {when}"
        typer.echo(f"fetched zips that nothing needs: {len(zips)}, {_gb(zips):.3g} GB; by [DOWNLOAD] keep = {keep}, {went}")
        if some := partial_removal.due(control.database):
            typer.echo(f"downloads of single bursts: {len(some)} ({_gb(some):.3g} GB) go at the next maintenance")
    typer.echo(done or f"{size_gb:.3g} GB may be removed; nothing was: satdaemon space --remove GB")


def _groups(found: list[Removable]) -> list[tuple[str, str, int, float, float]]:
    """Frame, stage, products, GB, CPU hours to make them again."""
    groups: dict[tuple[str, str], list[Removable]] = defaultdict(list)
    for one in found:
        groups[one.frame_id, one.stage.value].append(one)
    return [
        (frame_id, stage, len(some), sum(one.bytes for one in some) / 1e9, sum(one.cpu_s or 0.0 for one in some) / 3600.0)
        for (frame_id, stage), some in groups.items()
    ]


def _gb(zips: Sequence[Zip | Removable]) -> float:
    return sum(one.bytes for one in zips) / 1e9


def _zips(keep: str, zips: list[Zip], going: list[Zip]) -> dict[str, object]:
    return {"keep": keep, "gb": _gb(zips), "removable": [str(z.path) for z in zips], "due": [str(z.path) for z in going]}


def _table(found: list[Removable]) -> Table:
    table = Table("frame", "stage", title="the cheapest to make again first")
    for name in ("products", "GB", "CPU h to make again"):
        table.add_column(name, justify="right")
    for frame_id, stage, count, size_gb, cpu_h in _groups(found):
        table.add_row(frame_id, stage, str(count), f"{size_gb:.3g}", f"{cpu_h:.3g}")
    return table


def _document(found: list[Removable], is_done: bool) -> dict[str, object]:
    names = ("frame", "stage", "products", "gb", "cpu_h")
    return {
        "removed": is_done,
        "gb": sum(one.bytes for one in found) / 1e9,
        "groups": [dict(zip(names, group, strict=True)) for group in _groups(found)],
        "products": [str(one.path) for one in found],
    }
