"""Bursts into the table in bulk: COPY on PostgreSQL, many rows a statement on SQLite."""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import repeat
from typing import Any

import shapely
from sqlalchemy import text, update
from sqlalchemy.orm import Session

from satdaemon.db.burst_map.known import value_of
from satdaemon.db.burst_map.rows import MapBursts
from satdaemon.db.bursts import columns_of
from satdaemon.db.geometry import SRID
from satdaemon.db.models import Burst

COLUMNS = (
    "id", "number", "track", "orbit_direction", "anx", "swath", "esa_id", "geometry", "minx", "miny", "maxx", "maxy",
    "last_updated",
)  # fmt: skip


def insert(session: Session, bursts: MapBursts) -> None:
    """Enter bursts that are new; one that another program entered meanwhile stays as it is."""
    if not len(bursts):
        return
    on_postgresql = session.get_bind().dialect.name == "postgresql"
    shapes = shapely.to_wkb(shapely.set_srid(bursts.geometry, SRID), include_srid=True, hex=on_postgresql)
    # The text that SQLAlchemy writes to SQLite for a time; PostgreSQL reads it with the zone.
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}" + ("+00" if on_postgresql else "")
    rows = zip(*_columns(bursts, shapes.tolist()), repeat(now, len(bursts)), strict=True)
    if on_postgresql:
        _copy(session, rows)
    else:
        places = ", ".join("?" * len(COLUMNS))
        statement = f"INSERT INTO bursts ({', '.join(COLUMNS)}) VALUES ({places}) ON CONFLICT DO NOTHING"
        session.connection().exec_driver_sql(statement, list(rows))


def complete(session: Session, bursts: MapBursts, places: dict[int, int]) -> None:
    """Give known bursts the ESA id and the polygon that they lack."""
    for place, number in places.items():
        row = columns_of(value_of(bursts, place))
        if row["esa_id"] is not None:
            bare = (Burst.number == number, Burst.esa_id.is_(None))
            session.execute(update(Burst).where(*bare).values(esa_id=row["esa_id"]))
        shape = {name: row[name] for name in ("geometry", "minx", "miny", "maxx", "maxy")}
        session.execute(update(Burst).where(Burst.number == number, Burst.geometry.is_(None)).values(shape))


def _copy(session: Session, rows: Iterable[tuple[Any, ...]]) -> None:
    session.execute(text("CREATE TEMPORARY TABLE IF NOT EXISTS burst_map (LIKE bursts) ON COMMIT DELETE ROWS"))
    content = "".join(["\t".join([r"\N" if v is None else str(v) for v in row]) + "\n" for row in rows])
    names = ", ".join(COLUMNS)
    cursor: Any = session.connection().connection.cursor()
    cursor.copy_expert(f"COPY burst_map ({names}) FROM STDIN", io.StringIO(content))
    session.execute(text(f"INSERT INTO bursts ({names}) SELECT {names} FROM burst_map ON CONFLICT DO NOTHING"))
    session.execute(text("TRUNCATE burst_map"))


def _columns(bursts: MapBursts, shapes: list[Any]) -> tuple[list[Any], ...]:
    """The columns of COLUMNS but the last as Python values."""
    track, anx, swath = bursts.track.tolist(), bursts.anx.tolist(), bursts.swath.tolist()
    ids = [f"{t}_{a}_IW{s}" for t, a, s in zip(track, anx, swath, strict=True)]
    esa_ids = [e if e >= 0 else None for e in bursts.esa_id.tolist()]
    box = shapely.bounds(bursts.geometry).T.tolist()
    swaths = [f"IW{s}" for s in swath]
    return ids, bursts.number.tolist(), track, bursts.direction.tolist(), anx, swaths, esa_ids, shapes, *box
