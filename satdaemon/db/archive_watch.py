"""Looking for new scenes of all frames that are on, in few requests an archive.

One question serves all frames: what was published since the last answer, a little before it included. Frames near one
another make one area; all over the Earth they make none, and what they do not show is left out here. Now and then, and once
for a new frame, the whole history of a frame is searched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from satdaemon.archive import sites
from satdaemon.archive.area import Area
from satdaemon.archive.found import Catalogue, Listed
from satdaemon.archive.names import LOCAL
from satdaemon.archive.secrets import redacted
from satdaemon.config import Settings
from satdaemon.db.frames import frame_of, history_searched
from satdaemon.db.listed import enter_listed
from satdaemon.db.models import ArchiveLook, Frame
from satdaemon.db.store import Store
from satdaemon.db.upsert import upsert
from satdaemon.domain import Frame as FrameValue
from satdaemon.errors import ArchiveError, ConfigError, RequestError, SatDaemonError

WINDOW = timedelta(days=2)
"""Most that one question asks for, by time of publication: the Earth's scenes of so long are a few thousand."""
NEW_FRAMES = 20
"""Frames never searched before whose history is searched by one look."""
RETRY_FIRST = timedelta(minutes=15)
"""A silent archive is asked again after so long, doubled each time, up to the interval."""
_NO_ANSWER = (ArchiveError, RequestError, ConfigError)


@dataclass(slots=True)
class LookReport:
    """What a look at the archives brought."""

    asked: tuple[str, ...] = ()
    """Archives whose turn it was."""
    frames: int = 0
    found: int = 0
    """Scenes that the frames show."""
    added: int = 0
    renewed: int = 0
    whole: list[str] = field(default_factory=list)
    """Frames whose whole history was searched."""
    requests: int = 0
    silent: dict[str, str] = field(default_factory=dict)
    """Archive -> why it gave no answer."""
    warnings: list[str] = field(default_factory=list)


def look(db: Store, *, catalogues: Sequence[Catalogue] | None = None, now: datetime | None = None) -> LookReport:
    """Search the archives whose turn it is and enter what they have; nothing is asked before `search_interval_h` is over.

    An archive that does not answer is in `silent`: it is asked for the same again next time.
    """
    download, now = db.settings.download, now or datetime.now(UTC)
    report = LookReport()
    if download.search_interval_h == 0:
        return report
    with db.read_scope() as session:
        due = _due(session, names_of(db.settings), now)
        if not due:
            return report
        frames = [frame_of(session, frame_id) for frame_id in _frames(session)]
    report.asked, report.frames = tuple(due), len(frames)
    area_frames = [frame for frame in frames if any(len(burst.footprint) >= 3 for burst in frame.bursts)]
    if lacking := [frame.id for frame in frames if frame not in area_frames]:
        report.warnings.append(f"not searched for, as their bursts have no footprints: {', '.join(lacking)}; load the burst map")
    if not area_frames:
        return report
    every = list(catalogues or sites.catalogues(db.settings, names_of(db.settings)))
    chosen = [catalogue for catalogue in every if catalogue.name in due]
    area = Area.of_frames(area_frames)
    found = {c.name: listed for c in chosen if (listed := _new(db, c, area, due[c.name], now, report)) is not None}
    _enter(db, found, report)
    for name in found:
        db.write(partial(_answered, name=name, now=now, interval_h=download.search_interval_h))
    if not silent_since(db) and _whole(db, every, area_frames, now, report):
        db.write(partial(_go_on, names=tuple(found), when=now + RETRY_FIRST))
    return report


def names_of(settings: Settings) -> tuple[str, ...]:
    """The archives that are searched: those configured, a directory only where there is one."""
    return tuple(name for name in sites.names(settings) if name != LOCAL or settings.download.archive_path is not None)


def silent_since(db: Store) -> dict[str, tuple[datetime, str]]:
    """Archives that do not answer: since when, and what was said last."""
    with db.read_scope() as session:
        rows = session.scalars(select(ArchiveLook).where(ArchiveLook.failing_utc.is_not(None)))
        return {row.archive: (row.failing_utc, row.problem or "") for row in rows if row.failing_utc is not None}


def _due(session: Session, names: Sequence[str], now: datetime) -> dict[str, datetime | None]:
    """Archive -> what was published before this is known."""
    known = {row.archive: row for row in session.scalars(select(ArchiveLook).where(ArchiveLook.archive.in_(names)))}
    found: dict[str, datetime | None] = {}
    for name in names:
        row = known.get(name)
        if row is None or row.next_utc is None or row.next_utc <= now:
            found[name] = None if row is None else row.until_utc
    return found


def _frames(session: Session) -> list[str]:
    """Those that want new dates."""
    wanted = or_(Frame.do_update.is_(True), Frame.initial_last_date.is_(None))
    on = (Frame.processing.is_(True), Frame.retired_utc.is_(None))
    return list(session.scalars(select(Frame.id).where(*on, wanted).order_by(Frame.id)))


def _new(
    db: Store, catalogue: Catalogue, area: Area, until: datetime | None, now: datetime, report: LookReport
) -> list[Listed] | None:
    """What was published since the last answer; None where the archive does not answer now, which is noted."""
    overlap = timedelta(hours=db.settings.download.search_overlap_h)
    since = min(until or now, now) - overlap
    windows = max(math.ceil((now - since) / WINDOW), 1)
    step = (now - since) / windows
    found: list[Listed] = []
    for place in range(windows):
        last = None if place == windows - 1 else since + (place + 1) * step
        try:
            answer = catalogue.search(replace(area, since_utc=since + place * step, until_utc=last))
        except _NO_ANSWER as error:
            _note(db, catalogue.name, error, now, report)
            return None
        report.requests += answer.requests
        report.warnings += [f"{catalogue.name}: {n} entries left out: {why}" for why, n in answer.skipped.items()]
        found += answer.listed
    return found


def _enter(db: Store, found: dict[str, list[Listed]], report: LookReport, frame_id: str | None = None) -> None:
    entered = enter_listed(db, found, who="watch", frame_id=frame_id)
    report.found += entered.found
    report.added += entered.added
    report.renewed += entered.renewed
    report.warnings += [*entered.warnings, *(f"{scene}: {why}" for scene, why in entered.bad.items())]


def _whole(db: Store, catalogues: Sequence[Catalogue], frames: Sequence[FrameValue], now: datetime, report: LookReport) -> bool:
    """The whole history of new frames, and of some whose turn it is; True where more new ones wait for it."""
    by_id = {frame.id: frame for frame in frames}
    download = db.settings.download
    share = math.ceil(len(frames) * download.search_interval_h / 24 / download.search_whole_days)
    before = now - timedelta(days=download.search_whole_days)
    with db.read_scope() as session:
        mine = select(Frame.id).where(Frame.id.in_(by_id)).order_by(Frame.searched_utc, Frame.priority.desc(), Frame.id)
        new = session.scalars(mine.where(Frame.searched_utc.is_(None)).limit(NEW_FRAMES + 1)).all()
        old = session.scalars(mine.where(Frame.searched_utc < before).limit(share)).all()
    for frame_id in (*new[:NEW_FRAMES], *old):
        found: dict[str, list[Listed]] = {}
        for catalogue in catalogues:
            try:
                answer = catalogue.search(Area.of_frames([by_id[frame_id]], bare=catalogue.name == LOCAL))
            except RequestError as error:
                report.warnings.append(f"{frame_id}: its history is not searched in {catalogue.name}: {redacted(str(error))}")
            except _NO_ANSWER as error:
                _note(db, catalogue.name, error, now, report)
                return False
            else:
                report.requests += answer.requests
                found[catalogue.name] = list(answer.listed)
        _enter(db, found, report, frame_id)
        report.whole.append(frame_id)
        db.write(partial(history_searched, frame_ids=[frame_id], now=now))
    return len(new) > NEW_FRAMES


def _go_on(session: Session, names: Sequence[str], when: datetime) -> None:
    session.execute(update(ArchiveLook).where(ArchiveLook.archive.in_(names)).values(next_utc=when))


def _answered(session: Session, name: str, now: datetime, interval_h: float) -> None:
    row = {
        "archive": name, "until_utc": now, "looked_utc": now, "next_utc": now + timedelta(hours=interval_h),
        "failing_utc": None, "failures": 0, "problem": None,
    }  # fmt: skip
    upsert(session, ArchiveLook, row, ["archive"])


def _note(db: Store, name: str, error: SatDaemonError, now: datetime, report: LookReport) -> None:
    """The archive did not answer: nothing of how far it was searched changes."""
    words = redacted(str(error))
    report.silent[name] = words
    interval = timedelta(hours=db.settings.download.search_interval_h)
    asked = timedelta(seconds=getattr(error, "retry_after_s", None) or 0.0)

    def work(session: Session) -> None:
        row = session.get(ArchiveLook, name)
        if row is None:
            row = ArchiveLook(archive=name, failures=0)
            session.add(row)
        row.failures += 1
        row.failing_utc = row.failing_utc or now
        row.problem = words
        row.next_utc = now + max(min(RETRY_FIRST * 2 ** min(row.failures - 1, 20), interval), asked)

    db.write(work)
