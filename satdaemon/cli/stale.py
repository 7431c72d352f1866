"""`satdaemon stale`: what was made from inputs that have changed since; `satdaemon frame reprocess`: leave to make it again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from satdaemon.cli.application import ConfigOption, JsonOption, app, make_console
from satdaemon.cli.frames import FrameArgument, frame_app
from satdaemon.domain import some_of
from satdaemon.status import RowKind

if TYPE_CHECKING:
    from satdaemon.db.staleness import Marked, StaleRow

_NAMES = {RowKind.MASTER: "master", RowKind.IFG: "date", RowKind.RSAR_IFG: "pair"}


class Switch(StrEnum):
    """On or off."""

    ON = "on"
    OFF = "off"


@app.command("stale")
def stale_command(
    frames: Annotated[list[str] | None, typer.Argument(metavar="[FRAME]...", help="Frames; default: all.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Look now, and show what would become stale or fresh; nothing is written.")
    ] = False,
    mark: Annotated[bool, typer.Option("--mark", help="Look now and write it down, as the planner does; then list.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Show every row rather than equal ones together.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what is stale: since when, why, from which stage, and what making it again costs.

    Products serve until they are made again, which `satdaemon frame reprocess FRAME on` allows.
    """
    from satdaemon.config import load
    from satdaemon.db import Database, staleness
    from satdaemon.processors.registry import versions

    database, wanted = Database(load(config)), frames or None
    if wanted is not None:
        staleness.stale(database, wanted)  # refuses frames that do not exist
    if check:
        with _progress(as_json) as progress:
            found = staleness.check(database, wanted, versions(), progress=progress)
        _show_changes(found, as_json)
        return
    if mark:
        with _progress(as_json) as progress:
            staleness.mark(database, wanted, versions(), progress=progress)
    rows = staleness.stale(database, wanted)
    if as_json:
        typer.echo(json.dumps({"rows": [asdict(row) for row in rows], "cost": _cost(rows)}, indent=1, default=str))
        return
    _show(rows, every)


@frame_app.command("reprocess")
def reprocess(
    frame_id: FrameArgument,
    switch: Annotated[Switch, typer.Argument(help="on: what is stale is made again; off: it serves as it is.")],
    config: ConfigOption = None,
) -> None:
    """Allow, or not, that what is stale in a frame is made again. `satdaemon stale FRAME` says what that would cost."""
    from satdaemon.config import load
    from satdaemon.control import SatDaemonController
    from satdaemon.db import Database, staleness

    settings = load(config)
    SatDaemonController(settings).set_frame_reprocess(frame_id, switch is Switch.ON)
    rows = staleness.stale(Database(settings), [frame_id])
    what = f"; stale: {_count(len(rows), 'row')}, {_cost_text(rows)}" if rows else "; nothing is stale"
    typer.echo(f"{frame_id}: reprocessing {switch.value}{what}")


@contextmanager
def _progress(quiet: bool) -> Iterator[Any]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("[bold]frames"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = make_console()
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bars:
        bar = bars.add_task("", total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


def _show_changes(found: Sequence[Marked], as_json: bool) -> None:
    if as_json:
        values = [{**asdict(change), "status": change.status.name} for change in found]
        typer.echo(json.dumps({"would_change": values}, indent=1, default=str))
        return
    if not found:
        typer.echo("nothing would change")
        return
    table = Table("frame", "row", "from stage", "would be", "reason", title="a look now; nothing was written")
    groups: dict[tuple[str, str, str, str, str], list[str]] = {}
    for change in found:
        name = "pairs" if change.kind is RowKind.RSAR_IFG else f"{_NAMES[change.kind]} {change.date1:%Y%m%d}"
        place = (change.frame_id, name, change.stage.value, change.status.name, change.reason)
        groups.setdefault(place, []).append(_days(change))
    for (frame_id, name, stage, status, reason), days in groups.items():
        table.add_row(frame_id, _together(name, days), stage, status, reason)
    make_console().print(table)


def _show(rows: Sequence[StaleRow], every: bool) -> None:
    if not rows:
        typer.echo("nothing is stale")
        return
    table = Table("frame", "row", "from stage", "since (UTC)", "CPU-h", "again", "reason", title="stale: made from other inputs")
    groups: dict[tuple[str, ...], list[StaleRow]] = {}
    for row in rows:
        joined = row.kind is RowKind.RSAR_IFG and not every
        name = "pairs" if joined else f"{_NAMES[row.kind]} {_days(row)}"
        groups.setdefault((row.frame_id, name, row.stage.value, row.reason), []).append(row)
    for (frame_id, name, stage, reason), some in groups.items():
        since = min(row.since_utc for row in some)
        again = "by itself" if all(row.allowed for row in some) else "needs leave"
        shown = _together(name, [_days(row) for row in some])
        table.add_row(frame_id, shown, stage, f"{since:%Y-%m-%d %H:%M}", _hours(some), again, reason)
    make_console().print(table)
    counts = Counter(row.frame_id for row in rows if not row.allowed)
    frames = len({row.frame_id for row in rows})
    typer.echo(f"{_count(len(rows), 'row')} stale in {_count(frames, 'frame')}: {_cost_text(rows)}")
    if counts:
        shown = ", ".join(f"satdaemon frame reprocess {frame_id} on" for frame_id in sorted(counts)[:3])
        more = f", and {_count(len(counts) - 3, 'frame')} more" if len(counts) > 3 else ""
        typer.echo(f"to have them made again: {shown}{more}")


def _together(name: str, days: Sequence[str]) -> str:
    if name != "pairs":
        return name
    return f"pairs {some_of(days)}"


def _days(row: StaleRow | Marked) -> str:
    return f"{row.date1:%Y%m%d}" + (f"-{row.date2:%Y%m%d}" if row.date2 else "")


def _cost(rows: Sequence[StaleRow]) -> dict[str, Any]:
    known = [row.cpu_h for row in rows if row.cpu_h is not None]
    jobs = sum(len(row.stages) for row in rows)
    return {
        "rows": len(rows), "jobs": jobs, "bytes": sum(row.bytes for row in rows), "cpu_h": sum(known),
        "rows_of_unknown_cost": len(rows) - len(known),
    }  # fmt: skip


def _cost_text(rows: Sequence[StaleRow]) -> str:
    cost = _cost(rows)
    unknown = f", and {_count(cost['rows_of_unknown_cost'], 'row')} of unknown cost" if cost["rows_of_unknown_cost"] else ""
    return f"{_count(cost['jobs'], 'job')}, about {cost['cpu_h']:.3g} CPU-h{unknown}, {cost['bytes'] / 1e9:.3g} GB of products"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _hours(rows: Sequence[StaleRow]) -> str:
    known = [row.cpu_h for row in rows if row.cpu_h is not None]
    return f"{sum(known):.3g}" if known else "unknown"
