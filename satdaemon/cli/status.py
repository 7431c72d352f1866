"""`satdaemon status`: what is owed, what runs, what failed and why."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from satdaemon.cli.application import ConfigOption, JsonOption, app, make_console
from satdaemon.domain import some_of
from satdaemon.status import RowKind

if TYPE_CHECKING:
    from satdaemon.db import Database, RunningJob
    from satdaemon.db.summary import ReportRow

WATCH_S = 2.0
_NAMES = {RowKind.MASTER: "master", RowKind.IFG: "dates", RowKind.RSAR_IFG: "pairs"}
_COLUMNS = ("done", "warnings", "running", "ready", "blocked", "off", "failed", "excluded", "stale")
_STYLES = {"done": "green", "warnings": "yellow", "running": "cyan", "failed": "red", "excluded": "magenta"}


@app.command("status")
def status(
    frame_id: Annotated[str | None, typer.Argument(metavar="[FRAME]", help="One frame; default: all together.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, with parts and machines too, until Ctrl-C.")] = False,
) -> None:
    """Show rows by stage and state; for one frame also every row that does not go on, with the reason."""
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db import summary as views
    from satdaemon.db.files import problems

    database = Database(load(config))
    if watch:
        if as_json:
            raise typer.BadParameter("expected either --watch or --json, got both")
        watch_progress(database, frame_id)
        return
    held = views.blocked(database, frame_id) if frame_id is not None else []
    unusable = problems(database)
    if as_json:
        stages = [{**asdict(counts), "waiting": counts.waiting} for counts in views.summary(database, frame_id)]
        document = {"stages": stages, "held_up": [asdict(row) for row in held], "unusable_files": unusable}
        typer.echo(json.dumps(document, indent=1, default=str))
        return
    console = make_console()
    console.print(progress_table(database, frame_id))
    if unusable and frame_id is None:
        console.print(f"{unusable} files cannot be used: satdaemon files --bad")
    if held:
        console.print(reasons_table(held))


def watch_progress(database: Database, frame_id: str | None) -> None:
    """The system and its progress, brought up to date every two seconds until Ctrl-C; a database that is away is said."""
    from rich.live import Live

    from satdaemon.db.overview import overview
    from satdaemon.errors import DatabaseUnavailable
    from satdaemon.screen import screen

    with Live(console=make_console(), auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            try:
                system = screen(overview(database, running=0), database.settings)
                seen = Group(system, progress_table(database, frame_id))
            except DatabaseUnavailable as error:
                seen = Group(f"[red]the database does not answer:[/] {escape(str(error))}")
            live.update(seen, refresh=True)
            time.sleep(WATCH_S)


def progress_table(database: Database, frame_id: str | None) -> Group:
    """Rows by stage and state, and the jobs that run now."""
    from satdaemon.db import RunningJob
    from satdaemon.db.summary import summary

    table = Table("stage", "of", *_COLUMNS, "all", title=frame_id, min_width=96)
    for counts in summary(database, frame_id):
        cells = []
        for name in _COLUMNS:
            count = getattr(counts, name)
            cells.append(f"[{_STYLES.get(name, 'default')}]{count}[/]" if count else "")
        table.add_row(counts.stage.value, _NAMES[counts.kind], *cells, str(counts.total))
    conditions = {} if frame_id is None else {"frame_id": frame_id}
    jobs = database.query(RunningJob, **conditions)
    lines = [
        f"  {job.machine}: {job.stage} {_dates(job)}  {100 * (job.progress or 0):3.0f} %{_left(job)}  {job.message or ''}"
        for job in jobs[:8]
    ]
    return Group(table, *lines)


def reasons_table(rows: list[ReportRow]) -> Table:
    """Rows that do not go on by themselves, with the reason; pairs of one state and reason together."""
    table = Table(title="held up, failed or left out")
    for name in ("row", "stage", "state", "reason"):
        table.add_column(name, overflow="fold")
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    for row in rows:
        day = f"{row.date1:%Y%m%d}" + (f"-{row.date2:%Y%m%d}" if row.date2 else "")
        name = "pairs" if row.kind is RowKind.RSAR_IFG else f"{_NAMES[row.kind]} {day}"
        groups.setdefault((name, row.stage.value, row.state, row.reason), []).append(day)
    for (name, stage, state, reason), days in groups.items():
        shown = f"pairs {some_of(days)}" if name == "pairs" else name
        table.add_row(shown, stage, state, reason)
    return table


def _left(job: RunningJob) -> str:
    """When it is predicted to end, where such jobs ran before."""
    if job.predicted_s is None:
        return ""
    end = (job.started_utc or job.granted_utc) + timedelta(seconds=job.predicted_s)
    return f", till about {end:%H:%M} UTC"


def _dates(job: object) -> str:
    days = [day for day in (getattr(job, "date1", None), getattr(job, "date2", None)) if day is not None]
    return "-".join(f"{day:%Y%m%d}" for day in days) or "frame"
