"""A look at frames: what is stale now, and the rows moved accordingly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from satdaemon.db.staleness.changes import keep, unlike_before
from satdaemon.db.staleness.conditions import Processors, conditions_digest
from satdaemon.db.staleness.facts import Facts, load_facts
from satdaemon.db.staleness.marking import Change, apply, changes
from satdaemon.db.staleness.orbits import OrbitShelf
from satdaemon.db.staleness.verdicts import judge
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
    shelf: OrbitShelf | None = None,
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
    shelf
        Orbit files, for whoever calls several times and reads their names once.
    """
    shelf = shelf or shelf_of(db)
    conditions = conditions_digest(db.settings, processors)
    with db.read_scope() as session:
        due = unlike_before(session, frames, conditions, shelf)
    moved: list[Marked] = []
    for place, (frame_id, found) in enumerate(due.items()):
        if progress is not None:
            progress(place, len(due))

        def look(session: Session, frame_id: str = frame_id, found: str = found) -> list[Marked]:
            return _mark_frame(db, session, frame_id, found, processors, shelf)

        moved += db.write(look)
    if progress is not None:
        progress(len(due), len(due))
    return moved


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
    db: Store, session: Session, frame_id: str, found: str, processors: Processors | None, shelf: OrbitShelf
) -> list[Marked]:
    facts = load_facts(session, frame_id)
    if facts is None:
        return []
    judgement = judge(session, facts, db.settings, processors, shelf)
    wanted, ours = changes(facts, judgement)
    moved = apply(session, facts, judgement, wanted, ours)
    keep(session, frame_id, found)
    return [_marked(facts, change) for change in moved]


def _marked(facts: Facts, change: Change) -> Marked:
    row = change.row
    return Marked(
        facts.frame.id, row.kind, row.id, row.date1, row.date2, change.stage, change.status, change.reason or "as it was"
    )
