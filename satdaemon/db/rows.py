"""Moves of rows between statuses, by the table of satdaemon.status; and what operators do to rows."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from satdaemon.db.daemon import changed
from satdaemon.db.events import record
from satdaemon.db.models import MODEL_OF, FailedJob, Frame, Ifg, Master, Product, RsarIfg, StageRow
from satdaemon.db.store import Store
from satdaemon.domain import product_key
from satdaemon.errors import RequestError
from satdaemon.status import LEGAL_MOVES, ProcStatus, RowKind


def sources(new: ProcStatus) -> list[int]:
    """The statuses from which a row may become `new`."""
    return [int(old) for old, targets in LEGAL_MOVES.items() if new in targets]


def move(
    session: Session, kind: RowKind, row_id: int, new: ProcStatus, *conditions: Any, of_job: bool = False, **values: Any
) -> bool:
    """Give a row a status, where the move is legal and `conditions` hold; False where not.

    A RUNNING row is moved by its job alone (`of_job`): one that was granted a moment ago is left to it.
    """
    model = MODEL_OF[kind]
    old = [status for status in sources(new) if of_job or status != ProcStatus.RUNNING]
    done = session.execute(
        update(model)
        .where(model.id == row_id, model.proc_status.in_(old), *conditions)
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
        raise RequestError(f"frame {frame_id}: expected a secondary {what}, found none{_known(session, frame_id, date1, date2)}")
    return found


def exclude(db: Store, frame_id: str, date1: date, date2: date | None = None, *, reason: str, who: str) -> None:
    """Leave a date or a pair out on purpose, until `include`. What a rule left out is so left out for good.

    A job of it that failed is no failure any more: the events keep it.
    """
    with db.session_scope() as session:
        row = find(session, frame_id, date1, date2)
        if row.status is ProcStatus.EXCLUDED:
            row.reason, row.automatic = reason, False
        else:
            _set(session, row, ProcStatus.EXCLUDED, reason=reason, automatic=False)
        session.execute(delete(FailedJob).where(FailedJob.kind == row.kind.value, FailedJob.row_id == row.id))
        network_due(session, frame_id)
        changed(session, who=who, what=f"excluded {_name(row)}: {reason}", frame_id=frame_id)


def include(db: Store, frame_id: str, date1: date, date2: date | None = None, *, who: str) -> None:
    """Take a date or a pair back that was excluded; it goes on where it stood.

    Raises RequestError where it is not excluded, or where a rule left it out: that one returns by itself.
    """
    with db.session_scope() as session:
        row = find(session, frame_id, date1, date2)
        if row.status is not ProcStatus.EXCLUDED:
            hint = "; retry is for what failed" if row.status is ProcStatus.FAILED else ""
            raise RequestError(f"frame {frame_id}: expected an excluded row, got {_name(row)}, which is {row.status.name}{hint}")
        if row.automatic:
            raise RequestError(
                f"frame {frame_id}: {_name(row)} is left out by a rule: {row.reason}; it returns by itself when that changes"
            )
        come_back(session, row, who=who)
        network_due(session, frame_id)
        changed(session, who=who, what=f"included {_name(row)}", frame_id=frame_id)


def come_back(session: Session, row: Ifg | RsarIfg, *, who: str) -> None:
    """An EXCLUDED row returns: as it was where the product of its stage is known, else to be made from there.

    As it was means DONE, or STALE where it was that: the chain WAITING, RUNNING, DONE in one step, with the event
    `restored`. Whether its inputs have changed meanwhile is for satdaemon.db.staleness to find.
    """
    first, second = (row.date1, row.date2) if isinstance(row, RsarIfg) else (row.date, None)
    key = product_key(row.kind, row.stage, first, second)
    known = (Product.frame_id == row.frame_id, Product.stage == row.stage.value, Product.key == key)
    product = session.scalar(select(Product).where(*known))
    values: dict[str, Any] = {"automatic": False, "waiting_for": None, "reason": None}
    if product is None:
        stage = min(row.proc_stage, row.stale_from or row.proc_stage)
        move(session, row.kind, row.id, ProcStatus.WAITING, **values, stale_from=None, proc_stage=stage)
        return
    status = ProcStatus.DONE_WITH_WARNINGS if product.warnings else ProcStatus.DONE
    values["reason"] = "; ".join(product.warnings) or None
    if row.stale_from is not None:
        status, values["reason"] = ProcStatus.STALE, "was stale before it was left out"
    model = MODEL_OF[row.kind]
    left_out = (model.id == row.id, model.proc_status == int(ProcStatus.EXCLUDED))
    past_the_orm = {"synchronize_session": False}
    session.execute(update(model).where(*left_out).values(proc_status=int(status), **values).execution_options(**past_the_orm))
    message = f"its {row.stage} product still stands: {status.name}"
    where = {"frame_id": row.frame_id, "kind": row.kind.value, "stage": row.stage.value, "date1": first, "date2": second}
    record(session, "restored", who=who, message=message, **where)


def _set(session: Session, row: StageRow, new: ProcStatus, **values: Any) -> None:
    if row.status is ProcStatus.RUNNING:
        raise RequestError(f"{row!r}: a running job holds it; cancel that first")
    if not move(session, row.kind, row.id, new, **values):
        raise RequestError(f"{row!r}: expected a legal move of proc_status, got {row.status.name} -> {new.name}")


def _name(row: Ifg | RsarIfg) -> str:
    return f"{row.date1} {row.date2}" if isinstance(row, RsarIfg) else str(row.date)


def _known(session: Session, frame_id: str, date1: date, date2: date | None) -> str:
    """What there is instead, for the message."""
    if session.get(Frame, frame_id) is None:
        return "; there is no such frame"
    master = session.scalar(select(Master.date).where(Master.frame_id == frame_id))
    if date2 is None and master == date1:
        return "; it is the master: set another one first (satdaemon frame master)"
    wanted = [date1] if date2 is None else [date1, date2]
    dates = [*session.scalars(select(Ifg.date).where(Ifg.frame_id == frame_id)), *([master] if master else [])]
    unknown = [day for day in wanted if day not in dates]
    if not unknown:
        return "; both are dates of the frame, but this pair is not in its network"
    near = sorted(sorted(dates, key=lambda d: abs((d - unknown[0]).days))[:2])
    return f"; nearest to {unknown[0]}: {' and '.join(map(str, near)) or 'the frame has no dates yet'}"
