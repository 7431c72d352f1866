"""`satdaemon frame plan|set|dates|exclude|include|master`: dates, network and master of a frame."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table

from satdaemon.cli.application import ConfigOption, JsonOption, make_console
from satdaemon.cli.frame_changes import carry_out, change_of, days_of, plan_json, print_plan, rows_of
from satdaemon.cli.frames import FrameArgument, frame_app

BPERP = "bperp: perpendicular baseline to the master, positive where the date's satellite is higher across the line of sight"
_OPEN = "YYYY-MM-DD, or `open`."
_DEFAULT = "A number, or `default` for satdaemon.cfg's."
StartOption = Annotated[str | None, typer.Option("--start", metavar="DATE", help=f"First date to process: {_OPEN}")]
EndOption = Annotated[str | None, typer.Option("--end", metavar="DATE", help=f"Last date to process: {_OPEN}")]
MasterOption = Annotated[str | None, typer.Option("--master", metavar="DATE", help="Another master date.")]
PreviousOption = Annotated[
    str | None, typer.Option("--previous", metavar="N", help=f"Pair each date with so many before it. {_DEFAULT}")
]
AnnualOption = Annotated[
    str | None, typer.Option("--annual-pairs", metavar="N", help=f"At most so many pairs of about one year a date. {_DEFAULT}")
]
ToleranceOption = Annotated[
    str | None, typer.Option("--annual-tolerance-days", metavar="N", help=f"How far from one year those may be. {_DEFAULT}")
]
MaxDaysOption = Annotated[
    str | None, typer.Option("--max-days", metavar="N", help=f"Longest span of the others, days; 0: no limit. {_DEFAULT}")
]
CoverageOption = Annotated[
    str | None, typer.Option("--min-coverage", metavar="X", help=f"Smallest share of bursts of a usable date, 0..1. {_DEFAULT}")
]
StackOption = Annotated[
    str | None, typer.Option("--initial-stack", metavar="N", help=f"Dates from which siblings are chosen. {_DEFAULT}")
]
ExcludeOption = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="ROW", help="Leave out a date, or a pair YYYYMMDD_YYYYMMDD; repeat.")
]
IncludeOption = Annotated[
    list[str] | None, typer.Option("--include", metavar="ROW", help="Take a date or pair back that was excluded; repeat.")
]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why dates or pairs are left out.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, even where products are made again or given up.")]
RowsArgument = Annotated[list[str], typer.Argument(metavar="ROW...", help="Dates YYYY-MM-DD, or pairs YYYYMMDD_YYYYMMDD.")]


@frame_app.command("plan")
def plan(
    frame_id: FrameArgument,
    master: MasterOption = None,
    start: StartOption = None,
    end: EndOption = None,
    previous: PreviousOption = None,
    annual_pairs: AnnualOption = None,
    annual_tolerance_days: ToleranceOption = None,
    max_days: MaxDaysOption = None,
    min_coverage: CoverageOption = None,
    initial_stack: StackOption = None,
    exclude: ExcludeOption = None,
    include: IncludeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a change would make, redo and give up, with its cost; nothing is changed. Without any: the new files."""
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.what_if import what_if

    change = change_of(
        master, exclude, include, "what if", start_date=start, end_date=end, previous=previous, annual_pairs=annual_pairs,
        annual_tolerance_days=annual_tolerance_days, max_days=max_days, min_coverage=min_coverage, initial_stack=initial_stack,
    )  # fmt: skip
    found = what_if(Database(load(config)), frame_id, change)
    if as_json:
        typer.echo(json.dumps(plan_json(found), indent=1))
    else:
        print_plan(found)


@frame_app.command("set")
def set_(
    frame_id: FrameArgument,
    master: MasterOption = None,
    start: StartOption = None,
    end: EndOption = None,
    previous: PreviousOption = None,
    annual_pairs: AnnualOption = None,
    annual_tolerance_days: ToleranceOption = None,
    max_days: MaxDaysOption = None,
    min_coverage: CoverageOption = None,
    initial_stack: StackOption = None,
    exclude: ExcludeOption = None,
    include: IncludeOption = None,
    reason: ReasonOption = "",
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change range, network, coverage, master or dates of a frame. Asks where products are made again or given up."""
    change = change_of(
        master, exclude, include, reason, start_date=start, end_date=end, previous=previous, annual_pairs=annual_pairs,
        annual_tolerance_days=annual_tolerance_days, max_days=max_days, min_coverage=min_coverage, initial_stack=initial_stack,
    )  # fmt: skip
    carry_out(frame_id, change, config, yes=yes, as_json=as_json)


@frame_app.command("exclude")
def exclude_rows(
    frame_id: FrameArgument,
    rows: RowsArgument,
    reason: ReasonOption = "",
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Leave dates or pairs out, with a reason, until they are included again."""
    from satdaemon.db.what_if import FrameChange

    carry_out(frame_id, FrameChange(exclude=rows_of(rows), reason=reason), config, yes=yes, as_json=as_json)


@frame_app.command("include")
def include_rows(
    frame_id: FrameArgument,
    rows: RowsArgument,
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take dates or pairs back that were excluded."""
    from satdaemon.db.what_if import FrameChange

    carry_out(frame_id, FrameChange(include=rows_of(rows)), config, yes=yes, as_json=as_json)


@frame_app.command("master")
def master_command(
    frame_id: FrameArgument,
    day: Annotated[str | None, typer.Argument(metavar="[DATE]", help="Make this date the master; default: show it.")] = None,
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the master of a frame and why it is that, or set another one."""
    from satdaemon.config import load
    from satdaemon.db import Database, Master
    from satdaemon.db.what_if import FrameChange

    if day is not None:
        carry_out(frame_id, FrameChange(master=days_of(day)), config, yes=yes, as_json=as_json)
        return
    found = Database(load(config)).query(Master, frame_id=frame_id)
    values = {
        "master": found[0].date.isoformat() if found else None,
        "chosen_by": found[0].chosen_by if found else None,
        "reason": found[0].choice_reason if found else "none yet: `satdaemon frame plan` says what is lacking",
    }
    typer.echo(json.dumps(values, indent=1) if as_json else f"{values['master'] or 'no master'}: {values['reason']}")


@frame_app.command("dates")
def dates(frame_id: FrameArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the dates of a frame: where each stands, its coverage, baseline, pairs and scenes."""
    from dataclasses import asdict

    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.date_list import dates_of

    found = dates_of(Database(load(config)), frame_id)
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in found], indent=1, default=str))
        return
    table = Table("date", "stage", "state", "coverage", "bperp (m)", "pairs", "files", "reason", title=frame_id, caption=BPERP)
    for entry in found:
        lacks = f", lacks {', '.join(entry.missing_bursts)}" if entry.missing_bursts and entry.state != "excluded" else ""
        table.add_row(
            f"{entry.date}{' master' if entry.is_master else ''}", entry.stage.value, entry.state.value,
            "" if entry.coverage is None else f"{entry.coverage:.0%}",
            "" if entry.bperp_m is None else f"{entry.bperp_m:.0f}",
            str(entry.pairs), str(len(entry.scenes)), f"{entry.reason}{lacks}".removeprefix(", "),
        )  # fmt: skip
    make_console().print(table)


@frame_app.command("latency")
def latency(
    frame_id: FrameArgument,
    last: Annotated[int, typer.Option("--last", min=1, help="The newest so many dates.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how late each date of a frame is, from sensing to points, and what took longest."""
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.latency import of_frame
    from satdaemon.planning.latency import in_words

    found = list(of_frame(Database(load(config)), frame_id).items())[:last]
    if as_json:
        values = [
            {
                "date": str(day), "total_s": one.total_s, "is_whole": one.is_whole, "late_part": one.late_part,
                "moments": {name: moment.isoformat() for name, moment in one.moments.items()}, "parts_s": dict(one.parts),
            }
            for day, one in found
        ]  # fmt: skip
        typer.echo(json.dumps(values, indent=1))
        return
    shown = ("known", "download", "satsar", "unwrap", "ingest")
    table = Table("date", *shown, "late", title=frame_id, caption="Times since sensing; `--json` has every step.")
    for day, one in found:
        start = one.moments.get("sensed")
        since = [
            "" if start is None or (at := one.moments.get(name)) is None else in_words(max((at - start).total_seconds(), 0))
            for name in shown
        ]
        table.add_row(str(day), *since, str(one))
    make_console().print(table)
