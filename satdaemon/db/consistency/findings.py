"""What a person is told of rows, products and directories that do not fit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from satdaemon.db.consistency import layout
from satdaemon.db.consistency.contents import UNMEASURED, State, Verdict
from satdaemon.db.consistency.decide import Decision, claimed
from satdaemon.db.consistency.recover import ProductKey
from satdaemon.db.consistency.report import Finding, Kind, ProductChange, Report
from satdaemon.db.consistency.snapshot import Row, Snapshot
from satdaemon.db.models import Product
from satdaemon.domain import FRAME_ID
from satdaemon.status import ProcStatus, RowKind, Stage

_KIND_OF = {
    State.MISSING: Kind.MISSING,
    State.BAD: Kind.DAMAGED,
    State.UNSURE: Kind.DAMAGED,
    State.OTHER_MASTER: Kind.OTHER_MASTER,
    State.OUTDATED: Kind.OUTDATED,
}


def of_row(
    report: Report,
    row: Row,
    verdicts: Mapping[int, Verdict],
    decision: Decision | None,
    records: Mapping[ProductKey, Product],
    new: Mapping[ProductKey, Mapping[str, Any]],
) -> None:
    """Findings on a row and its products, and what the fix does to the rows of `products`."""
    for number, (stage, key) in row.keys().items():
        verdict, record = verdicts[number], records.get((stage, key))
        for name in verdict.extras if verdict.serves else ():
            what = "none of the product's files"
            report.findings.append(_deletable(Kind.UNEXPECTED, what, row.frame_id, verdict.path / name))
        if verdict.state is State.MISSING:
            if record is not None and record.removed_utc is not None:
                continue  # its files were removed to free space
            if record is not None:
                _gone(report, row, stage, key, verdict, record)
            elif number <= claimed(row.place) and decision is not None:
                _add(report, row, (stage, key), verdict, _goes(row, decision), fixable=True)
        elif verdict.serves:
            _there(report, row, stage, key, verdict, record, new.get((stage, key)))
        else:
            _unusable(report, row, number, stage, key, verdict, decision)
    if decision is not None and row.place.status is ProcStatus.RUNNING:
        what = "marked running, and no job works on it"
        _add_row(report, row, Kind.NO_JOB, what, decision)
    elif decision is not None and decision.after.status in (ProcStatus.DONE, ProcStatus.STALE):
        _add_row(report, row, Kind.BEHIND, f"{row.place.words(row.kind)}, and {decision.why}", decision)


def of_directory(
    report: Report, found: layout.FrameDirectory, after: Snapshot, before: Snapshot, mine: Collection[ProductKey],
    verdicts: Mapping[ProductKey, Verdict],
) -> None:  # fmt: skip
    """Findings on what stands in a frame's directory and belongs to no row."""
    frame_id = after.frame_id
    for (stage, key), path in sorted(found.products.items()):
        if (stage, key) not in mine and path.is_dir():
            what = f"the frame has no {'pair' if '_' in key else 'date' if key != 'frame' else 'master'} {key}"
            remedy = "" if "_" in key else "if it is the frame's: ingest-files, frame fill, and check again; else delete it"
            report.findings.append(_deletable(Kind.ORPHANED, what, frame_id, path, stage, key, remedy))
    for stage, key in sorted(set(before.records) - set(mine) - set(found.products)):
        # Its date or pair has left the frame, and the product with it.
        record = before.records[stage, key]
        report.records.append(ProductChange(frame_id, stage, key, record.id, None))
        what = "recorded, but there is no such product, and the frame has no such date or pair"
        report.findings.append(Finding(Kind.MISSING, what, frame_id, stage, key, Path(record.path), "forget it", fixable=True))
    for path in found.odd:
        report.findings.append(_deletable(Kind.UNEXPECTED, "no stage makes this", frame_id, path))
    for path in found.attempts:
        if path.name not in after.attempts | before.attempts and path.exists():
            what = "left by an attempt that nobody runs"
            remedy = "maintenance removes it after a day"
            report.findings.append(_deletable(Kind.HALF_WRITTEN, what, frame_id, path, remedy=remedy))
    _other_master(report, after, verdicts)
    if after.retired and found.products:
        size = sum(v.bytes for v in verdicts.values())
        what = f"the frame is retired and keeps {len(found.products)} products, {size / 1e9:.3g} GB"
        report.findings.append(Finding(Kind.RETIRED, what, frame_id, path=found.path, note=True))


def of_root(root: Path, frames: Collection[str]) -> list[Finding]:
    """Findings on what stands beside the frames."""
    found = []
    for path in layout.entries(root):
        if path.name in frames:
            continue
        if FRAME_ID.match(path.name) and path.is_dir():
            what = "the database has no such frame"
            remedy = "make the frame and check again, or delete it"
            found.append(_deletable(Kind.NO_FRAME, what, path.name, path, remedy=remedy))
        else:
            found.append(_deletable(Kind.UNEXPECTED, "neither a frame's directory nor anything that a stage makes", None, path))
    return found


def no_directory(path: Path, frame: Snapshot) -> Finding:
    """A frame that has products by the database, and no directory: it may be a disk that is not mounted."""
    what = f"the frame's whole directory is gone, with {len(frame.records)} recorded products"
    remedy = f"mount its disk; where it is gone for good: satdaemon check-consistency {frame.frame_id} --fix"
    return Finding(Kind.MISSING, what, frame.frame_id, path=path, remedy=remedy)


def in_motion(row: Row, why: str) -> Finding:
    """A row that was left alone."""
    stage, key = row.keys()[row.place.stage]
    return Finding(Kind.IN_MOTION, why, row.frame_id, stage, key, remedy="check again later", note=True)


def _gone(report: Report, row: Row, stage: Stage, key: str, verdict: Verdict, record: Product) -> None:
    report.records.append(ProductChange(row.frame_id, stage, key, record.id, None, row=row.row_key))
    _add(report, row, (stage, key), verdict, "forget its record; its row is taken back where it needs it", fixable=True)


def _there(
    report: Report, row: Row, stage: Stage, key: str, verdict: Verdict, record: Product | None, new: Mapping[str, Any] | None
) -> None:
    if verdict.is_news and new is not None:
        old = None if record is None else record.id
        report.records.append(ProductChange(row.frame_id, stage, key, old, new, row=row.row_key))
        kind = Kind.OUTDATED if verdict.state is State.OUTDATED else Kind.UNKNOWN
        what = verdict.why or "a whole product that the database does not know"
        report.findings.append(Finding(kind, what, row.frame_id, stage, key, verdict.path, "enter it", fixable=True))
    elif record is not None and str(verdict.path) != record.path:
        change = {"path": str(verdict.path)}
        report.records.append(ProductChange(row.frame_id, stage, key, record.id, change, keep=True, row=row.row_key))
        what = f"recorded at {record.path}"
        report.findings.append(Finding(Kind.MOVED, what, row.frame_id, stage, key, verdict.path, "note its place", fixable=True))
    elif record is not None and record.checksum == UNMEASURED and verdict.checksum != UNMEASURED:
        change = {"checksum": verdict.checksum}
        report.records.append(ProductChange(row.frame_id, stage, key, record.id, change, keep=True, row=row.row_key))


def _unusable(
    report: Report, row: Row, number: int, stage: Stage, key: str, verdict: Verdict, decision: Decision | None
) -> None:
    """A product that is there and does not serve: of concern where a row relies on it, else a note."""
    if verdict.state is State.UNSURE:
        _add(report, row, (stage, key), verdict, "mend the disk and check again; nothing is changed")
    elif number > claimed(row.place):
        _add(report, row, (stage, key), verdict, "its row waits to make it anew", note=True, deletable=True)
    elif decision is None:
        _add(report, row, (stage, key), verdict, "nothing reads it now", note=True)
    else:
        _add(report, row, (stage, key), verdict, _goes(row, decision), fixable=True)


def _add(
    report: Report, row: Row, product: ProductKey, verdict: Verdict, remedy: str, *,
    fixable: bool = False, deletable: bool = False, note: bool = False,
) -> None:  # fmt: skip
    kind, (stage, key) = _KIND_OF[verdict.state], product
    report.findings.append(
        Finding(kind, verdict.why, row.frame_id, stage, key, verdict.path, remedy, fixable, deletable, note)
    )


def _goes(row: Row, decision: Decision) -> str:
    return f"the row goes to {decision.after.words(row.kind)}"


def _add_row(report: Report, row: Row, kind: Kind, what: str, decision: Decision) -> None:
    stage, key = row.keys()[row.place.stage]
    report.findings.append(Finding(kind, what, row.frame_id, stage, key, None, _goes(row, decision), fixable=True))


def _deletable(
    kind: Kind, what: str, frame_id: str | None, path: Path, stage: Stage | None = None, key: str | None = None, remedy: str = ""
) -> Finding:
    remedy = remedy or "look at it, and delete it where nobody needs it"
    return Finding(kind, what, frame_id, stage, key, path, remedy, deletable=True)


def _other_master(report: Report, frame: Snapshot, verdicts: Mapping[ProductKey, Verdict]) -> None:
    """Where all that the frame has was made for one other master, the row of the master is what is wrong."""
    others = {str(v.about["master_date"]) for v in verdicts.values() if v.state is State.OTHER_MASTER}
    mine = [v for (stage, _), v in verdicts.items() if stage is Stage.SATSAR and v.serves]
    if len(others) != 1 or mine or not any(row.kind is RowKind.MASTER for row in frame.rows):
        return
    (other,) = others
    count = sum(v.state is State.OTHER_MASTER for v in verdicts.values())
    what = f"all {count} products from satsar on were made for the master {other}, the frame's is {frame.master}"
    remedy = f"satdaemon frame master {frame.frame_id} {other}, and check again; else they are made anew"
    note = frame.master_by_user  # somebody has just changed it: they are made anew one by one
    place = next(v.path.parent.parent for v in verdicts.values())
    report.findings.append(Finding(Kind.OTHER_MASTER, what, frame.frame_id, path=place, remedy=remedy, note=note))
