"""What a set of bursts would give as a frame, from the files that the database knows, before the frame is made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from satdaemon.db import file_orbits
from satdaemon.db.baselines import Baselines, baselines
from satdaemon.db.bursts import to_value
from satdaemon.db.dates import Day, days_of_files
from satdaemon.db.frame_choice import Choice, by_ids, gaps, warnings_of
from satdaemon.db.frames import frame_of, network_settings, row_of
from satdaemon.db.master_choice import choose, precise_of
from satdaemon.db.models import File, Master, files2bursts, frames2files
from satdaemon.db.models import Frame as FrameRow
from satdaemon.db.store import Store
from satdaemon.domain import Burst, Frame
from satdaemon.errors import NotReady, RequestError
from satdaemon.planning.bursts import along_track
from satdaemon.planning.coverage import Coverage, coverage


@dataclass(frozen=True, slots=True)
class PreviewDate:
    """One date, and what it has of the bursts."""

    date: date
    present: tuple[str, ...]
    """Bursts that valid files show, in the order of acquisition."""
    share: float
    usable: bool
    reason: str
    files: tuple[str, ...]
    """The valid products."""
    bperp_m: float | None = None
    """Perpendicular baseline to the preview's `bperp_to`, metres (`satdaemon.db.baselines`); None: not known."""


@dataclass(frozen=True, slots=True)
class Drop:
    """What would follow from doing without some bursts."""

    bursts: tuple[str, ...]
    usable: int
    """Dates that could be used then."""
    gain: int
    """How many more than with all bursts."""
    complete: int
    """Dates that would have every burst then: those from which a master can be chosen."""
    gap: bool
    """True where a swath would have a hole."""


@dataclass(frozen=True, slots=True)
class Preview:
    """Dates x bursts of a frame that need not exist."""

    track: int
    direction: str
    bursts: tuple[Burst, ...]
    min_coverage: float
    dates: tuple[PreviewDate, ...]
    drops: tuple[Drop, ...]
    """One for each burst, and one for each group of bursts that are missing together; the most useful first."""
    warnings: tuple[str, ...]
    master: date | None = None
    """The frame's master, or the date that the rule would choose now."""
    master_reason: str = ""
    bperp_to: date | None = None
    """The date to which baselines are given: the master, or where there is none the earliest whose orbit is known."""

    @property
    def usable(self) -> int:
        """Dates that could be used."""
        return sum(day.usable for day in self.dates)

    @property
    def complete(self) -> int:
        """Dates that have every burst; the master is one of them."""
        return sum(len(day.present) == len(self.bursts) for day in self.dates)


def preview_bursts(db: Store, bursts: Sequence[str] | Choice, *, min_coverage: float | None = None) -> Preview:
    """Dates and coverage of bursts, given by id or chosen (`by_polygon`, `by_licsar_id`). RequestError as `make_frame`.

    `min_coverage` is the smallest share of the bursts that a usable date has; default: that of satdaemon.cfg.
    """
    with db.read_scope() as session:
        if isinstance(bursts, Choice):
            chosen, warnings = list(bursts.bursts), list(bursts.warnings)
        else:
            rows, warnings = by_ids(session, bursts)
            chosen = along_track(to_value(row) for row in rows)
        if not chosen:
            raise RequestError("preview: expected at least one burst, got none")
        tracks = list(dict.fromkeys(f"{b.track} {b.orbit_direction}" for b in chosen))
        if len(tracks) > 1:
            raise RequestError(f"preview: expected bursts of one track and pass, got {', '.join(tracks)}")
        least = db.settings.network.min_coverage if min_coverage is None else min_coverage
        frame = Frame("(preview)", chosen[0].track, chosen[0].orbit_direction, tuple(chosen))
    file_orbits.complete(db, file_orbits.showing({b.id for b in frame.bursts}))
    with db.read_scope() as session:
        return _preview(db, session, frame, least, warnings)


def preview_frame(
    db: Store, frame_id: str, *, add: Sequence[str] = (), drop: Sequence[str] = (), min_coverage: float | None = None
) -> Preview:
    """The same of a frame that is made, as it is or with bursts added and dropped."""
    with db.read_scope() as session:
        frame = frame_of(session, frame_id)
        least = network_settings(db.settings, row_of(session, frame_id)).min_coverage if min_coverage is None else min_coverage
        rows, warnings = by_ids(session, add)
        unknown = set(drop) - {b.id for b in frame.bursts}
        if unknown:
            raise RequestError(f"frame {frame_id}: expected bursts of the frame to drop, got {', '.join(sorted(unknown))}")
        bursts = {b.id: b for b in frame.bursts if b.id not in set(drop)} | {row.id: to_value(row) for row in rows}
        if not bursts:
            raise RequestError(f"frame {frame_id}: expected at least one burst to be left, got none")
        changed = Frame(frame_id, frame.track, frame.orbit_direction, tuple(along_track(bursts.values())))
    file_orbits.complete(db, file_orbits.showing(bursts))
    with db.read_scope() as session:
        return _preview(db, session, changed, least, warnings)


def _preview(db: Store, session: Session, frame: Frame, least: float, warnings: Iterable[str]) -> Preview:
    if not 0 < least <= 1:
        raise RequestError(f"min_coverage: expected a share above 0 and up to 1, got {least}")
    ids = [b.id for b in frame.bursts]
    shown = select(files2bursts.c.file_id).where(files2bursts.c.burst_id.in_(ids))
    tied = select(frames2files.c.file_id).where(frames2files.c.frame_id == frame.id)
    files = session.scalars(select(File).where(or_(File.id.in_(shown), File.id.in_(tied))).order_by(File.id)).all()
    days = days_of_files(session, frame, files)
    verdicts = _Verdicts(frame, least)
    known = baselines(session, frame, days)
    usable = {day for day, found in days.items() if verdicts.of(found.bursts).usable}
    master, why = _master(db, session, frame, days, usable, known)
    to = master if master in known.views else min(known.views, default=None)
    bperp_m = known.to(to) if to is not None else {}
    dates = tuple(_date(day, found, verdicts.of(found.bursts), ids, bperp_m.get(day)) for day, found in sorted(days.items()))
    return Preview(
        frame.track, frame.orbit_direction, frame.bursts, least, dates, _drops(frame, dates, least),
        (*warnings, *warnings_of(frame.bursts)), master, why, to,
    )  # fmt: skip


def _master(
    db: Store, session: Session, frame: Frame, days: Mapping[date, Day], usable: Collection[date], known: Baselines
) -> tuple[date | None, str]:
    """The master that a frame has, or that the rule would choose now, and why."""
    present = session.scalar(select(Master).where(Master.frame_id == frame.id))
    if present is not None:
        return present.date, present.choice_reason or ""
    row = session.get(FrameRow, frame.id)
    after = (db.settings.network if row is None else network_settings(db.settings, row)).reference_after_days
    try:
        choice = choose(frame, days, usable, precise_of(db), known, after_days=after)
    except NotReady as error:
        return None, str(error)
    return choice.date, choice.reason


class _Verdicts:
    """The coverage rule, asked once for each set of bursts: dates share few of them."""

    def __init__(self, frame: Frame, least: float) -> None:
        self._frame, self._least = frame, least
        self._known: dict[frozenset[str], Coverage] = {}

    def of(self, present: frozenset[str]) -> Coverage:
        if present not in self._known:
            self._known[present] = coverage(self._frame, present, self._least)
        return self._known[present]


def _date(day: date, found: Day, verdict: Coverage, ids: Sequence[str], bperp_m: float | None) -> PreviewDate:
    reason = verdict.reason
    if found.bad and not verdict.usable:
        reason += "; " + "; ".join(f"{file} cannot be used: {why}" for file, why in sorted(found.bad.items()))
    present = tuple(burst for burst in ids if burst in found.bursts)
    return PreviewDate(day, present, verdict.share, verdict.usable, reason, tuple(s.id for s in found.scenes), bperp_m)


def _drops(frame: Frame, dates: Sequence[PreviewDate], least: float) -> tuple[Drop, ...]:
    if len(frame.bursts) < 2:
        return ()
    with_all, holes = sum(day.usable for day in dates), len(gaps(frame.bursts))
    together: Mapping[frozenset[date], list[str]] = defaultdict(list)
    for burst in frame.bursts:
        together[frozenset(day.date for day in dates if burst.id not in day.present)].append(burst.id)
    sets: list[tuple[str, ...]] = [(burst.id,) for burst in frame.bursts]
    sets += [tuple(ids) for missing, ids in together.items() if missing and 1 < len(ids) < len(frame.bursts)]
    found = []
    for ids in sets:
        left = Frame(frame.id, frame.track, frame.orbit_direction, tuple(b for b in frame.bursts if b.id not in ids))
        verdicts, remaining = _Verdicts(left, least), {b.id for b in left.bursts}
        presents = [frozenset(day.present) & remaining for day in dates]
        usable = sum(verdicts.of(present).usable for present in presents)
        complete = sum(present == remaining for present in presents)
        found.append(Drop(ids, usable, usable - with_all, complete, len(gaps(left.bursts)) > holes))
    return tuple(sorted(found, key=lambda d: (-d.gain, -d.complete, d.gap, len(d.bursts), d.bursts)))

