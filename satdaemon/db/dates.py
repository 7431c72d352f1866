"""Which files make which date of a frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from satdaemon.db.models import File, files2bursts, frames2files
from satdaemon.db.models.catalogue import BAD, MISSING
from satdaemon.db.scene_rows import published_of, scene_of
from satdaemon.domain import Frame, Scene
from satdaemon.planning.scenes import newest_products, same_acquisition, split_dates


@dataclass(slots=True)
class Day:
    """One date of a frame."""

    scenes: list[Scene] = field(default_factory=list)
    """The valid products, by start."""
    replaced: list[Scene] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)
    """Unusable files of the date, with their reasons."""
    bursts: frozenset[str] = frozenset()
    """Bursts of the frame that the valid products have."""
    made_of: frozenset[str] = frozenset()
    """The valid products if every file were still on disk and whole: what a date that is made already is held against."""
    made_of_bursts: frozenset[str] = frozenset()

    @property
    def start(self) -> datetime | None:
        """When the first file starts."""
        return min((s.start_utc for s in self.scenes), default=None)

    @property
    def stop(self) -> datetime | None:
        """When the last file stops."""
        return max((s.stop_utc for s in self.scenes), default=None)


def days_of_frame(session: Session, frame: Frame) -> dict[date, Day]:
    """The dates of a frame from the files that are tied to it: newest products, midnight rule, bad files told apart."""
    linked = select(File).join(frames2files).where(frames2files.c.frame_id == frame.id).order_by(File.id)
    return days_of_files(session, frame, session.scalars(linked).all())


def days_of_files(session: Session, frame: Frame, files: Sequence[File]) -> dict[date, Day]:
    """The same for given files, also of a frame that is not made yet."""
    bursts, starts = _bursts(session, frame)
    whole = [f for f in files if f.start_utc is not None and bursts.get(f.id)]
    known = published_of(session, whole)
    scenes_of = {f.id: scene_of(f, published_utc=known.get(f.id)) for f in whole}
    good = [scenes_of[f.id] for f in whole if f.state not in (BAD, MISSING)]
    valid = newest_products(good, bursts)
    kept = {scene.id for scene in valid}
    days: dict[date, Day] = {}
    for date_, scenes in split_dates(valid, starts).items():
        present = frozenset(b for scene in scenes for b in bursts[scene.id])
        days[date_] = Day(sorted(scenes, key=lambda s: (s.start_utc, s.id)), bursts=present)
    standing = valid if len(whole) == len(good) else newest_products(scenes_of.values(), bursts)
    for date_, scenes in split_dates(standing, starts).items():
        day = days.setdefault(date_, Day())
        day.made_of = frozenset(s.id for s in scenes)
        day.made_of_bursts = frozenset(b for scene in scenes for b in bursts[scene.id])
    for scene in good:
        if scene.id not in kept:
            _day_of(days, scene).replaced.append(scene)
    for file in files:
        if file.state in (BAD, MISSING) and file.start_utc is not None:
            scene = scene_of(file)
            day = _day_of(days, scene)
            if not any(same_acquisition(scene, s) for s in day.scenes):
                day.bad[file.id] = file.reason or file.state
    return days


def keep_dates(session: Session, frame_id: str, days: Mapping[date, Day]) -> set[date]:
    """Note with each file of the frame its date there, and whether it is used; returns the dates whose files changed."""
    link = frames2files.c
    rows = session.execute(select(link.file_id, link.date, link.valid).where(link.frame_id == frame_id)).all()
    present = {row.file_id: (row.date, row.valid) for row in rows}
    wanted = {s.id: (day, 1) for day, found in days.items() for s in found.scenes}
    wanted |= {s.id: (day, 0) for day, found in days.items() for s in found.replaced}
    wanted |= {file: (day, 0) for day, found in days.items() for file in found.bad}
    changed: set[date] = set()
    for file, (day, used) in wanted.items():
        if file in present and present[file] != (day, used):
            where = (link.frame_id == frame_id, link.file_id == file)
            session.execute(update(frames2files).where(*where).values(date=day, valid=used))
            changed |= {d for d in (day, present[file][0]) if d is not None}
    return changed


def _bursts(session: Session, frame: Frame) -> tuple[dict[str, set[str]], dict[str, datetime]]:
    """File -> the frame's bursts in it, and when the first of them starts."""
    mine = [b.id for b in frame.bursts]
    link = files2bursts.c
    bursts: dict[str, set[str]] = defaultdict(set)
    starts: dict[str, datetime] = {}
    for file, burst, start in session.execute(select(link.file_id, link.burst_id, link.start_utc).where(link.burst_id.in_(mine))):
        bursts[file].add(burst)
        if start is not None:
            starts[file] = min(starts.get(file, start), start)
    return dict(bursts), starts


def _day_of(days: dict[date, Day], scene: Scene) -> Day:
    """The day that a file belongs to, which is not among the valid ones: that of its pass, else of its start."""
    for day in days.values():
        if scene.id in day.made_of:
            return day
    for day in days.values():
        near = [s for s in day.scenes if abs((s.start_utc - scene.start_utc).total_seconds()) < 600]
        if near:
            return day
    return days.setdefault(scene.start_utc.date(), Day())
