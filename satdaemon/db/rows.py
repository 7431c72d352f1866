"""Moves of rows between statuses, by the table of satdaemon.status; and what operators do to rows."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from satdaemon.db.daemon import changed
from satdaemon.db.models import MODEL_OF, Frame, Ifg, RsarIfg, StageRow
from satdaemon.db.store import Store
from satdaemon.errors import RequestError
from satdaemon.status import LEGAL_MOVES, ProcStatus, RowKind


def sources(new: ProcStatus) -> list[int]:
    """The statuses from which a row may become `new`."""
    return [int(old) for old, targets in LEGAL_MOVES.items() if new in targets]


def move(session: Session, kind: RowKind, row_id: int, new: ProcStatus, *conditions: Any, **values: Any) -> bool:
    """Give a row a status, where the move is legal and `conditions` hold; False where not."""
    model = MODEL_OF[kind]
    done = session.execute(
        update(model)
        .where(model.id == row_id, model.proc_status.in_(sources(new)), *conditions)
        .values(proc_status=int(new), **values)
        .returning(model.id)
        .execution_options(synchronize_session=False)
    )
    return done.first() is not None


def network_due(session: Session, frame_id: str) -> None:
    """The next plan looks at the frame's pairs: a date or pair fell out or came back."""
    session.execute(update(Frame).where(Frame.id == frame_id).values(network_due=True))


def find(session: Session, frame_id: str, date1: date, date2: date | None = None) -> Ifg | RsarIfg:
    """The row of a date, or of a pair where `date2` is given. RequestError where there is none."""
    found: Ifg | RsarIfg | None
    if date2 is None:
        found = session.scalar(select(Ifg).where(Ifg.frame_id == frame_id, Ifg.date == date1))
    else:
        pair = (RsarIfg.date1 == date1, RsarIfg.date2 == date2)
        found = session.scalar(select(RsarIfg).where(RsarIfg.frame_id == frame_id, *pair))
    if found is None:
        what = f"date {date1}" if date2 is None else f"pair {date1} {date2}"
        raise RequestError(f"frame {frame_id}: expected a secondary {what}, found none")
    return found


def exclude(db: Store, frame_id: str, date1: date, date2: date | None = None, *, reason: str, who: str) -> None:
    """Leave a date or a pair out on purpose, until `include`."""
    with db.session_scope() as session:
        row = find(session, frame_id, date1, date2)
        _set(session, row, ProcStatus.EXCLUDED, reason=reason, automatic=False)
        network_due(session, frame_id)
        changed(session, who=who, what=f"excluded {date1} {date2 or ''}: {reason}", frame_id=frame_id)


def include(db: Store, frame_id: str, date1: date, date2: date | None = None, *, who: str) -> None:
    """Take a date or a pair back that was excluded."""
    with db.session_scope() as session:
        row = find(session, frame_id, date1, date2)
        _set(session, row, ProcStatus.WAITING, reason=None, automatic=False)
        network_due(session, frame_id)
        changed(session, who=who, what=f"included {date1} {date2 or ''}", frame_id=frame_id)


def _set(session: Session, row: StageRow, new: ProcStatus, **values: Any) -> None:
    if row.status is ProcStatus.RUNNING:
        raise RequestError(f"{row!r}: a running job holds it; cancel that first")
    if not move(session, row.kind, row.id, new, **values):
        raise RequestError(f"{row!r}: expected a legal move of proc_status, got {row.status.name} -> {new.name}")
