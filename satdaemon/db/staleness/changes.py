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
    for place, statement in enumerate(_statements()):
        if frames is not None:
            statement = statement.where(statement.selected_columns[0].in_(frames))
        for frame_id, *values in session.execute(statement):
            if place == 0 or frame_id in parts:
                parts.setdefault(frame_id, []).append([place, *map(str, values)])
    restituted = select(Product.frame_id).where(Product.restituted).distinct()
    if frames is not None:
        restituted = restituted.where(Product.frame_id.in_(frames))
    waiting = set(session.scalars(restituted))
    names = digest(sorted(shelf.names)) if waiting else ""
    again = digest(shelf.issued_again)
    now = {f: digest([conditions, names if f in waiting else "", again, values]) for f, values in parts.items()}
    looked = select(JudgedFrame.frame_id, JudgedFrame.digest)
    looked = looked if frames is None else looked.where(JudgedFrame.frame_id.in_(frames))
    before = {row.frame_id: row.digest for row in session.execute(looked)}
    return {frame_id: found for frame_id, found in sorted(now.items()) if before.get(frame_id) != found}


def keep(session: Session, frame_id: str, found: str) -> None:
    """Note what a frame was looked at with."""
    upsert(session, JudgedFrame, {"frame_id": frame_id, "digest": found, "judged_utc": now_utc()}, ["frame_id"])


def _statements() -> list[Any]:
    """First column: the frame. The first names the frames that count: not retired, with a master."""
    made = select(Product.frame_id, func.count(), func.sum(Product.id)).group_by(Product.frame_id)
    frame = select(Frame.id, Frame.last_updated, Master.date).join(Master, Master.frame_id == Frame.id)
    rows = [
        select(
            model.frame_id, func.count(), func.sum(cast(model.id, BigInteger) * (10 * model.proc_stage + model.proc_status))
        ).group_by(model.frame_id)
        for model in (Master, Ifg, RsarIfg)
    ]
    return [frame.where(Frame.retired_utc.is_(None)), made, *rows]
