"""What was made from inputs that have changed since."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, select, text, update
from sqlalchemy.orm import Session

from satdaemon.db.models import Product, stage_id
from satdaemon.db.rows import move
from satdaemon.db.store import Store
from satdaemon.status import ProcStatus, RowKind, Stage

# Finished series of frames that have an unwrapped pair younger than what the series was given.
_CANDIDATES = """
SELECT m.id, m.frame_id, t.id FROM master m
 JOIN products t ON t.frame_id = m.frame_id AND t.stage = 'timeseries' AND t.key = 'frame'
WHERE m.proc_status IN (2, 3) AND m.proc_stage >= 5 {only}
 AND EXISTS (SELECT 1 FROM products u WHERE u.frame_id = m.frame_id AND u.stage = 'unwrap' AND u.id > t.newest_input)
"""
_PRESENT = """
SELECT u.key, u.fingerprint FROM products u WHERE u.frame_id = :frame AND u.stage = 'unwrap'
"""


def mark_timeseries(db: Store, frames: list[str] | None = None) -> list[str]:
    """Make STALE the series of frames whose unwrapped pairs are not those that it was made from; returns the frames."""
    statement = text(_CANDIDATES.format(only="" if frames is None else "AND m.frame_id IN :frames"))
    values: dict[str, Any] = {}
    if frames is not None:
        statement, values = statement.bindparams(bindparam("frames", expanding=True)), {"frames": frames}
    with db.read_scope() as session:
        candidates = session.execute(statement, values).all()
    return [frame for row, frame, product in candidates if db.write(lambda s: _mark(s, row, frame, product))]  # noqa: B023


def _mark(session: Session, row_id: int, frame_id: str, product_id: int) -> bool:
    series = session.get(Product, product_id)
    if series is None:
        return False
    given = {role: print_ for role, print_ in series.inputs.get("inputs", {}).items() if role.startswith("unwrap/")}
    present = {f"unwrap/{key}": print_ for key, print_ in session.execute(text(_PRESENT), {"frame": frame_id})}
    new = sorted(role for role, print_ in present.items() if given.get(role) != print_)
    if not new:
        # Made again with the same outcome: nothing to redo, and nothing to look at next time.
        newest = select(Product.id).where(Product.frame_id == frame_id).order_by(Product.id.desc()).limit(1).scalar_subquery()
        session.execute(update(Product).where(Product.id == product_id).values(newest_input=newest))
        return False
    stage = stage_id(RowKind.MASTER, Stage.TIMESERIES)
    reason = f"{len(new)} new or changed unwrapped pairs since the series was made"
    return move(session, RowKind.MASTER, row_id, ProcStatus.STALE, stale_from=stage, reason=reason)
