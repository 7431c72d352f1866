"""Pairs that stand in for dates or pairs that are out: they go when those return, unless their work has begun.

`rsar_ifg.stand_in` marks them. The network is always made as if they were not there, so that leaving out and taking back, in any
order, ends where it began. One whose work has begun stays, for what is made is never taken away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from satdaemon.db.guards import drop_orphaned_keys
from satdaemon.db.models import PendingJob, Product, RsarIfg
from satdaemon.domain import Pair
from satdaemon.status import ProcStatus, RowKind

_IDLE = (int(ProcStatus.WAITING), int(ProcStatus.EXCLUDED))


@dataclass(frozen=True, slots=True)
class StandIns:
    """The marked pairs of a frame."""

    idle: frozenset[Pair]
    """Nobody has begun them."""
    begun: frozenset[Pair]


def find(session: Session, frame_id: str, rows: Mapping[Pair, RsarIfg]) -> StandIns:
    """Tell the marked pairs that may go from those whose work has begun; those left out by hand, or failed, are neither."""
    marked = {p: r for p, r in rows.items() if r.stand_in and r.proc_status != ProcStatus.FAILED and not _by_hand(r)}
    if not marked:
        return StandIns(frozenset(), frozenset())
    made = (Product.frame_id == frame_id, Product.kind == RowKind.RSAR_IFG.value)
    keys = set(session.scalars(select(Product.key).where(*made)))
    idle = {p for p, r in marked.items() if r.proc_stage == 1 and r.proc_status in _IDLE and _key(p) not in keys}
    return StandIns(frozenset(idle), frozenset(marked.keys() - idle))


def forget(session: Session, rows: Mapping[Pair, RsarIfg], pairs: Iterable[Pair]) -> list[Pair]:
    """Delete pairs that nobody has begun, and their pending jobs; returns those that are gone.

    One that a job was granted for a moment ago stays.
    """
    ids = {rows[pair].id: pair for pair in pairs}
    if not ids:
        return []
    idle = (RsarIfg.id.in_(ids), RsarIfg.proc_stage == 1, RsarIfg.proc_status.in_(_IDLE))
    gone = session.scalars(delete(RsarIfg).where(*idle).returning(RsarIfg.id).execution_options(synchronize_session=False)).all()
    jobs = (PendingJob.kind == RowKind.RSAR_IFG.value, PendingJob.row_id.in_(gone))
    session.execute(delete(PendingJob).where(*jobs))
    drop_orphaned_keys(session)
    return sorted(ids[row] for row in gone)


def settle(session: Session, rows: Mapping[Pair, RsarIfg], pairs: Iterable[Pair]) -> list[Pair]:
    """Pairs that are of the network for good: they stand in for nothing any more."""
    found = sorted(pairs)
    if found:
        mine = RsarIfg.id.in_([rows[pair].id for pair in found])
        past_the_orm = {"synchronize_session": False}
        session.execute(update(RsarIfg).where(mine).values(stand_in=False).execution_options(**past_the_orm))
    return found


def _by_hand(row: RsarIfg) -> bool:
    return row.proc_status == ProcStatus.EXCLUDED and not row.automatic


def _key(pair: Pair) -> str:
    return f"{pair.date1:%Y%m%d}_{pair.date2:%Y%m%d}"
