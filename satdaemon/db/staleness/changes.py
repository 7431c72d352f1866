"""Which frames there is anything new about since they were last looked at."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, cast, func, select, text
from sqlalchemy.orm import Session

from satdaemon.db import prepared
from satdaemon.db.arrays import among, array
from satdaemon.db.clock import now_utc
from satdaemon.db.models import Ifg, JudgedFrame, Master, Product, RsarIfg
from satdaemon.db.staleness.conditions import digest
from satdaemon.db.staleness.orbits import OrbitShelf
from satdaemon.db.upsert import upsert

_MOMENT = {True: "extract(epoch FROM f.last_updated)", False: "f.last_updated"}
# Answered by indexes, each for its condition; where there is a series, its pairs are summed up: those that serve, those out.
_FRAMES = """
SELECT f.id, {moment}, m.date, j.digest,
 EXISTS (SELECT 1 FROM products p WHERE p.frame_id = f.id AND p.judged IS NULL),
 EXISTS (SELECT 1 FROM products p WHERE p.frame_id = f.id AND p.restituted),
 EXISTS (SELECT 1 FROM stale_products s WHERE s.frame_id = f.id)
 OR EXISTS (SELECT 1 FROM master x WHERE x.frame_id = f.id AND x.proc_status IN (1, 6) AND x.proc_status = 6)
 OR EXISTS (SELECT 1 FROM ifg x WHERE x.frame_id = f.id AND x.proc_status IN (1, 6) AND x.proc_status = 6)
 OR EXISTS (SELECT 1 FROM rsar_ifg x WHERE x.frame_id = f.id AND x.proc_status IN (1, 6) AND x.proc_status = 6)
, CASE WHEN EXISTS (SELECT 1 FROM products p WHERE p.frame_id = f.id AND p.stage = 'timeseries') THEN (
  SELECT count(*) FILTER (WHERE x.proc_stage = 2 AND x.proc_status IN (2, 3, 6)) || ' '
   || coalesce(sum(x.id) FILTER (WHERE x.proc_stage = 2 AND x.proc_status IN (2, 3, 6)), 0) || ' '
   || count(*) FILTER (WHERE x.proc_status = 5) || ' ' || coalesce(sum(x.id) FILTER (WHERE x.proc_status = 5), 0)
  FROM rsar_ifg x WHERE x.frame_id = f.id) END
FROM frames f JOIN master m ON m.frame_id = f.id LEFT JOIN judged_frames j ON j.frame_id = f.id
WHERE f.retired_utc IS NULL AND EXISTS (SELECT 1 FROM products p WHERE p.frame_id = f.id)
"""


class News(NamedTuple):
    """There is something new about a frame."""

    digest: str
    """Of all that it was looked at with, once it has been."""
    is_products_only: bool
    """Nothing was stale and all is as it was, but for products that nobody has looked at."""


class _Seen(NamedTuple):
    frame_id: str
    last_updated: Any
    master: Any
    before: str | None
    has_new: bool
    awaits_orbit: bool
    is_stale: bool
    pairs: str | None


def unlike_before(session: Session, frames: Sequence[str] | None, conditions: str, shelf: OrbitShelf) -> dict[str, News]:
    """The frames that are not as they were at the last look: what they are like now.

    Where nothing is stale, nothing can become so but by the conditions, by a new product, or, where there is a series,
    by the pairs that serve. Where something is, every product and row counts.
    """
    seen = _seen(session, frames)
    if not seen:
        return {}
    whole = _everything(session, [s.frame_id for s in seen if s.is_stale])
    outside = [conditions, shelf.issued_again]
    found = {}
    for one in seen:
        inside = [str(one.last_updated), str(one.master), whole[one.frame_id] if one.is_stale else one.pairs]
        now = digest([*outside, shelf.digest if one.awaits_orbit else "", *inside])
        if now != one.before:
            found[one.frame_id] = News(now, False)
        elif one.has_new and not one.is_stale:
            found[one.frame_id] = News(now, True)
    return found


def keep(session: Session, frame_id: str, found: str) -> None:
    """Note what a frame was looked at with."""
    upsert(session, JudgedFrame, {"frame_id": frame_id, "digest": found, "judged_utc": now_utc()}, ["frame_id"])


def _seen(session: Session, frames: Sequence[str] | None) -> list[_Seen]:
    """Of the frames that count: with a product, not retired, with a master."""
    postgresql = session.get_bind().dialect.name == "postgresql"
    sql = _FRAMES.format(moment=_MOMENT[postgresql])
    if frames is None:
        rows = session.execute(text(sql + " ORDER BY f.id"))
    elif postgresql and len(frames) <= prepared.FEW:
        sql += f" AND {among(True, 'f.id', 'frames')} ORDER BY f.id"
        rows = prepared.execute(session, "news", sql, frames=("text[]", list(frames)))
    else:
        sql += f" AND {among(postgresql, 'f.id', 'frames')} ORDER BY f.id"
        rows = session.execute(text(sql), {"frames": array(postgresql, frames)})
    return [_Seen(*row) for row in rows]


def _everything(session: Session, frames: Collection[str]) -> dict[str, list[str]]:
    """Which products there are, and where every row stands."""
    found: dict[str, list[str]] = {frame_id: [] for frame_id in frames}
    statements = [select(Product.frame_id, func.count(), func.sum(Product.id)).group_by(Product.frame_id)]
    for model in (Master, Ifg, RsarIfg):
        stands = cast(model.id, BigInteger) * (10 * model.proc_stage + model.proc_status)
        statements.append(select(model.frame_id, func.count(), func.sum(stands)).group_by(model.frame_id))
    for statement in statements if frames else ():
        for frame_id, *values in session.execute(statement.where(statement.selected_columns[0].in_(frames))):
            found[frame_id] += map(str, values)
    return found
