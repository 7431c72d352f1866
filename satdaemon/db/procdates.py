"""Dates of a frame: from its files to master, ifg and rsar_ifg rows. Incremental; run again, it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from satdaemon.config import NetworkSettings
from satdaemon.db import file_orbits, network
from satdaemon.db.baselines import Baselines, baselines
from satdaemon.db.clock import now_utc
from satdaemon.db.daemon import changed
from satdaemon.db.date_rows import follow_files, is_made, verdict
from satdaemon.db.dates import Day, days_of_frame, keep_dates
from satdaemon.db.frames import frame_of, network_settings
from satdaemon.db.master_choice import PreciseOrbits, choose, precise_of
from satdaemon.db.models import Frame, Ifg, Master, stage_id
from satdaemon.db.store import Store
from satdaemon.domain import Frame as FrameValue
from satdaemon.domain import Pair
from satdaemon.errors import NotReady, RequestError
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
    pairs_removed: list[Pair] = field(default_factory=list)
    """Pairs that stood in for dates or pairs that are back, and that nobody had begun."""
    parts: int = 1
    bperp_m: dict[date, float | None] = field(default_factory=dict)
    """Perpendicular baselines of the other dates to the master (`satdaemon.db.baselines`); None: not known."""
    warnings: list[str] = field(default_factory=list)
    """What a person should look at: a network in parts, a master that its files no longer show whole."""


def update_dates(db: Store, frame_id: str, user_master_date: date | None = None) -> DatesReport:
    """Bring the frame's rows up to date with its files.

    A master is chosen where there is none: the user's date, or the one that the rule gives; where the rule
    finds none yet, `master` is None and `master_reason` says why. Raises RequestError where another master
    is set already (see `set_master_for_frame`), or the user's date is none of the frame's.
    """
    with db.read_scope() as session:
        has_master = session.scalar(select(Master.id).where(Master.frame_id == frame_id)) is not None
    precise = PreciseOrbits() if has_master else precise_of(db)
    file_orbits.complete(db, file_orbits.of_frame(frame_id))
    return db.write(lambda session: _update(db, session, frame_id, user_master_date, precise))


def _update(db: Store, session: Session, frame_id: str, wish: date | None, precise: PreciseOrbits) -> DatesReport:
    report = DatesReport(frame_id)
    frame = frame_of(session, frame_id)
    row = session.scalars(select(Frame).where(Frame.id == frame_id).with_for_update()).one()
    settings = network_settings(db.settings, row)
    looked = session.scalar(select(now_utc()))
    days = days_of_frame(session, frame)
    touched = keep_dates(session, frame_id, days)
    report.dates = sorted(days)
    known = baselines(session, frame, days) if _wants_baselines(session, frame_id, days) else None
    _choose_master(session, report, frame, days, precise, settings, wish, known)
    outcome = follow_files(session, frame, days, settings, master=report.master, touched=touched)
    report.added, report.excluded, report.returned = outcome.added, outcome.excluded, outcome.returned
    report.stale = outcome.stale
    _keep_baselines(session, report, known)
    pairs = network.refresh(db, session, frame_id)
    report.pairs_added, report.pairs_excluded, report.pairs_returned = pairs.added, pairs.excluded, pairs.returned
    report.pairs_removed = pairs.removed
    report.warnings += [network.about_stayed(pairs.stayed)] if pairs.stayed else []
    report.parts = pairs.parts
    report.warnings += [pairs.warning] if pairs.warning else []
    session.execute(update(Frame).where(Frame.id == frame_id).values(procdates_utc=looked))
    if report.added or report.returned or report.stale or pairs.added or pairs.excluded or pairs.returned or pairs.removed:
        what = f"{len(report.added)} dates and {len(pairs.added)} pairs added"
        changed(session, who="update_procdates", what=what, frame_id=frame_id)
    return report


def _choose_master(
    session: Session,
    report: DatesReport,
    frame: FrameValue,
    days: Mapping[date, Day],
    precise: PreciseOrbits,
    settings: NetworkSettings,
    wish: date | None,
    known: Baselines | None,
) -> None:
    present = session.scalar(select(Master).where(Master.frame_id == frame.id))
    if present is not None:
        if wish is not None and wish != present.date:
            raise RequestError(f"frame {frame.id}: its master is {present.date} already; set_master_for_frame changes it")
        report.master, report.master_reason = present.date, present.choice_reason or ""
        report.warnings += _about_master(frame, present, days, settings)
        return
    out = session.scalars(select(Ifg).where(Ifg.frame_id == frame.id, Ifg.proc_status.in_((4, 5)), ~Ifg.automatic))
    by_hand = {row.date: f"{row.status.name.lower()}: {row.reason or 'no reason given'}" for row in out}
    verdicts = {day: verdict(frame, found, settings, made=False) for day, found in days.items()}
    if wish is not None and wish in days and (wish in by_hand or not verdicts[wish].usable):
        raise RequestError(
            f"frame {frame.id}: expected a usable date as master, got {wish}, which is left out: "
            f"{by_hand.get(wish) or verdicts[wish].reason}"
        )
    usable = {day for day, found in verdicts.items() if found.usable and day not in by_hand}
    try:
        after = settings.reference_after_days
        choice = choose(frame, days, usable, precise, known or Baselines.none(), after_days=after, wish=wish)
    except NotReady as error:
        report.master_reason = str(error)
        return
    take_master(session, frame.id, choice.date, "user" if wish is not None else "rule", choice.reason)
    report.master, report.master_reason = choice.date, choice.reason


def _wants_baselines(session: Session, frame_id: str, days: Mapping[date, Day]) -> bool:
    """True where a master is to be chosen, or a date has no baseline to it yet."""
    known = set(session.scalars(select(Ifg.date).where(Ifg.frame_id == frame_id, Ifg.bperp_m.is_not(None))))
    known |= set(session.scalars(select(Master.date).where(Master.frame_id == frame_id)))
    return not known >= days.keys()


def _keep_baselines(session: Session, report: DatesReport, known: Baselines | None) -> None:
    """Dates that satsar has not measured yet get the baseline that the orbits of their files give."""
    expected = known.to(report.master) if known is not None and report.master is not None else {}
    for row in session.scalars(select(Ifg).where(Ifg.frame_id == report.frame_id)):
        if row.bperp_m is None and row.date in expected:
            row.bperp_m = expected[row.date]
        report.bperp_m[row.date] = row.bperp_m
    session.flush()


def _about_master(frame: FrameValue, master: Master, days: Mapping[date, Day], settings: NetworkSettings) -> list[str]:
    """A master is never left out by a rule: nothing could be made without it. What the rule would say is told."""
    if master.date not in days:
        return [] if is_made(master) else [f"master {master.date}: no file of the frame is of this date any more"]
    found = verdict(frame, days[master.date], settings, made=is_made(master))
    return [] if found.usable else [f"master {master.date}: {found.reason}; set another (set_master_for_frame)"]


def take_master(session: Session, frame_id: str, day: date, chosen_by: str, reason: str) -> None:
    """Make a date the master, keeping what it has of the stages before satsar."""
    master = Master(frame_id=frame_id, date=day, chosen_by=chosen_by, choice_reason=reason)
    secondary = session.scalar(select(Ifg).where(Ifg.frame_id == frame_id, Ifg.date == day))
    if secondary is not None:
        if secondary.status is ProcStatus.RUNNING:
            raise RequestError(f"frame {frame_id}: a job of {day} is running; let it end, or cancel it, then set the master")
        for name, value in kept_before_satsar(secondary).items():
            setattr(master, name, value)
        session.delete(secondary)
        session.flush()
    session.add(master)
    session.flush()


def kept_before_satsar(row: Ifg | Master) -> dict[str, Any]:
    """Columns of a row that keeps its download and slc, whatever it had beyond."""
    slc = stage_id(RowKind.IFG, Stage.SLC)
    if row.status is ProcStatus.STALE and (row.stale_from or row.proc_stage) <= slc:
        kept = {"proc_stage": min(row.proc_stage, slc), "proc_status": int(ProcStatus.STALE)}
        return {**kept, "stale_from": row.stale_from, "reason": row.reason}
    if row.proc_stage > slc:
        return {"proc_stage": slc, "proc_status": int(ProcStatus.DONE)}
    status = row.status if row.status.is_done else ProcStatus.WAITING
    return {"proc_stage": row.proc_stage, "proc_status": int(status)}
