"""A database with something in every table, odd values among them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import shapely
import sqlalchemy as sa
from frames_made import FRAME, make_frame, plan, step
from points_made import write_points

from satdaemon.db import Database, jobs, messages
from satdaemon.db.models import Base
from satdaemon.db.points import load_version
from satdaemon.db.transfer.kinds import Kind, kind_of

ODD = "a\ttab, a\nline, a \\ and \\N, \"quotes' and \u00fc\u4e16\U0001f6f0, \\.\n\\.\n end"
WHEN = datetime(2023, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
POINTS, DATES = 500, 7


def fill_everything(db: Database, tmp_path: Path) -> None:
    """A frame on its way, with products, jobs that wait and run, points; and at least one row in every table."""
    make_frame(db, 4)
    for _ in range(2):
        step(db, product=True)
    plan(db)
    assert jobs.grant_pass(db)
    make_frame(db, 2, frame_id="132A_WAITS")
    plan(db)
    write_points(tmp_path / "ingested", POINTS, DATES)
    load_version(db, FRAME, tmp_path / "ingested", 1, 1)
    frames = Base.metadata.tables["frames"]
    values = {"notes": ODD, "stage_settings": {"slc": {"words": ODD, "share": 0.1, "none": None}}, "min_coverage": 0.1 + 0.2}
    messages.found_by_maintenance(db, [ODD])
    with db.session_scope() as session:
        session.execute(frames.update().values(**values, priority=-5, retired_utc=WHEN))
        _something_everywhere(session.connection(), points=db.points_engine is db.engine)


def _something_everywhere(connection: sa.Connection, points: bool) -> None:
    """Where a table is still empty: one row made from its columns."""
    for table in Base.metadata.sorted_tables:
        if table.name.startswith("points") and not points:
            continue
        if connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 0:
            connection.execute(table.insert().values(**{c.name: _value(connection, c) for c in table.columns}))


def _value(connection: sa.Connection, column: sa.Column[Any]) -> Any:
    for key in column.foreign_keys:
        known = connection.execute(sa.select(key.column).limit(1)).scalar_one_or_none()
        if known is not None:
            return known
    fixed = {"role": "viewer", "orbit_direction": "A", "state": "bad", "kind": "ifg", "stage": "slc", "progress": 0.5}
    simple = {
        Kind.INTEGER: 1, Kind.REAL: 0.1, Kind.DOUBLE: 0.1, Kind.BOOLEAN: True, Kind.DATE: date(2023, 1, 1), Kind.TIME: WHEN,
        Kind.TEXT: "x", Kind.JSON: {"a": [1, None, ODD]}, Kind.GEOMETRY: shapely.box(0, 0, 1, 1), Kind.BYTES: b"\x00\xff",
    }  # fmt: skip
    return fixed.get(column.name, simple[kind_of(column.type)])
