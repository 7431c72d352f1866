"""Pairs of a frame follow its dates: new ones, those of dates that fell out, those of dates that came back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from satdaemon.config import NetworkSettings
from satdaemon.db import stand_ins
from satdaemon.db.arrays import among
from satdaemon.db.events import record
from satdaemon.db.frames import network_settings
from satdaemon.db.models import Frame, Ifg, Master, RsarIfg, stage_id
from satdaemon.db.rows import come_back, move
from satdaemon.db.store import Store
from satdaemon.db.upsert import insert_many
from satdaemon.domain import Pair, some_of
from satdaemon.planning.network import components, joining, network
from satdaemon.status import ProcStatus, RowKind, Stage

_BACK: dict[str, Any] = {"reason": None, "automatic": False, "stale_from": None}
OUT = (int(ProcStatus.FAILED), int(ProcStatus.EXCLUDED))
_HAS_PRODUCT = (int(ProcStatus.DONE), int(ProcStatus.DONE_WITH_WARNINGS), int(ProcStatus.STALE))
# Frames that say so; pairs still open whose date is out; pairs left out by rule whose dates are both in.
_DUE = """
SELECT f.id FROM frames f WHERE f.network_due AND f.id {among}
UNION SELECT p.frame_id FROM ifg d JOIN rsar_ifg p ON p.frame_id = d.frame_id AND p.date1 = d.date
 WHERE d.proc_status IN (4, 5) AND p.proc_status NOT IN (1, 5) AND d.frame_id {among}
UNION SELECT p.frame_id FROM ifg d JOIN rsar_ifg p ON p.frame_id = d.frame_id AND p.date2 = d.date
 WHERE d.proc_status IN (4, 5) AND p.proc_status NOT IN (1, 5) AND d.frame_id {among}
UNION SELECT p.frame_id FROM rsar_ifg p
 WHERE p.proc_status IN (4, 5) AND p.proc_status = 5 AND p.automatic AND p.frame_id {among}
 AND NOT EXISTS (SELECT 1 FROM ifg d WHERE d.frame_id = p.frame_id AND d.date IN (p.date1, p.date2) AND d.proc_status IN (4, 5))
"""


@dataclass(slots=True)
class NetworkReport:
    """What changed among the pairs of a frame."""

    added: list[Pair] = field(default_factory=list)
    excluded: list[Pair] = field(default_factory=list)
    returned: list[Pair] = field(default_factory=list)
    removed: list[Pair] = field(default_factory=list)
    """Stood in for what is back, and nobody had begun them."""
    stayed: list[Pair] = field(default_factory=list)
    """Stood in for what is back, and stay, since their work has begun."""
    parts: int = 1
    """Parts of the network: above 1 it is not connected."""
    warning: str = ""
    """Where the network is not connected: its parts, and what would join them."""


def due_sql(postgresql: bool) -> str:
    """SQL: those of the frames in parameter `frames` whose pairs do not follow yet a date that failed, left or came back."""
    return _DUE.format(among=among(postgresql, "", "frames"))


def follow_dates(db: Store, frames: Sequence[str]) -> None:
    """Adjust the pairs of frames that are due, each in a transaction."""
    for frame_id in frames:
        _follow_dates_of(db, frame_id)


def _follow_dates_of(db: Store, frame_id: str) -> None:
    db.write(lambda session: refresh(db, session, frame_id))


def refresh(db: Store, session: Session, frame_id: str) -> NetworkReport:
    """Bring the pairs of one frame in step with its dates. Run again, it changes nothing."""
    frame = session.scalars(select(Frame).where(Frame.id == frame_id).with_for_update()).one()
    settings = network_settings(db.settings, frame)
    fresh = {"populate_existing": True}  # rows were moved past the session
    dates = {row.date: row for row in session.scalars(select(Ifg).where(Ifg.frame_id == frame_id).execution_options(**fresh))}
    master = session.scalar(_master_date(frame_id))
    usable = {day for day, row in dates.items() if row.proc_status not in OUT} | ({master} if master else set())
    days = sorted(d for d in usable if _in_range(frame, d))
    rows = {
        Pair(r.date1, r.date2): r
        for r in session.scalars(select(RsarIfg).where(RsarIfg.frame_id == frame_id).execution_options(**fresh))
    }
    never = {p for p, r in rows.items() if r.proc_status == ProcStatus.FAILED or _by_hand(r)}
    kept = [p for p, r in rows.items() if p not in never and not r.stand_in]
    marked = stand_ins.find(session, frame_id, rows)
    begun = {p for p in marked.begun if usable.issuperset(p) and _within(frame, p)}
    needed, back = _needed(days, kept, settings, never, begun)
    kept += back
    wanted = {*needed, *(p for p in marked.begun if usable.issuperset(p))}
    now = [d for d in days if (d not in dates or dates[d].waiting_for is None) and _in_scope(frame, d)]
    if len(components(now, wanted)) > 1:
        # Dates that wait for something, or are not processed, must not be all that ties two sides together.
        wanted |= network(now, [p for p in wanted if p[0] in now and p[1] in now], settings, never)
    report = _report(days, wanted, never)
    report.removed = stand_ins.forget(session, rows, (p for p in marked.idle - wanted if _within(frame, p)))
    report.stayed = stand_ins.settle(session, rows, back)
    rows = {p: r for p, r in rows.items() if p not in report.removed}
    _follow(session, rows, dates, usable, wanted, report)
    report.added = sorted(wanted - rows.keys())
    # With every date and pair there, what would it be? The rest is for as long as some are out.
    all_days = (d for d in {*dates, *usable} if _in_range(frame, d))
    whole = network(all_days, kept, settings) if report.added else needed
    new = [{"date1": p.date1, "date2": p.date2, "stand_in": p in needed and p not in whole} for p in report.added]
    insert_many(session, RsarIfg, [{"frame_id": frame_id, **values} for values in new])
    _finish(session, frame_id, report)
    return report


def _needed(
    days: Sequence[date], kept: Sequence[Pair], settings: NetworkSettings, never: Collection[Pair], begun: Collection[Pair]
) -> tuple[set[Pair], list[Pair]]:
    """The network, and those of its `begun` stand-ins that stay for good: they may spare others that stand in."""
    stay: list[Pair] = []
    while True:
        needed = set(network(days, [*kept, *stay], settings, never))
        more = sorted(p for p in begun if p not in needed and p not in stay)
        if not more:
            return needed, stay
        stay += more


def _follow(
    session: Session,
    rows: Mapping[Pair, RsarIfg],
    dates: Mapping[date, Ifg],
    usable: Collection[date],
    wanted: Collection[Pair],
    report: NetworkReport,
) -> None:
    """Pairs of dates that are out are left out; those that a rule left out and that are wanted return."""
    for pair, row in rows.items():
        gone = [d for d in pair if d not in usable]
        if gone:
            _leave_out(session, row, _why(gone[0], dates), report)
        elif pair in wanted and _by_rule(row):
            _return(session, row, [dates[d] for d in pair if d in dates])
            report.returned.append(pair)


def _finish(session: Session, frame_id: str, report: NetworkReport) -> None:
    due = (Frame.id == frame_id, Frame.network_due)  # only then: a write that changes nothing would wake the planner again
    session.execute(update(Frame).where(*due).values(network_due=False, last_updated=Frame.last_updated))
    if report.stayed:
        record(session, "network", frame_id=frame_id, message=about_stayed(report.stayed))
    if report.warning and (report.added or report.excluded or report.returned):
        record(session, "network", frame_id=frame_id, message=report.warning)


def about_stayed(pairs: Sequence[Pair]) -> str:
    """Why pairs are in the network that its rule does not ask for."""
    listed = some_of([f"{p.date1} {p.date2}" for p in pairs])
    return f"{len(pairs)} pairs stood in for what is back, and stay, since their work has begun: {listed}"


def narrow(db: Store, session: Session, frame_id: str) -> list[Pair]:
    """Forget the pairs of a frame that nobody has begun and that its settings do not ask for any more.

    What was made stays, always. For when a person changes the settings; new dates never take pairs away.
    """
    frame = session.scalars(select(Frame).where(Frame.id == frame_id).with_for_update()).one()
    left_out = (Ifg.frame_id == frame_id, Ifg.proc_status.not_in(OUT))
    days = {*session.scalars(select(Ifg.date).where(*left_out)), *session.scalars(_master_date(frame_id))}
    rows = {Pair(r.date1, r.date2): r for r in session.scalars(select(RsarIfg).where(RsarIfg.frame_id == frame_id))}
    untouched = {p for p, r in rows.items() if r.proc_stage == 1 and r.proc_status == ProcStatus.WAITING}
    never = {p for p, r in rows.items() if r.proc_status == ProcStatus.FAILED or _by_hand(r)}
    kept = [p for p in rows if p not in untouched and p not in never]
    wanted = network((d for d in days if _in_range(frame, d)), kept, network_settings(db.settings, frame), never)
    # Out of the range the settings are not asked: those pairs rest.
    gone = sorted(p for p in untouched - wanted if _within(frame, p))
    return stand_ins.forget(session, rows, gone)


def _master_date(frame_id: str) -> Select[date]:
    return select(Master.date).where(Master.frame_id == frame_id)


def _report(days: list[date], wanted: set[Pair], never: set[Pair]) -> NetworkReport:
    parts = components(days, wanted)
    report = NetworkReport(parts=len(parts))
    if len(parts) > 1:
        ties = joining(parts, never)
        listed = " and ".join(f"{min(part)} .. {max(part)} ({len(part)} dates)" for part in parts[:4])
        shortest = ", ".join(f"{p.date1} {p.date2}" for p in ties[:3])
        report.warning = (
            f"the network is in {len(parts)} parts, which no pair may join: {listed}{' ...' if len(parts) > 4 else ''}; "
            f"{len(ties)} pairs between them were left out by hand or failed: include or retry one, the shortest are {shortest}"
        )
    return report


def _leave_out(session: Session, row: RsarIfg, why: str, report: NetworkReport) -> None:
    if row.proc_status == ProcStatus.RUNNING:
        return  # looked at again when it has ended
    if row.proc_status == ProcStatus.EXCLUDED:
        if row.automatic and row.reason != why:
            row.reason = why
        return
    was_used = row.proc_stage == stage_id(RowKind.RSAR_IFG, Stage.UNWRAP) and row.proc_status in _HAS_PRODUCT
    if not move(session, RowKind.RSAR_IFG, row.id, ProcStatus.EXCLUDED, reason=why, automatic=True):
        return
    report.excluded.append(Pair(row.date1, row.date2))
    if was_used:
        series = stage_id(RowKind.MASTER, Stage.TIMESERIES)
        done = (Master.frame_id == row.frame_id, Master.proc_stage >= series, Master.proc_status.in_((2, 3)))
        values = {"proc_status": int(ProcStatus.STALE), "stale_from": series, "reason": f"a pair was left out: {why}"}
        session.execute(update(Master).where(*done).values(**values).execution_options(synchronize_session=False))


def _return(session: Session, row: RsarIfg, dates: list[Ifg]) -> None:
    """A pair returns as it was; from its start where one of its dates is made again first."""
    if all(d.proc_stage == stage_id(RowKind.IFG, Stage.SATSAR) and d.proc_status in _HAS_PRODUCT for d in dates):
        come_back(session, row, who="network")
    else:
        move(session, RowKind.RSAR_IFG, row.id, ProcStatus.WAITING, **_BACK, proc_stage=1)


def _why(day: date, dates: Mapping[date, Ifg]) -> str:
    """Where the reason stands: with the date, not with each of its pairs."""
    row = dates.get(day)
    return f"{day} is no longer a date of the frame" if row is None else f"see {day} ({row.status.name.lower()})"


def _by_rule(row: RsarIfg) -> bool:
    return row.proc_status == ProcStatus.EXCLUDED and row.automatic


def _by_hand(row: RsarIfg) -> bool:
    return row.proc_status == ProcStatus.EXCLUDED and not row.automatic


def _in_range(frame: Frame, day: date) -> bool:
    return (frame.start_date is None or day >= frame.start_date) and (frame.end_date is None or day <= frame.end_date)


def _within(frame: Frame, pair: Pair) -> bool:
    return _in_range(frame, pair.date1) and _in_range(frame, pair.date2)


def _in_scope(frame: Frame, day: date) -> bool:
    return frame.do_update or frame.initial_last_date is None or day <= frame.initial_last_date
