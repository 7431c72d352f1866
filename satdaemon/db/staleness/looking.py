"""A look at frames: what is stale now, and the rows moved accordingly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

from sqlalchemy.orm import Session

from satdaemon.db.staleness.changes import News, keep, unlike_before
from satdaemon.db.staleness.conditions import Processors, conditions_digest
from satdaemon.db.staleness.facts import Facts, load_facts
from satdaemon.db.staleness.marking import Change, apply, changes, note_fresh
from satdaemon.db.staleness.new_products import load_new
from satdaemon.db.staleness.orbits import OrbitShelf
from satdaemon.db.staleness.verdicts import judge, judge_new
from satdaemon.db.store import Store
from satdaemon.status import ProcStatus, RowKind, Stage

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Marked:
    """A row that `mark` moved, or `check` would."""

    frame_id: str
    kind: RowKind
    row_id: int
    date1: date
    date2: date | None
    stage: Stage
    """The first stage whose product is stale."""
    status: ProcStatus
    """STALE; WAITING where the row waited already and begins at an earlier stage; DONE where what had changed is as it was."""
    reason: str


def shelf_of(db: Store) -> OrbitShelf:
    """The orbit files as they are now; reads their names when they are first asked for."""
    return OrbitShelf(db.settings.parameters.orbit_path, db.settings.download.accept_resorb)


def mark(
    db: Store,
    frames: Sequence[str] | None = None,
    processors: Processors | None = None,
    *,
    progress: Progress | None = None,
) -> list[Marked]:
    """Make STALE what was made from inputs that have changed since; take back what is as it was.

    Frames where nothing changed since the last look cost no more than a place in grouped queries. Each frame is one
    transaction; run again, it changes nothing.

    Parameters
    ----------
    frames
        Only these; default: all that are not retired.
    processors
        Stage to (name, version) of the built-in processors, as `satdaemon.processors.registry.versions` gives them.
        Without, versions are not compared.
    progress
        Called with (frames done, frames to look at).
    """
    looking = Looking(db, processors)
    with db.read_scope() as session:
        due = looking.news(session, frames)
    return looking.mark(due, progress=progress)


class Looking:
    """Looks at frames in two steps, with the settings, programs and orbits of one moment."""

    def __init__(self, db: Store, processors: Processors | None) -> None:
        self._db = db
        self._processors = processors
        self._shelf = shelf_of(db)
        self._conditions = conditions_digest(db.settings, processors)

    def news(self, session: Session, frames: Sequence[str] | None) -> dict[str, News]:
        """Which of the frames there is anything new about."""
        return unlike_before(session, frames, self._conditions, self._shelf)

    def mark(self, due: Mapping[str, News], *, progress: Progress | None = None) -> list[Marked]:
        """Look at these, each in a transaction."""
        moved: list[Marked] = []
        for place, (frame_id, news) in enumerate(due.items()):
            if progress is not None:
                progress(place, len(due))
            moved += self._db.write(partial(self._mark, frame_id=frame_id, news=news))
        if progress is not None:
            progress(len(due), len(due))
        return moved

    def _mark(self, session: Session, frame_id: str, news: News) -> list[Marked]:
        return _mark_frame(self._db, session, frame_id, news, self._processors, self._shelf)


def check(
    db: Store, frames: Sequence[str] | None = None, processors: Processors | None = None, *, progress: Progress | None = None
) -> list[Marked]:
    """What `mark` would do now; nothing is written. Every frame with anything new is looked at."""
    shelf = shelf_of(db)
    found: list[Marked] = []
    with db.read_scope() as session:
        due = unlike_before(session, frames, conditions_digest(db.settings, processors), shelf)
        for place, frame_id in enumerate(due):
            if progress is not None:
                progress(place, len(due))
            facts = load_facts(session, frame_id)
            if facts is not None:
                judgement = judge(session, facts, db.settings, processors, shelf)
                found += [_marked(facts, change) for change in changes(facts, judgement)[0]]
            session.expunge_all()
    if progress is not None:
        progress(len(due), len(due))
    return found


def _mark_frame(
    db: Store, session: Session, frame_id: str, news: News, processors: Processors | None, shelf: OrbitShelf
) -> list[Marked]:
    if news.is_products_only and _are_fresh(db, session, frame_id, processors, shelf):
        return []
    facts = load_facts(session, frame_id)
    if facts is None:
        return []
    judgement = judge(session, facts, db.settings, processors, shelf)
    wanted, ours = changes(facts, judgement)
    moved = apply(session, facts, judgement, wanted, ours)
    keep(session, frame_id, news.digest)
    return [_marked(facts, change) for change in moved]


def _are_fresh(db: Store, session: Session, frame_id: str, processors: Processors | None, shelf: OrbitShelf) -> bool:
    """True where the new products and all that reads them are up to date, which is then noted."""
    loaded = load_new(session, frame_id)
    judgement = None if loaded is None else judge_new(*loaded, db.settings, processors, shelf)
    if judgement is None:
        return False
    note_fresh(session, judgement)
    return True


def _marked(facts: Facts, change: Change) -> Marked:
    row = change.row
    return Marked(
        facts.frame.id, row.kind, row.id, row.date1, row.date2, change.stage, change.status, change.reason or "as it was"
    )
