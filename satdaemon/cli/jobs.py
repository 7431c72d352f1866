"""`satdaemon job ...`: jobs that run, wait or failed; stop them, try them again."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from satdaemon.cli.application import ConfigOption, JsonOption, app, controller, make_console

if TYPE_CHECKING:
    from satdaemon.db.job_list import JobLine

job_app = typer.Typer(help="Jobs: list, show, retry, cancel.", no_args_is_help=True)
app.add_typer(job_app, name="job")
FrameOption = Annotated[str | None, typer.Option("--frame", metavar="FRAME", help="All jobs of this frame.")]
JobArgument = Annotated[int | None, typer.Argument(metavar="[JOB]", min=1, help="Id of a job, as `job list` shows it.")]
_STYLES = {"running": "cyan", "failed": "red", "held": "magenta"}


@job_app.command("list")
def list_jobs(
    frame_id: FrameOption = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only jobs that failed for good.")] = False,
    running: Annotated[bool, typer.Option("--running", help="Only running jobs.")] = False,
    most: Annotated[int, typer.Option("--most", min=1, max=100_000, help="At most so many.")] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the jobs: running, failed, then the queue in its order, each with what it waits for or why it failed."""
    from satdaemon.db.job_list import JobPlace, listing

    places = [place for place, is_wanted in ((JobPlace.FAILED, failed), (JobPlace.RUNNING, running)) if is_wanted]
    found = listing(controller(config).database, frame_id=frame_id, places=places or tuple(JobPlace), most=most)
    if as_json:
        typer.echo(json.dumps([asdict(line) for line in found], indent=1, default=str))
        return
    _print(found)
    if len(found) == most:
        typer.echo(f"the first {most}: --most shows more")


@job_app.command("show")
def show(
    job_id: Annotated[int, typer.Argument(metavar="JOB", min=1)], config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Show one job: where it stands, its log, and all that happened to it."""
    from satdaemon.db.job_list import history

    found = history(controller(config).database, job_id)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=1, default=str))
        return
    if found.job is None:
        typer.echo(f"job {job_id} has ended, or is not wanted any more")
    else:
        _print([found.job])
        if found.job.log:
            typer.echo(f"output: {found.job.log}")
    for event in found.events:
        more = ", ".join(f"{name} {value}" for name, value in event.items() if name not in ("at_utc", "event", "message"))
        said = f": {event['message']}" if "message" in event else ""
        typer.echo(f"{event['at_utc']:%Y-%m-%d %H:%M:%S}  {event['event']}{f' ({more})' if more else ''}{said}")
    if found.traceback:
        typer.echo(found.traceback)


@job_app.command("retry")
def retry(
    job_id: JobArgument = None,
    frame_id: FrameOption = None,
    stage: Annotated[str | None, typer.Option("--stage", help="Of the frame, only jobs of this stage.")] = None,
    config: ConfigOption = None,
) -> None:
    """Try failed jobs again with all their tries, release held ones, hurry those that wait for their next try."""
    count = controller(config).retry(job_id=job_id, frame_id=frame_id, stage=stage)
    typer.echo(f"{count} jobs are tried again" if count else "nothing to try again: no failed, held or delayed job is meant")


@job_app.command("cancel")
def cancel(
    job_id: JobArgument = None,
    frame_id: FrameOption = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")] = "",
    config: ConfigOption = None,
) -> None:
    """Stop a job, or all jobs of a frame, running ones too; they are held until `job retry`."""
    count = controller(config).cancel(job_id=job_id, frame_id=frame_id, reason=reason)
    typer.echo(
        f"{count} jobs are stopped and held; `satdaemon job retry` releases them"
        if count
        else "nothing to stop: no pending or running job is meant"
    )


def _print(lines: list[JobLine]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("job", "what", "stands", "machine", "attempt", "since (UTC)", "progress, or why")
    for line in lines:
        place = f"[{_STYLES.get(line.place, 'default')}]{line.place}[/]"
        since = f"{line.since_utc:%Y-%m-%d %H:%M}"
        row = (str(line.job_id), escape(line.title), place, line.machine or "", str(line.attempt), since, escape(line.what))
        table.add_row(*row)
    make_console().print(table if lines else "no such jobs")
