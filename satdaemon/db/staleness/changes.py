"""Which frames there is anything new about since they were last looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, cast, func, select
from sqlalchemy.orm import Session

from satdaemon.db.clock import now_utc
from satdaemon.db.models import Frame, Ifg, JudgedFrame, Master, Product, RsarIfg
from satdaemon.db.staleness.conditions import digest
from satdaemon.db.staleness.orbits import OrbitShelf
from satdaemon.db.upsert import upsert


def unlike_before(session: Session, frames: Sequence[str] | None, conditions: str, shelf: OrbitShelf) -> dict[str, str]:
    """Frame -> digest of its products, rows and conditions, where that is not what it was at the last look.

    One grouped query a table, which the indexes answer; products are not read.
    """
    parts: dict[str, list[object]] = {}
    made, frame, *rows = (_only(statement, frames) for statement in _statements())
    products = {frame_id: list(map(str, values)) for frame_id, *values in session.execute(made)}
    if not products:
        return {}
    for frame_id, *values in session.execute(frame):
        if frame_id in products:
            parts[frame_id] = [products[frame_id], *map(str, values)]
    for statement in rows:
        for frame_id, *values in session.execute(statement):
            if frame_id in parts:
                parts[frame_id].append(list(map(str, values)))
    waiting = set(session.scalars(_only(select(Product.frame_id).where(Product.restituted).distinct(), frames)))
    names = digest(sorted(shelf.names)) if waiting else ""
    again = digest(shelf.issued_again)
    now = {f: digest([conditions, names if f in waiting else "", again, values]) for f, values in parts.items()}
    looked = _only(select(JudgedFrame.frame_id, JudgedFrame.digest), frames)
    before = {row.frame_id: row.digest for row in session.execute(looked)}
    return {frame_id: found for frame_id, found in sorted(now.items()) if before.get(frame_id) != found}


def keep(session: Session, frame_id: str, found: str) -> None:
    """Note what a frame was looked at with."""
    upsert(session, JudgedFrame, {"frame_id": frame_id, "digest": found, "judged_utc": now_utc()}, ["frame_id"])


def _only(statement: Any, frames: Sequence[str] | None) -> Any:
    return statement if frames is None else statement.where(statement.selected_columns[0].in_(frames))


def _statements() -> list[Any]:
    """First column: the frame. The first two name the frames that count: with a product, not retired, with a master."""
    made = select(Product.frame_id, func.count(), func.sum(Product.id)).group_by(Product.frame_id)
    frame = select(Frame.id, Frame.last_updated, Master.date).join(Master, Master.frame_id == Frame.id)
    rows = [
        select(
            model.frame_id, func.count(), func.sum(cast(model.id, BigInteger) * (10 * model.proc_stage + model.proc_status))
        ).group_by(model.frame_id)
        for model in (Master, Ifg, RsarIfg)
    ]
    return [made, frame.where(Frame.retired_utc.is_(None)), *rows]
