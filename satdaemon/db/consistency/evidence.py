"""The one place where a row moves by the evidence of what stands on disk, and not by a job.

Every such move is a chain of legal moves (satdaemon.status) taken in one step: WAITING -> DONE stands for
WAITING -> RUNNING -> DONE. It is only for rows without a live job, and leaves an event.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, insert, update
from sqlalchemy.orm import Session

from satdaemon.db.bulk import Move, set_statuses
from satdaemon.db.consistency.report import RowChange
from satdaemon.db.models import MODEL_OF, JobEvent, stage_of
from satdaemon.errors import RequestError
from satdaemon.status import LEGAL_MOVES, ProcStatus, RowKind, is_legal_move

FORWARD, BACK = "found_done", "taken_back"
"""Events: a product showed that the stage was done; a product that the row relies on is not there."""
MANY = 5000
_THROUGH = (ProcStatus.WAITING, ProcStatus.RUNNING, ProcStatus.DONE)


def legal_route(old: ProcStatus, new: ProcStatus) -> tuple[ProcStatus, ...]:
    """The shortest chain of legal moves from `old` to `new`, both included; never through EXCLUDED or FAILED.

    Raises ValueError where there is none.
    """
    routes: deque[tuple[ProcStatus, ...]] = deque([(old,)])
    while routes:
        route = routes.popleft()
        if route[-1] is new:
            return route
        further = [s for s in sorted(LEGAL_MOVES[route[-1]]) if s is new or s in _THROUGH]
        routes += [(*route, s) for s in further if s not in route]
    raise ValueError(f"no legal way from {old.name} to {new.name}")


def move_by_evidence(session: Session, changes: Sequence[RowChange], who: str) -> None:
    """Move rows as a check decided.

    The caller holds the rows' locks, and has made sure that they stand where the check saw them and that no job works on
    them. Raises ValueError for a move that evidence cannot decide, RequestError where a row has moved all the same.
    """
    events = []
    for change in changes:
        steps = " -> ".join(s.name for s in _route(change))
        message = f"{stage_of(change.kind, change.before.stage)} {steps}: {change.why}"
        events.append(event_of(FORWARD if change.is_forward else BACK, change, message, who))
    for kind in RowKind:
        mine = [c for c in changes if c.kind is kind]
        _move(session, kind, [c for c in mine if _is_single(c)])
        _move_through(session, kind, [c for c in mine if not _is_single(c)])
    for start in range(0, len(events), MANY):
        session.execute(insert(JobEvent), events[start : start + MANY])


def _is_single(change: RowChange) -> bool:
    return is_legal_move(change.before.status, change.after.status) and not change.values


def _move(session: Session, kind: RowKind, changes: Sequence[RowChange]) -> None:
    """Moves that are legal in themselves."""
    wishes = [Move(c.row_id, c.after.status, c.after.stage, _reason(c), c.after.stale_from) for c in changes]
    refused = set_statuses(session, kind, wishes, running=True).refused
    if refused:
        raise RequestError(f"{kind} row {refused[0].row_id}: {refused[0].why}; check again")


def _move_through(session: Session, kind: RowKind, changes: Sequence[RowChange]) -> None:
    """Moves that stand for several legal ones, of which nobody sees those between."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for change in changes:
        values = {
            "proc_stage": change.after.stage,
            "proc_status": int(change.after.status),
            "stale_from": change.after.stale_from,
            "reason": _reason(change),
            "waiting_for": None,
            "automatic": False,
            **change.values,
        }
        same = alike.setdefault(tuple(values), [])
        same.append({"row": change.row_id, "was": int(change.before.status), **values})
    model: Any = MODEL_OF[kind]
    where = (model.id == bindparam("row"), model.proc_status == bindparam("was"))
    for rows in alike.values():
        session.connection().execute(update(model.__table__).where(*where), rows)


def _reason(change: RowChange) -> str | None:
    return None if change.after.status is ProcStatus.DONE else f"check-consistency: {change.why}"


def _route(change: RowChange) -> tuple[ProcStatus, ...]:
    old, new = change.before.status, change.after.status
    if old is ProcStatus.EXCLUDED or new in (ProcStatus.RUNNING, ProcStatus.FAILED, ProcStatus.EXCLUDED):
        raise ValueError(f"{change.name}: {old.name} -> {new.name} is not for evidence to decide")
    return legal_route(old, new)


def event_of(event: str, change: RowChange, message: str, who: str) -> dict[str, Any]:
    """One line of job_events on a row."""
    return {
        "event": event,
        "frame_id": change.frame_id,
        "kind": change.kind.value,
        "stage": stage_of(change.kind, change.after.stage).value,
        "date1": change.date1,
        "date2": change.date2,
        "message": message,
        "who": who,
    }
