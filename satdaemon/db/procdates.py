"""Dates of a frame: from its files to master, ifg and rsar_ifg rows. Incremental; run again, it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from satdaemon.archive import orbits
from satdaemon.archive.eof import OrbitFile
from satdaemon.config import NetworkSettings
from satdaemon.db import network
from satdaemon.db.clock import now_utc
from satdaemon.db.daemon import changed
from satdaemon.db.dates import Day, days_of_frame, keep_dates
from satdaemon.db.frames import frame_of, network_settings
from satdaemon.db.models import Frame, Ifg, Master, Product, stage_id
from satdaemon.db.rows import move
from satdaemon.db.store import Store
from satdaemon.domain import Frame as FrameValue
from satdaemon.domain import Pair
from satdaemon.errors import NotReady, RequestError
from satdaemon.planning.coverage import coverage
from satdaemon.planning.master import MasterCandidate, choose_master
from satdaemon.status import ProcStatus, RowKind, Stage


@dataclass(slots=True)
class DatesReport:
    """The dates of a frame after `update_procdates`, and what changed."""

    frame_id: str
    dates: list[date] = field(default_factory=list)
    added: list[date] = field(default_factory=list)
    excluded: dict[date, str] = field(default_factory=dict)
    """All dates left out by a rule, with the reason."""
    returned: list[date] = field(default_factory=list)
    stale: list[date] = field(default_factory=list)
    """Dates whose files changed since they were processed."""
    master: date | None = None
    master_reason: str = ""
    pairs_added: list[Pair] = field(default_factory=list)
    pairs_excluded: list[Pair] = field(default_factory=list)
    pairs_returned: list[Pair] = field(default_factory=list)
    parts: int = 1


def update_dates(db: Store, frame_id: str, user_master_date: date | None = None) -> DatesReport:
    """Bring the frame's rows up to date with its files.

    A master is chosen where there is none: the user's date, or the one that the rule gives; where the rule
    finds none yet, `master` is None and `master_reason` says why. Raises RequestError where another master
    is set already (see `set_master_for_frame`), or the user's date is none of the frame's.
    """
    try:
        files = orbits.scan(db.settings.parameters.orbit_path)
    except NotReady:
        files = ()
    return db.write(lambda session: _update(db, session, frame_id, user_master_date, files))


def _update(db: Store, session: Session, frame_id: str, wish: date | None, files: tuple[OrbitFile, ...]) -> DatesReport:
    report = DatesReport(frame_id)
    frame = frame_of(session, frame_id)
    row = session.scalars(select(Frame).where(Frame.id == frame_id).with_for_update()).one()
    settings = network_settings(db.settings, row)
    looked = session.scalar(select(now_utc()))
    days = days_of_frame(session, frame)
    keep_dates(session, frame_id, days)
    report.dates = sorted(days)
    verdicts = {day: _verdict(frame, found, settings) for day, found in days.items()}
    _choose_master(session, report, frame, days, verdicts, files, settings, wish)
    _rows(session, report, days, verdicts)
    _stale(session, report, days)
    pairs = network.refresh(db, session, frame_id)
    report.pairs_added, report.pairs_excluded, report.pairs_returned = pairs.added, pairs.excluded, pairs.returned
    report.parts = pairs.parts
    session.execute(update(Frame).where(Frame.id == frame_id).values(procdates_utc=looked))
    if report.added or report.returned or report.stale or pairs.added or pairs.excluded or pairs.returned:
        what = f"{len(report.added)} dates and {len(pairs.added)} pairs added"
        changed(session, who="update_procdates", what=what, frame_id=frame_id)
    return report


@dataclass(frozen=True, slots=True)
class _Verdict:
    usable: bool
    reason: str
    share: float
    missing: tuple[str, ...]


def _verdict(frame: FrameValue, day: Day, settings: NetworkSettings) -> _Verdict:
    found = coverage(frame, day.bursts, settings.min_coverage)
    if found.usable or not day.bad:
        return _Verdict(found.usable, found.reason, found.share, found.missing)
    why = "; ".join(f"{scene} cannot be used: {reason}" for scene, reason in sorted(day.bad.items()))
    return _Verdict(False, why if not day.scenes else f"{found.reason}; {why}", found.share, found.missing)


def _choose_master(
    session: Session,
    report: DatesReport,
    frame: FrameValue,
    days: Mapping[date, Day],
    verdicts: Mapping[date, _Verdict],
    files: tuple[OrbitFile, ...],
    settings: NetworkSettings,
    wish: date | None,
) -> None:
    present = session.scalar(select(Master).where(Master.frame_id == frame.id))
    if present is not None:
        if wish is not None and wish != present.date:
            raise RequestError(f"frame {frame.id}: its master is {present.date} already; set_master_for_frame changes it")
        report.master, report.master_reason = present.date, present.choice_reason or ""
        return
    by_hand = set(session.scalars(select(Ifg.date).where(Ifg.frame_id == frame.id, Ifg.proc_status.in_((4, 5)), ~Ifg.automatic)))
    candidates = [
        MasterCandidate(
            date=day,
            bursts_present=len(frame.bursts) - len(verdicts[day].missing),
            bursts_total=len(frame.bursts),
            has_poeorb=found.start is not None
            and found.stop is not None
            and orbits.has_precise(files, found.scenes[0].platform, found.start, found.stop),
        )
        for day, found in days.items()
        if verdicts[day].usable and day not in by_hand
    ]
    try:
        after = settings.reference_after_days
        choice = choose_master(candidates, datetime.now(UTC).date(), reference_after_days=after, user_date=wish)
    except NotReady as error:
        report.master_reason = str(error)
        return
    take_master(session, frame.id, choice.date, "user" if wish is not None else "rule", choice.reason)
    report.master, report.master_reason = choice.date, choice.reason


def take_master(session: Session, frame_id: str, day: date, chosen_by: str, reason: str) -> None:
    """Make a date the master, keeping what it has of the stages before satsar."""
    master = Master(frame_id=frame_id, date=day, chosen_by=chosen_by, choice_reason=reason)
    secondary = session.scalar(select(Ifg).where(Ifg.frame_id == frame_id, Ifg.date == day))
    if secondary is not None:
        if secondary.status is ProcStatus.RUNNING:
            raise RequestError(f"frame {frame_id}: a job of {day} is running; let it end, or cancel it, then set the master")
        stage, status = kept_before_satsar(secondary)
        master.proc_stage, master.proc_status = stage, int(status)
        session.delete(secondary)
        session.flush()
    session.add(master)
    session.flush()


def kept_before_satsar(row: Ifg | Master) -> tuple[int, ProcStatus]:
    """(proc_stage, proc_status) of a row that keeps its download and slc, whatever it had beyond."""
    slc = stage_id(RowKind.IFG, Stage.SLC)
    if row.proc_stage > slc:
        return slc, ProcStatus.DONE
    status = ProcStatus(row.proc_status)
    return row.proc_stage, status if status.is_done or status is ProcStatus.STALE else ProcStatus.WAITING


def _rows(session: Session, report: DatesReport, days: Mapping[date, Day], verdicts: Mapping[date, _Verdict]) -> None:
    present = {row.date: row for row in session.scalars(select(Ifg).where(Ifg.frame_id == report.frame_id))}
    for day in sorted(days):
        if day == report.master:
            continue
        verdict, row = verdicts[day], present.get(day)
        if row is None:
            row = Ifg(frame_id=report.frame_id, date=day)
            if not verdict.usable:
                row.proc_status, row.reason, row.automatic = int(ProcStatus.EXCLUDED), verdict.reason, True
            session.add(row)
            report.added.append(day)
        elif not verdict.usable and row.status not in (ProcStatus.EXCLUDED, ProcStatus.RUNNING):
            move(session, RowKind.IFG, row.id, ProcStatus.EXCLUDED, reason=verdict.reason, automatic=True)
        elif verdict.usable and row.status is ProcStatus.EXCLUDED and row.automatic:
            move(session, RowKind.IFG, row.id, ProcStatus.WAITING, reason=None, automatic=False, proc_stage=1)
            report.returned.append(day)
        row.coverage, row.missing_bursts = verdict.share, ", ".join(verdict.missing) or None
        if not verdict.usable:
            report.excluded[day] = verdict.reason
    session.flush()


def _stale(session: Session, report: DatesReport, days: Mapping[date, Day]) -> None:
    """Dates that were made from other files than they have now: a newer product, or one more slice."""
    download = (Product.frame_id == report.frame_id, Product.stage == Stage.DOWNLOAD.value)
    used = {p.key: {scene for scene, _ in p.inputs.get("scenes", [])} for p in session.scalars(select(Product).where(*download))}
    rows: list[Ifg | Master] = [*session.scalars(select(Ifg).where(Ifg.frame_id == report.frame_id))]
    rows += session.scalars(select(Master).where(Master.frame_id == report.frame_id))
    for row in rows:
        before, now = used.get(f"{row.date:%Y%m%d}"), {s.id for s in days[row.date].scenes} if row.date in days else None
        if not before or not now or before == now or not row.status.is_done:
            continue
        reason = f"made from {', '.join(sorted(before - now) or ['fewer files'])}; now valid: {', '.join(sorted(now))}"
        if move(session, row.kind, row.id, ProcStatus.STALE, stale_from=1, reason=reason):
            report.stale.append(row.date)
