"""Zips below the data directory into the database: many readers, one writer; unchanged files are not opened."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from sqlalchemy import delete
from sqlalchemy.exc import DataError as ValueRefused
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from satdaemon.archive.product import scene_of_name
from satdaemon.db.daemon import changed
from satdaemon.db.file_orbits import record, record_problem
from satdaemon.db.files.comparison import Known, Plan, apply_plan, free_path, make_plan, put_stray
from satdaemon.db.files.rows import enter, enter_bad, note_frames
from satdaemon.db.files.walk import Walk, walk
from satdaemon.db.models import File, StrayFile
from satdaemon.db.models.catalogue import BAD, DUPLICATE, MISSING, ON_DISK, REMOTE
from satdaemon.db.store import Store
from satdaemon.errors import RequestError
from satdaemon.insar.safe import SafeProduct, read_product
from satdaemon.insar.safe_probe import SETTLE_S, Probe, probe_all

BATCH = 32
BATCH_S = 2.0
"""A transaction holds so many files, or what came in so many seconds."""
TRACK_FOLDER = re.compile(r"^T0*([0-9]{1,3})$")
Outcome = Literal["added", "renewed", "bad", "duplicate", "growing"]


@dataclass(slots=True)
class IngestReport:
    """What a walk over the zips found."""

    added: int = 0
    renewed: int = 0
    """Known, but the file has changed, moved or come back."""
    unchanged: int = 0
    missing: int = 0
    """Known to be on disk below the directory, and not there any more."""
    bad: dict[str, str] = field(default_factory=dict)
    """Path -> why it cannot be used; also those known before."""
    growing: dict[str, str] = field(default_factory=dict)
    """Path -> why it is left for the next turn: somebody is still writing it."""
    duplicates: dict[str, str] = field(default_factory=dict)
    """Path -> the product that it is a second copy of."""
    warnings: list[str] = field(default_factory=list)
    stopped: bool = False
    """Asked to stop before every zip was read; the next run goes on."""
    news: int = 0
    """Rows that this run changed."""


def ingest_files(
    db: Store,
    directory: Path | None = None,
    *,
    read: Callable[[Path], SafeProduct] = read_product,
    checksum: bool = True,
    workers: int = 1,
    again: bool = False,
    all_gone: bool = False,
    settle_s: float = SETTLE_S,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
) -> IngestReport:
    """Enter the zips below subdirectories that start with T (default: of data_path).

    Parameters
    ----------
    checksum
        Read every new file through once to record its SHA-256; without, only its size.
    workers
        Processes that read; `read` goes to them, so that it must be a function of a module.
    again
        Open files that are known to be bad once more.
    all_gone
        Believe it where none of the known files is there.
    settle_s
        A zip without its end that was written to within so many seconds is left for the next turn.
    progress
        Called with (files done, files in all).
    stop
        Asked between files.

    Raises
    ------
    RequestError
        No such directory, or all the files that should be there are gone.
    """
    root = (directory or db.settings.parameters.data_path).resolve()
    if not root.is_dir():
        raise RequestError(f"{root}: expected a directory with subdirectories such as T132, found none")
    with db.read_scope() as session:
        known = Known(session)
    found = walk(root)
    plan = make_plan(known, found, again=again, all_gone=all_gone)
    report = _report_of(plan, found)
    if plan.moved or plan.returned or plan.missing or plan.lost_bad or plan.stray_gone or found.problems:
        db.write(partial(apply_plan, plan=plan, walk=found))
    total, done = len(found.zips), len(found.zips) - len(plan.open)
    progress(done, total)
    probes = probe_all(plan.open, workers=workers, checksum=checksum, settle_s=settle_s, read=read, stop=stop)
    for batch in _batches(probes):
        for one, (outcome, message) in zip(batch, db.write(partial(_write, batch, db, found)), strict=True):
            _count(report, one, outcome, message)
        done += len(batch)
        progress(done, total)
    report.stopped = done < total or not _record_orbits(db, plan, partial(probe_all, workers=workers, read=read, stop=stop))
    if report.news:
        what = f"{report.added} files added, {report.renewed} renewed, {report.missing} missing, {len(report.bad)} bad"
        db.write(partial(changed, who="ingest-files", what=what))
    return report


def _record_orbits(db: Store, plan: Plan, probes: Callable[..., Iterator[Probe]]) -> bool:
    """Open files that were entered before orbits were recorded, each once; False where it was asked to stop."""
    done = 0
    for batch in _batches(probes(list(plan.orbitless), checksum=False)):
        db.write(partial(_keep_orbits, batch, plan.orbitless))
        done += len(batch)
    return done == len(plan.orbitless)


def _keep_orbits(batch: list[Probe], ids: dict[Path, str], session: Session) -> None:
    found = [one.product for one in batch if one.product is not None]
    record(session, found)
    for one in batch:
        if one.product is None and not one.passing and not one.growing:
            record_problem(session, ids[one.path], one.problem)
    note_frames(session, [product.id for product in found])


def _report_of(plan: Plan, found: Walk) -> IngestReport:
    report = IngestReport(
        renewed=len(plan.moved) + len(plan.returned),
        unchanged=plan.unchanged,
        missing=len(plan.missing) + len(plan.lost_bad),
        bad=plan.bad | found.problems,
        duplicates=plan.duplicates,
    )
    report.news = report.renewed + report.missing
    if found.outside:
        report.warnings.append(
            f"{found.root}: {found.outside} zips stand directly in it and are left alone; expected them in folders such as T132"
        )
    return report


def _count(report: IngestReport, one: Probe, outcome: Outcome, message: list[str]) -> None:
    path = str(one.path)
    if outcome == "added":
        report.added += 1
    elif outcome == "renewed":
        report.renewed += 1
    elif outcome == "bad":
        report.bad[path] = message.pop()
    elif outcome == "growing":
        report.growing[path] = message.pop()
    else:
        report.duplicates[path] = message.pop()
    report.news += outcome in ("added", "renewed", "bad")
    report.warnings += message


def _batches(probes: Iterator[Probe]) -> Iterator[list[Probe]]:
    while first := list(itertools.islice(probes, 1)):
        batch, until = first, time.monotonic() + BATCH_S
        while len(batch) < BATCH and time.monotonic() < until and (more := list(itertools.islice(probes, 1))):
            batch += more
        yield batch


def _write(batch: list[Probe], db: Store, found: Walk, session: Session) -> list[tuple[Outcome, list[str]]]:
    """Enter what was read; a file that the database refuses is recorded as bad, the others are not touched by it."""
    outcomes: list[tuple[Outcome, list[str]]] = []
    for one in batch:
        try:
            with session.begin_nested():
                outcomes.append(_enter_one(session, one, db.settings.parameters.polarisation, found))
        except (IntegrityError, ValueRefused) as error:
            reason = f"{one.path}: the database refuses what it tells: {str(error.orig).strip()}"
            put_stray(session, str(one.path), state=BAD, reason=reason, size=one.size, mtime_ns=one.mtime_ns)
            outcomes.append(("bad", [reason]))
    return outcomes


def _enter_one(session: Session, one: Probe, polarisation: str, found: Walk) -> tuple[Outcome, list[str]]:
    path = str(one.path)
    if one.growing:
        return "growing", [one.problem or "still being written"]
    values: dict[str, Any] = {"abspath": path, "size": one.size, "mtime_ns": None if one.passing else one.mtime_ns}
    if one.product is None:
        _enter_bad(session, one, values, found)
        return "bad", [one.problem]
    product = one.product
    before = session.get(File, product.id)
    if before is not None and before.state == ON_DISK and _stands_elsewhere(before, path, found):
        why = f"the same product as {before.abspath}, which is kept"
        free_path(session, path, product.id)
        put_stray(session, path, state=DUPLICATE, reason=why, file_id=product.id, size=one.size, mtime_ns=one.mtime_ns)
        return "duplicate", [f"{path}: {why}", product.id]
    if before is not None and before.state == BAD and _stands_elsewhere(before, path, found):
        put_stray(session, str(before.abspath), state=BAD, reason=str(before.reason), file_id=product.id, size=before.size,
                  mtime_ns=before.mtime_ns)  # fmt: skip
    free_path(session, path, product.id)
    session.execute(delete(StrayFile).where(StrayFile.abspath == path))
    warnings, reason = _oddities(one.path, product, polarisation)
    new = before is None or before.abspath is None
    warnings += enter(session, product, **values, state=ON_DISK, reason=reason, checksum=one.checksum)
    return "added" if new else "renewed", warnings


def _enter_bad(session: Session, one: Probe, values: dict[str, Any], found: Walk) -> None:
    """To the row of the product that it says it is; beside it where that has a better copy, or where it says nothing."""
    path, scene = str(one.path), scene_of_name(one.path)
    before = session.get(File, scene.id) if scene is not None else None
    better = before is not None and (
        before.state == REMOTE
        or (before.state == MISSING and before.url is not None)
        or (before.state in (ON_DISK, BAD) and _stands_elsewhere(before, path, found))
    )
    if scene is None or better:
        free_path(session, path, "")
        stray = {name: value for name, value in values.items() if name != "abspath"}
        put_stray(session, path, state=BAD, reason=one.problem, file_id=scene and scene.id, **stray)
        return
    free_path(session, path, scene.id)
    session.execute(delete(StrayFile).where(StrayFile.abspath == path))
    enter_bad(session, scene, one.problem, **values)


def _stands_elsewhere(file: File, path: str, found: Walk) -> bool:
    """True where the file stands at another path than this one, still."""
    if file.abspath is None or file.abspath == path:
        return False
    return file.abspath in found.zips or (not found.covers(file.abspath) and Path(file.abspath).exists())


def _oddities(path: Path, product: SafeProduct, polarisation: str) -> tuple[list[str], str | None]:
    """Warnings, and the reason that stays with the row: its bursts are known all the same; download refuses it later."""
    warnings: list[str] = []
    reason: str | None = None
    stems = {PurePosixPath(name).stem for name in product.missing_files if name.startswith("annotation/")}
    wanted = (n for n in product.missing_files if n.startswith("measurement/") and f"-slc-{polarisation}-" in n)
    # A product without a swath is whole; one with the annotation but not the measurement is not.
    if lacking := [name for name in wanted if PurePosixPath(name).stem not in stems]:
        reason = f"lacks {', '.join(lacking)}, whose annotation it has"
        warnings.append(f"{path}: {reason}")
    for folder in path.parts:
        match = TRACK_FOLDER.match(folder)
        if match is not None and int(match[1]) not in (product.track, product.stop_track):
            warnings.append(f"{path}: stands in {folder} but is of track {product.track}; entered as what it is")
    return warnings, reason
