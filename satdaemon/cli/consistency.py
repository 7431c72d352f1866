"""`satdaemon check-consistency`: the database against the file system."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, Group
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from satdaemon.cli.application import DIFFERS, ConfigOption, JsonOption, app, make_console
from satdaemon.domain import some_of

if TYPE_CHECKING:
    from satdaemon.db import Database
    from satdaemon.db.consistency import Finding, Fixed, Report, Undone

_LISTED = 5
_OFFERED = 20


@app.command("check-consistency")
def check_consistency_command(
    frames: Annotated[list[str] | None, typer.Argument(help="Only these frames; default: all, and all zips.")] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Change the database as printed, after a dump of the rows.")] = False,
    deep: Annotated[
        bool, typer.Option("--deep/--quick", help="Read all data and compare checksums, or headers and sizes only.")
    ] = False,
    delete: Annotated[
        list[Path] | None,
        typer.Option("--delete", help="Delete this path, which the check reports; may be repeated.", metavar="PATH"),
    ] = None,
    undo: Annotated[
        Path | None, typer.Option("--undo", help="Put back what the fix changed that wrote this file.", metavar="DUMP")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="List every finding, and notes, one by one.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the database with the file system, and print what would be changed.

    Nothing is changed without --fix, and no file is ever deleted but those named with --delete. Exit code 0: all fits
    (or was put right); 3: something does not fit.
    """
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.errors import RequestError

    if undo is not None and (fix or delete or frames):
        raise RequestError("--undo: expected no frames and neither --fix nor --delete beside it")
    database = Database(load(config))
    console = make_console()
    if undo is not None:
        _undo(database, undo, console, as_json)
        return
    report = _check(database, frames or None, deep, as_json)
    fixed, deleted = _act(database, report, fix, delete or [])
    open_ = _still_open(report, fixed, deleted)
    if as_json:
        typer.echo(json.dumps(_as_json(report, fixed, deleted, open_), indent=1, default=str))
    else:
        console.print(_page(report, everything))
        _tell(console, report, fixed, deleted, open_, everything)
    if open_:
        raise typer.Exit(DIFFERS)


def _check(database: Database, frames: Sequence[str] | None, deep: bool, quiet: bool) -> Report:
    from satdaemon.db.consistency import check

    columns = (TextColumn("[bold]check"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    last = TextColumn("{task.description}")
    with Progress(*columns, last, transient=True, disable=quiet, console=Console(stderr=True)) as bars:
        bar = bars.add_task("")

        def progress(done: float, total: float, what: str) -> None:
            bars.update(bar, completed=done, total=total, description=what)

        return check(database, frames, deep=deep, progress=progress)


def _act(database: Database, report: Report, fix: bool, delete: Sequence[Path]) -> tuple[Fixed | None, list[Path]]:
    """Fix and delete as asked; what may not be deleted is refused before anything is changed."""
    from satdaemon.control import operator_name
    from satdaemon.db import consistency

    consistency.check_paths(database, report, delete)
    fixed = consistency.fix(database, report, who=operator_name()) if fix else None
    return fixed, consistency.delete_paths(database, report, delete)


def _undo(database: Database, dump: Path, console: Console, as_json: bool) -> None:
    from satdaemon.control import operator_name
    from satdaemon.db import consistency

    undone: Undone = consistency.undo(database, dump, who=operator_name())
    if as_json:
        typer.echo(json.dumps(asdict(undone), indent=1))
        return
    console.print(f"put back: {undone.rows} rows, {undone.records} products, {undone.files} files")
    for line in undone.left:
        console.print(f"left as it is: {line}", highlight=False, markup=False)


def _still_open(report: Report, fixed: Fixed | None, deleted: Iterable[Path]) -> list[Finding]:
    """Findings that nothing was done about."""
    gone = {str(path) for path in deleted}
    left = report.problems
    if fixed is not None and not fixed.skipped:
        left = [f for f in left if not f.fixable]
    return [f for f in left if not (f.deletable and f.path is not None and str(f.path) in gone)]


def _page(report: Report, everything: bool) -> Group:
    """What was found, alike things together, and what the fix would change."""
    parts: list[Any] = []
    shown = report.findings if everything else report.problems
    if shown:
        table = Table(title="does not fit", title_justify="left")
        for name in ("frame", "what", "where", "why", "remedy"):
            table.add_column(name, overflow="fold")
        for group in _groups(shown, 1 if everything else 0):
            first = group[0]
            table.add_row(first.frame_id or "", first.kind.value, _where(group), _why(group), _remedy(group))
        parts.append(table)
    if report.rows:
        table = Table("rows", "frame", "table", "from", "to", title="the fix moves", title_justify="left")
        moves = Counter((c.frame_id, c.kind, c.before.words(c.kind), c.after.words(c.kind)) for c in report.rows)
        for (frame, kind, old, new), count in sorted(moves.items()):
            table.add_row(str(count), frame, kind, old, new)
        parts.append(table)
    return Group(*parts)


def _groups(findings: Sequence[Finding], single: int) -> list[list[Finding]]:
    """Findings of one frame, kind and stage together; each by itself where `single`."""
    groups: dict[tuple[Any, ...], list[Finding]] = {}
    for place, f in enumerate(findings):
        remedy = f.remedy if f.kind.moves_row or f.stage is None else ""
        key = (f.frame_id or "", f.kind, "" if f.kind.moves_row else f.stage or "", remedy, place * single)
        groups.setdefault(key, []).append(f)
    return list(groups.values())


def _where(group: Sequence[Finding]) -> str:
    names = [f.key or str(f.path or "") for f in group]
    return (f"{group[0].stage} " if group[0].stage else "") + some_of(names, _LISTED)


def _why(group: Sequence[Finding]) -> str:
    reasons = list(dict.fromkeys(f.what for f in group))
    return reasons[0] + (f" (and {len(reasons) - 1} other reasons)" if len(reasons) > 1 else "")


def _remedy(group: Sequence[Finding]) -> str:
    first = group[0]
    return f"--fix: {first.remedy}" if first.fixable else first.remedy


def _tell(
    console: Console, report: Report, fixed: Fixed | None, deleted: Sequence[Path], open_: Sequence[Finding], everything: bool
) -> None:
    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    notes = len(report.findings) - len(report.problems)
    say(
        f"{report.frames} frames, {report.products} products ({report.bytes / 1e9:.3g} GB), {report.zips} zips looked at"
        f"{' to the last byte' if report.deep else ''}: {len(report.problems)} things do not fit"
        + (f", {notes} notes (--all lists them)" if notes else "")
    )
    if fixed is None and report.changes:
        say(
            f"--fix would change {len(report.rows)} rows, {len(report.records)} products, {len(report.files)} files"
            + (f", and load the points of {len(report.points)} frames" if report.points else "")
        )
    if fixed is not None:
        say(f"changed: {fixed.rows} rows, {fixed.records} products, {fixed.files} files, points of {fixed.points} frames")
        if fixed.dump is not None:
            say(f"to put it back: satdaemon check-consistency --undo {fixed.dump}")
        for line in fixed.skipped:
            say(f"left alone: {line}")
    for path in deleted:
        say(f"deleted: {path}")
    offered = [f.path for f in report.problems if f.deletable and f.path is not None and f.path not in deleted]
    if offered:
        say("if nobody needs them, each of these goes with --delete PATH:")
    for path in offered[: None if everything else _OFFERED]:
        say(f"  {path}")
    if len(offered) > _OFFERED and not everything:
        say(f"  and {len(offered) - _OFFERED} more (--all lists them)")
    if fixed is not None and open_:
        say(f"{len(open_)} things still do not fit: look at their remedies above")


def _as_json(report: Report, fixed: Fixed | None, deleted: Sequence[Path], open_: Sequence[Finding]) -> dict[str, Any]:
    return {
        "clean": report.is_clean,
        "frames": report.frames,
        "products": report.products,
        "bytes": report.bytes,
        "zips": report.zips,
        "deep": report.deep,
        "findings": [asdict(f) for f in report.findings],
        "rows": [asdict(c) | {"name": c.name, "before": c.before._asdict(), "after": c.after._asdict()} for c in report.rows],
        "records": [{k: v for k, v in asdict(c).items() if k != "new"} | {"verb": c.verb} for c in report.records],
        "files": [asdict(c) for c in report.files],
        "points": [asdict(c) for c in report.points],
        "fixed": None if fixed is None else asdict(fixed),
        "deleted": [str(path) for path in deleted],
        "open": len(open_),
    }
