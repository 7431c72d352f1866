"""Zips below the data directory into the database: many readers, one writer; unchanged files are not opened."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sqlalchemy.orm import Session

from satdaemon.db.daemon import changed
from satdaemon.db.file_orbits import record, record_problem
from satdaemon.db.files.comparison import Known, Plan, apply_plan, make_plan
from satdaemon.db.files.rows import note_frames
from satdaemon.db.files.walk import Walk, walk
from satdaemon.db.files.writing import Outcome, write
from satdaemon.db.store import Store
from satdaemon.errors import RequestError
from satdaemon.insar.safe import SafeProduct, read_product
from satdaemon.insar.safe_probe import SETTLE_S, Probe, probe_all

BATCH = 32
BATCH_S = 2.0
"""A transaction holds so many files, or what came in so many seconds."""


@dataclass(slots=True)
class IngestReport:
    """What a walk over the zips found."""

    added: int = 0
    renewed: int = 0
    """Known, but the file has changed, moved or come back."""
    unchanged: int = 0
    """Other names of a known file among them."""
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
    polarisation = db.settings.parameters.polarisation
    probes = probe_all(plan.open, workers=workers, checksum=checksum, settle_s=settle_s, read=read, stop=stop)
    for batch in _batches(probes):
        for one, (outcome, message) in zip(batch, db.write(partial(write, batch, polarisation, found)), strict=True):
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
    elif outcome == "same":
        report.unchanged += 1
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
