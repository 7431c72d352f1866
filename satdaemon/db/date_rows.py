"""Rows of a frame's dates follow its files: new ones, those left out by a rule, those that return, those made from others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from satdaemon.config import NetworkSettings
from satdaemon.db.dates import Day
from satdaemon.db.models import FailedJob, Ifg, Master, Product, stage_id
from satdaemon.db.rows import come_back, move
from satdaemon.domain import Frame
from satdaemon.planning.coverage import coverage
from satdaemon.status import ProcStatus, RowKind, Stage

_DOWNLOAD = stage_id(RowKind.IFG, Stage.DOWNLOAD)
_SLC = stage_id(RowKind.IFG, Stage.SLC)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a date is usable by the frame's rule, and why."""

    usable: bool
    reason: str
    share: float
    missing: tuple[str, ...]


@dataclass(slots=True)
class Outcome:
    """What became of the dates of a frame."""

    added: list[date]
    excluded: dict[date, str]
    """All dates left out by a rule, with the reason."""
    returned: list[date]
    stale: list[date]


def verdict(frame: Frame, day: Day, settings: NetworkSettings, *, made: bool) -> Verdict:
    """The rule on one date. One that is `made` keeps its products though its files have gone from the disk."""
    found = coverage(frame, day.made_of_bursts if made else day.bursts, settings.min_coverage)
    if found.usable or not day.bad or made:
        return Verdict(found.usable, found.reason, found.share, found.missing)
    why = "; ".join(f"{scene} cannot be used: {reason}" for scene, reason in sorted(day.bad.items()))
    return Verdict(False, why if not day.scenes else f"{found.reason}; {why}", found.share, found.missing)


def is_made(row: Ifg | Master) -> bool:
    """True where the date has its slc: it needs no file any more."""
    return row.proc_stage > _SLC or (row.proc_stage == _SLC and (row.status.is_done or row.status is ProcStatus.STALE))


def follow_files(
    session: Session,
    frame: Frame,
    days: Mapping[date, Day],
    settings: NetworkSettings,
    *,
    master: date | None,
    touched: Collection[date],
) -> Outcome:
    """Bring the rows of a frame's secondary dates in step with its files.

    Parameters
    ----------
    touched
        Dates whose files changed just now: one of them that failed is tried again from the start.
    """
    present = {row.date: row for row in session.scalars(select(Ifg).where(Ifg.frame_id == frame.id))}
    used = _used(session, frame.id)
    outcome = Outcome([], {}, [], [])
    for day in sorted(days):
        if day == master:
            continue
        row = present.get(day)
        found = verdict(frame, days[day], settings, made=row is not None and is_made(row))
        if row is None:
            row = Ifg(frame_id=frame.id, date=day)
            if not found.usable:
                row.proc_status, row.reason, row.automatic = int(ProcStatus.EXCLUDED), found.reason, True
            session.add(row)
            outcome.added.append(day)
        else:
            _follow(session, row, found, _from_download(days[day], used.get(day)), day in touched, outcome)
        row.coverage, row.missing_bursts = found.share, ", ".join(found.missing) or None
        if not found.usable:
            outcome.excluded[day] = found.reason
    _without_files(session, present, days, used, outcome)
    session.flush()
    _stale(session, frame.id, days, used, outcome)
    return outcome


def _follow(session: Session, row: Ifg, found: Verdict, anew: bool, touched: bool, outcome: Outcome) -> None:
    """One row that exists. `anew`: what it has was made from other files, or is not known."""
    if not found.usable:
        if row.status is ProcStatus.EXCLUDED and row.automatic:
            row.reason = found.reason
        elif row.status not in (ProcStatus.EXCLUDED, ProcStatus.RUNNING):
            move(session, RowKind.IFG, row.id, ProcStatus.EXCLUDED, reason=found.reason, automatic=True)
        return
    failed_before = row.status is ProcStatus.FAILED and touched
    left_out = row.status is ProcStatus.EXCLUDED and row.automatic
    if left_out and not anew:
        come_back(session, row, who="update_procdates")
        outcome.returned.append(row.date)
    elif left_out or failed_before:
        values: dict[str, Any] = {"reason": None, "automatic": False, "stale_from": None, "waiting_for": None}
        move(session, RowKind.IFG, row.id, ProcStatus.WAITING, **values, proc_stage=_DOWNLOAD)
        session.execute(delete(FailedJob).where(FailedJob.kind == RowKind.IFG.value, FailedJob.row_id == row.id))
        outcome.returned.append(row.date)
    elif row.status is ProcStatus.WAITING and anew and touched and row.proc_stage > _DOWNLOAD:
        row.proc_stage, row.stale_from = _DOWNLOAD, None


def _without_files(
    session: Session,
    present: Mapping[date, Ifg],
    days: Mapping[date, Day],
    used: Mapping[date, frozenset[str]],
    outcome: Outcome,
) -> None:
    """Dates that no file of the frame is of any more: left out, unless they are made and their files were not moved."""
    home = {scene: day for day, found in days.items() for scene in found.made_of}
    for day, row in present.items():
        if day in days:
            continue
        moved = sorted({home[scene] for scene in used.get(day, ()) if scene in home})
        if is_made(row) and not moved:
            continue
        reason = f"its files are of {moved[0]} now" if moved else "no file of the frame is of this date any more"
        outcome.excluded[day] = reason
        if row.status not in (ProcStatus.EXCLUDED, ProcStatus.RUNNING):
            move(session, RowKind.IFG, row.id, ProcStatus.EXCLUDED, reason=reason, automatic=True)


def _used(session: Session, frame_id: str) -> dict[date, frozenset[str]]:
    """Date -> the products that its download was made of."""
    download = (Product.frame_id == frame_id, Product.stage == Stage.DOWNLOAD.value)
    found: dict[date, frozenset[str]] = {}
    for key, inputs in session.execute(select(Product.key, Product.inputs).where(*download)):
        day = date(int(key[:4]), int(key[4:6]), int(key[6:8]))
        found[day] = frozenset(scene for scene, _ in inputs.get("scenes", []))
    return found


def _from_download(day: Day, used: frozenset[str] | None) -> bool:
    return not used or used != day.made_of


def _stale(
    session: Session, frame_id: str, days: Mapping[date, Day], used: Mapping[date, frozenset[str]], outcome: Outcome
) -> None:
    """Dates that were made from other files than they have now: a newer product, or one more slice."""
    rows: list[Ifg | Master] = [*session.scalars(select(Ifg).where(Ifg.frame_id == frame_id))]
    rows += session.scalars(select(Master).where(Master.frame_id == frame_id))
    for row in rows:
        before, now = used.get(row.date), days[row.date].made_of if row.date in days else None
        if not before or not now or before == now or not row.status.is_done:
            continue
        reason = f"made from {', '.join(sorted(before - now) or ['fewer files'])}; now valid: {', '.join(sorted(now))}"
        if move(session, row.kind, row.id, ProcStatus.STALE, stale_from=_DOWNLOAD, reason=reason):
            outcome.stale.append(row.date)
