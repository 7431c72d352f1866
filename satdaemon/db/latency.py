"""From sensing to points: when each date of a frame came how far, told by its files, rows, products and events.

Events go by age; what they told of a date that is in the points is kept in `date_latency` before.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, or_, select, union_all
from sqlalchemy.orm import Session

from satdaemon.db.costs import FINISHED
from satdaemon.db.frames import row_of
from satdaemon.db.models import DateLatency, File, FileSource, Ifg, JobEvent, Master, Product, frames2files
from satdaemon.db.store import Store
from satdaemon.db.upsert import upsert
from satdaemon.planning.latency import ARCHIVE, KNOWN, ORBIT, PUBLISHED, SENSED, Latency, Spell, latency
from satdaemon.status import RowKind, Stage

_OF_DATE = (Stage.DOWNLOAD.value, Stage.SLC.value, Stage.SATSAR.value)
_OF_PAIRS = (Stage.COHERENCE.value, Stage.UNWRAP.value)
_OF_FRAME = (Stage.TIMESERIES.value, Stage.INGEST.value)


@dataclass(slots=True)
class _Seen:
    """What a frame's events tell."""

    ends: dict[tuple[str, date | None], dict[Any, datetime]] = field(default_factory=lambda: defaultdict(dict))
    """(stage, date) -> when what first ended: of pairs by their later date; of the frame's stages (None) every end."""
    spells: dict[date | None, list[Spell]] = field(default_factory=lambda: defaultdict(list))


def of_frame(db: Store, frame_id: str) -> dict[date, Latency]:
    """Of every date of a frame, the newest first. RequestError where there is no such frame."""
    with db.read_scope() as session:
        row_of(session, frame_id)
        kept = _kept(session, frame_id)
        found = {**_computed(session, frame_id), **kept}
    return dict(sorted(found.items(), reverse=True))


def keep(db: Store) -> int:
    """Record dates that have come into the points since the last time; how many. Before events are removed."""
    count = 0
    for frame_id in _with_news(db):
        count += db.write(lambda session, frame_id=frame_id: _keep(session, frame_id))  # type: ignore[misc]
    return count


def _with_news(db: Store) -> list[str]:
    """Frames with points that have coregistered dates of which nothing is kept."""
    done = (Ifg.proc_stage == 3, Ifg.proc_status.in_((2, 3, 6)))
    known = select(DateLatency.date).where(DateLatency.frame_id == Ifg.frame_id, DateLatency.date == Ifg.date).exists()
    shown = select(Product.id).where(Product.frame_id == Ifg.frame_id, Product.stage == Stage.INGEST.value).exists()
    with db.read_scope() as session:
        return list(session.scalars(select(Ifg.frame_id).where(*done, ~known, shown).distinct().order_by(Ifg.frame_id)))


def _keep(session: Session, frame_id: str) -> int:
    known, count = _kept(session, frame_id), 0
    for day, one in _computed(session, frame_id).items():
        if day in known or not one.is_whole:
            continue
        row = {
            "frame_id": frame_id, "date": day, "total_s": one.total_s, "late_part": one.late_part,
            "moments": {name: moment.isoformat() for name, moment in one.moments.items()}, "parts": dict(one.parts),
        }  # fmt: skip
        upsert(session, DateLatency, row, ["frame_id", "date"])
        count += 1
    return count


def _kept(session: Session, frame_id: str) -> dict[date, Latency]:
    rows = session.scalars(select(DateLatency).where(DateLatency.frame_id == frame_id))
    return {
        row.date: Latency({name: datetime.fromisoformat(text) for name, text in row.moments.items()}, row.parts) for row in rows
    }


def _computed(session: Session, frame_id: str) -> dict[date, Latency]:
    seen, found = _seen(session, frame_id), {}
    published, sensed = _published(session, frame_id), _sensed(session, frame_id)
    for day, known in _known(session, frame_id).items():
        moments: dict[str, datetime] = {KNOWN: known}
        for name, told in ((SENSED, sensed), (PUBLISHED, published)):
            if day in told:
                moments[name] = told[day]
        for stage in _OF_DATE:
            if ends := seen.ends.get((stage, day)):
                moments[stage] = min(ends.values())
        # A pair is this date's where it is the later one.
        for stage in _OF_PAIRS:
            if ends := seen.ends.get((stage, day)):
                moments[stage] = max(ends.values())
        _of_the_frame(moments, seen)
        found[day] = latency(moments, [*seen.spells.get(day, ()), *seen.spells.get(None, ())])
    return found


def _of_the_frame(moments: dict[str, datetime], seen: _Seen) -> None:
    """The first series, and the first ingest of it, after all that the date adds to it."""
    last = max((moments[stage] for stage in (*_OF_DATE, *_OF_PAIRS) if stage in moments), default=None)
    if last is None or Stage.SATSAR.value not in moments:
        return
    for stage in _OF_FRAME:
        after = [end for end in seen.ends.get((stage, None), {}).values() if end >= last]
        if not after:
            return
        moments[stage] = last = min(after)


def _known(session: Session, frame_id: str) -> dict[date, datetime]:
    """When the frame got each of its dates."""
    rows = union_all(
        select(Ifg.date, Ifg.created_utc).where(Ifg.frame_id == frame_id),
        select(Master.date, Master.created_utc).where(Master.frame_id == frame_id),
    ).subquery()
    return {day: made for day, made in session.execute(select(rows.c.date, func.min(rows.c.created_utc)).group_by(rows.c.date))}


def _sensed(session: Session, frame_id: str) -> dict[date, datetime]:
    link = frames2files.c
    mine = (link.frame_id == frame_id, or_(link.valid == 1, link.valid.is_(None)), File.stop_utc.is_not(None))
    rows = select(link.date, func.max(File.stop_utc)).join(File, File.id == link.file_id).where(*mine).group_by(link.date)
    return {day: moment for day, moment in session.execute(rows)}


def _published(session: Session, frame_id: str) -> dict[date, datetime]:
    """When the last of a date's products was in the first archive that had it."""
    link = frames2files.c
    mine = (link.frame_id == frame_id, or_(link.valid == 1, link.valid.is_(None)), FileSource.published_utc.is_not(None))
    first = (
        select(link.date, func.min(FileSource.published_utc).label("published"))
        .join(FileSource, FileSource.file_id == link.file_id)
        .where(*mine)
        .group_by(link.date, link.file_id)
        .subquery()
    )
    rows = select(first.c.date, func.max(first.c.published)).group_by(first.c.date)
    return {day: moment for day, moment in session.execute(rows)}


def _seen(session: Session, frame_id: str) -> _Seen:
    seen = _Seen()
    columns = (
        JobEvent.job_id, JobEvent.event, JobEvent.at_utc, JobEvent.kind, JobEvent.stage, JobEvent.date1, JobEvent.date2,
        JobEvent.message,
    )  # fmt: skip
    mine = (JobEvent.frame_id == frame_id, JobEvent.job_id.is_not(None), JobEvent.stage.is_not(None))
    jobs: dict[int, list[Any]] = defaultdict(list)
    for event in session.execute(select(*columns).where(*mine).order_by(JobEvent.at_utc, JobEvent.id)):
        jobs[event.job_id].append(event)
    for events in jobs.values():
        _of_job(seen, events)
    _of_products(session, frame_id, seen)
    return seen


def _of_job(seen: _Seen, events: list[Any]) -> None:
    stage, day = events[0].stage, _day_of(events[0])
    for place, event in enumerate(events):
        following = events[place + 1].at_utc if place + 1 < len(events) else None
        if event.event == FINISHED:
            seen.ends[stage, day].setdefault(event.job_id if day is None else event.date1, event.at_utc)
        elif following is None:
            continue
        elif event.event == "waiting":
            what = ORBIT if "for an orbit" in (event.message or "") else ARCHIVE
            seen.spells[day].append(Spell(event.at_utc, following, what))
        elif event.event == "started":
            seen.spells[day].append(Spell(event.at_utc, following, f"{stage} running"))


def _day_of(event: Any) -> date | None:
    """The date that an event counts for: of a pair the later one, None for a stage of the whole frame."""
    if event.kind == RowKind.RSAR_IFG.value:
        return event.date2  # type: ignore[no-any-return]
    return event.date1 if event.stage in _OF_DATE else None


def _of_products(session: Session, frame_id: str, seen: _Seen) -> None:
    """Where no event tells of an end (any more), the product does."""
    rows = session.execute(
        select(Product.stage, Product.kind, Product.key, Product.created_utc).where(Product.frame_id == frame_id)
    )
    told = set(seen.ends)
    for stage, kind, key, made in rows:
        last = key.rpartition("_")[2]
        day = None if not last.isdecimal() or stage in _OF_FRAME else date.fromisoformat(last)
        if kind == RowKind.MASTER.value and stage not in _OF_DATE:
            day = None
        if (stage, day) not in told:
            seen.ends[stage, day][key] = made
