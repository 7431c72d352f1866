"""The check of one configuration: every frame's rows and products against its directory, then the product zips."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from pathlib import Path

from rasterio.errors import NotGeoreferencedWarning
from sqlalchemy import select

from satdaemon.db.consistency import findings, layout, snapshot, zips
from satdaemon.db.consistency.contents import Expected, State, Verdict, examine
from satdaemon.db.consistency.decide import Decision, claimed, decide
from satdaemon.db.consistency.layout import FrameDirectory
from satdaemon.db.consistency.recover import ProductKey, mark_outdated, recovered
from satdaemon.db.consistency.report import Finding, Kind, PointsChange, Report, RowChange
from satdaemon.db.consistency.snapshot import Row, Snapshot
from satdaemon.db.models import Frame
from satdaemon.db.store import Store
from satdaemon.domain import product_path
from satdaemon.errors import ConfigError, RequestError
from satdaemon.status import ProcStatus, RowKind, Stage

THREADS = 8
"""Files looked at side by side: on a network disk most of the time is waiting."""
Progress = Callable[[float, float, str], None]


def check(
    db: Store,
    frames: Collection[str] | None = None,
    *,
    deep: bool = False,
    progress: Progress = lambda done, total, what: None,
) -> Report:
    """Compare the database with the file system; nothing is changed.

    Parameters
    ----------
    frames
        Only these; default: all frames, whatever else stands in the processing directory, and all zips.
    deep
        Read all data and compare checksums; otherwise names, sizes, headers and product.json.
    progress
        Called with (frames done, frames in all, what is looked at).

    Raises ConfigError where the processing directory is not there, RequestError for a frame that nobody knows.
    """
    root = db.settings.parameters.processing_path
    if not root.is_dir():
        raise ConfigError(f"{root}: expected the processing directory (processing_path), found none: is its disk mounted?")
    with db.read_scope() as session:
        known = list(session.scalars(select(Frame.id).order_by(Frame.id)))
    wanted = known if frames is None else _wanted(frames, known)
    report = Report(deep=deep)
    with warnings.catch_warnings(), ThreadPoolExecutor(min(THREADS, 2 * (os.cpu_count() or 1))) as pool:
        # Set here and not by each thread: the filters belong to the process.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        for place, frame_id in enumerate(wanted):
            tell = partial(_tell, progress, place, len(wanted), frame_id)
            report.add(check_frame(db, frame_id, pool, deep=deep, named=frames is not None, progress=tell))
        progress(len(wanted), len(wanted), "product zips")
        report.add(zips.check_zips(db, None if frames is None else wanted, pool, deep=deep))
    if frames is None:
        report.findings += findings.of_root(root, set(known))
    return report


def frames_of_day(db: Store, day: date, every_days: int) -> list[str]:
    """The frames whose turn it is, so that each is checked once in `every_days`."""
    with db.read_scope() as session:
        known = session.scalars(select(Frame.id).order_by(Frame.id))
        return [frame_id for place, frame_id in enumerate(known) if (place - day.toordinal()) % every_days == 0]


def check_frame(
    db: Store, frame_id: str, pool: ThreadPoolExecutor, *, deep: bool, named: bool, progress: Callable[[float], None]
) -> Report:
    """Compare one frame. `named`: a person asks for this frame, so that its directory may be gone for good."""
    path = db.settings.parameters.processing_path / frame_id
    before = snapshot.read(db, frame_id)
    found = layout.look(path)
    if not found.exists and before.records and not named:
        return Report(frames=1, findings=[findings.no_directory(path, before)])
    verdicts = _examine_all(db, before, found, pool, deep, progress)
    mark_outdated(verdicts)
    after = snapshot.read(db, frame_id)
    kinds = {key: row.kind for row in after.rows for key in row.keys().values()}
    new = recovered(frame_id, verdicts, before.records, kinds)
    report = Report(frames=1, products=len(verdicts), bytes=sum(v.bytes for v in verdicts.values()))
    moving = _in_motion(before, after)
    for row in after.rows:
        if row.row_key in moving:
            report.findings.append(findings.in_motion(row, moving[row.row_key]))
            continue
        mine = {number: verdicts.get(key) or _missing(db, frame_id, *key) for number, key in row.keys().items()}
        decision = decide(row.kind, row.place, mine)
        if decision is not None:
            report.rows.append(_change(row, decision, mine))
        findings.of_row(report, row, mine, decision, before.records, new)
    _points(db, report, after, verdicts, moving)
    findings.of_directory(report, found, after, before, set(kinds), verdicts)
    return report


def _tell(progress: Progress, place: int, total: int, frame_id: str, share: float) -> None:
    progress(place + share, total, frame_id)


def _wanted(frames: Collection[str], known: Sequence[str]) -> list[str]:
    unknown = sorted(set(frames) - set(known))
    if unknown:
        raise RequestError(f"expected frames of the database, got {', '.join(unknown)}; `satdaemon frame list` names them")
    return sorted(set(frames))


def _examine_all(
    db: Store, before: Snapshot, found: FrameDirectory, pool: ThreadPoolExecutor, deep: bool, progress: Callable[[float], None]
) -> dict[ProductKey, Verdict]:
    """Look at every product that the frame has, or should have."""
    mine = {key for row in before.rows for key in row.keys().values()}
    wanted = sorted((set(found.products) & mine) | (set(before.records) & mine))
    master = None if before.master is None else before.master.isoformat()

    def one(key: ProductKey) -> Verdict:
        record = before.records.get(key)
        outputs = db.settings.stage(key[0]).outputs
        expected = Expected(before.frame_id, *key, record, master, outputs)
        places = [Path(record.path)] if record is not None else []
        if key in found.products:
            places.append(found.products[key])
        return examine(next((p for p in places if p.is_dir()), places[-1]), expected, deep=deep)

    verdicts = {}
    for place, (key, verdict) in enumerate(zip(wanted, pool.map(one, wanted), strict=True)):
        verdicts[key] = verdict
        progress(place / len(wanted))
    return verdicts


def _in_motion(before: Snapshot, after: Snapshot) -> dict[snapshot.RowKey, str]:
    """Rows that jobs or people work on, or that changed while the disk was looked at."""
    moving = before.live | after.live
    old = {row.row_key: row for row in before.rows}
    for row in after.rows:
        if old.get(row.row_key) != row:
            moving.setdefault(row.row_key, "it changed while it was looked at")
        for key in row.keys().values():
            one, two = before.records.get(key), after.records.get(key)
            if (one and one.id) != (two and two.id):
                moving.setdefault(row.row_key, "its product changed while it was looked at")
    return moving


def _missing(db: Store, frame_id: str, stage: Stage, key: str) -> Verdict:
    path = product_path(db.settings.parameters.processing_path, frame_id, stage, key)
    return Verdict(State.MISSING, path, f"expected a product at {path}, found none")


def _change(row: Row, decision: Decision, verdicts: Mapping[int, Verdict]) -> RowChange:
    values: dict[str, object] = {}
    if row.kind is RowKind.IFG and decision.after.stage == 3 and decision.after.status is ProcStatus.DONE:
        bperp_m = verdicts[3].about.get("metrics", {}).get("bperp_m")
        if isinstance(bperp_m, int | float):
            values["bperp_m"] = float(bperp_m)
    return RowChange(row.kind, row.id, row.frame_id, row.date1, row.date2, row.place, decision.after, decision.why, values)


def _points(
    db: Store, report: Report, after: Snapshot, verdicts: Mapping[ProductKey, Verdict], moving: Collection[snapshot.RowKey]
) -> None:
    """A frame whose points are made shows them."""
    product = verdicts.get((Stage.INGEST, "frame"))
    for row in (r for r in after.rows if r.kind is RowKind.MASTER and r.row_key not in moving):
        change = next((c for c in report.rows if (c.kind, c.row_id) == row.row_key), None)
        place = change.after if change is not None else row.place
        if claimed(place) < len(row.keys()) or product is None or not product.serves:
            continue
        if not (product.path / "points.parquet").is_file():
            continue  # a site's own program keeps its points elsewhere
        if product.is_news or not snapshot.shown_points(db, row.frame_id):
            report.points.append(PointsChange(row.frame_id, product.path, row.row_key))
            what = "the points database does not show the frame's points"
            remedy = "load them from the ingest product"
            report.findings.append(
                Finding(Kind.POINTS, what, row.frame_id, Stage.INGEST, "frame", product.path, remedy, fixable=True)
            )
