"""Links between files, bursts and frames. Ids of bursts differ by 0..3 between dates: matched, never compared."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import shapely
from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Session, selectinload

from satdaemon.db.clock import now_utc
from satdaemon.db.models import Base, Burst, File, Frame, files2bursts, frames2bursts, frames2files
from satdaemon.db.outline import unrolled
from satdaemon.db.upsert import insert_ignore, insert_many
from satdaemon.domain import Burst as BurstValue
from satdaemon.insar.safe import SafeProduct, read_product
from satdaemon.planning.bursts import ANX_TOLERANCE_DS, ORBIT_DS, match_bursts

LOADED = 500
"""Objects whose links are read in one statement."""


def to_value(row: Burst) -> BurstValue:
    """A row of `bursts` as a value."""
    corners = () if row.geometry is None else tuple((float(x), float(y)) for x, y in row.geometry.exterior.coords[:-1])
    return BurstValue(row.id, row.track, row.orbit_direction, row.anx, row.swath, row.esa_id, corners)


def columns_of(burst: BurstValue) -> dict[str, Any]:
    """A burst as the columns of a row; its geometry's longitudes run on across the 180th meridian."""
    shape = unrolled(shapely.Polygon(burst.footprint)) if len(burst.footprint) >= 3 else None
    box = shape.bounds if shape is not None else (None, None, None, None)
    return {
        "id": burst.id, "track": burst.track, "orbit_direction": burst.orbit_direction, "anx": burst.anx,
        "swath": burst.swath, "esa_id": burst.esa_id, "geometry": shape,
        **dict(zip(("minx", "miny", "maxx", "maxy"), box, strict=True)),
    }  # fmt: skip


def match(session: Session, bursts: Collection[BurstValue]) -> dict[str, str]:
    """Burst id of the database -> id among `bursts`, for those that the database knows."""
    near = [
        and_(Burst.track == b.track, Burst.swath == b.swath, or_(*(Burst.anx.between(*span) for span in _spans(b.anx))))
        for b in bursts
    ]
    near += [and_(Burst.esa_id == b.esa_id, Burst.swath == b.swath) for b in bursts if b.esa_id is not None]
    found: dict[str, Burst] = {}
    for start in range(0, len(near), 60):
        found |= {row.id: row for row in session.scalars(select(Burst).where(or_(*near[start : start + 60])))}
    return match_bursts([to_value(row) for row in found.values()], bursts)


def link_product(session: Session, product: SafeProduct) -> list[str]:
    """Tie a file that is in the database to its bursts (new ones are entered) and so to frames; returns warnings."""
    values = list(product.domain_bursts())
    starts = {b.id: b.sensing_time_utc for b in product.bursts}
    matches = match(session, values)
    new = [b for b in values if b.id not in set(matches.values())]
    warnings = []
    for burst in new:
        if insert_ignore(session, Burst, columns_of(burst)):
            matches[burst.id] = burst.id
        else:
            warnings.append(f"{product.id}: its burst {burst.id} does not lie where the known burst of that id lies; not linked")
    _complete(session, {key: b for key, b in matches.items()}, {b.id: b for b in values})
    tie_file(session, product.id, {known: starts[found] for known, found in matches.items()})
    return warnings


def tie_file(session: Session, file_id: str, bursts: Mapping[str, datetime | None]) -> None:
    """Tie a file to bursts of the database, and to every frame that has one of them."""
    rows = [{"file_id": file_id, "burst_id": burst, "start_utc": start} for burst, start in sorted(bursts.items())]
    insert_many(session, files2bursts, rows)
    with_burst = select(frames2bursts.c.frame_id).where(frames2bursts.c.burst_id.in_(sorted(bursts))).distinct()
    tie_frames(session, file_id, session.scalars(with_burst).all())


def tie_frames(session: Session, file_id: str, frame_ids: Sequence[str]) -> None:
    """Tie a file to frames, and note that their files changed."""
    insert_many(session, frames2files, [{"frame_id": frame, "file_id": file_id} for frame in sorted(frame_ids)])
    if frame_ids:
        session.execute(update(Frame).where(Frame.id.in_(frame_ids)).values(files_changed_utc=now_utc()))


def tie_frame(session: Session, frame_id: str) -> int:
    """Tie a new frame to the files that show one of its bursts; returns how many."""
    mine = select(frames2bursts.c.burst_id).where(frames2bursts.c.frame_id == frame_id)
    files = session.scalars(select(files2bursts.c.file_id).where(files2bursts.c.burst_id.in_(mine)).distinct()).all()
    insert_many(session, frames2files, [{"frame_id": frame_id, "file_id": file} for file in sorted(files)])
    session.execute(update(Frame).where(Frame.id == frame_id).values(files_changed_utc=now_utc()))
    return len(files)


def fill(session: Session, objects: Iterable[Base]) -> None:
    """Links of objects that a caller inserted himself; they are loaded, for the objects outlive the session."""
    objects = list(objects)
    for one in objects:
        if isinstance(one, File) and not vars(one).get("bursts"):  # as given: looking would ask the database for each
            path = Path(one.abspath) if one.abspath else None
            if path is not None and path.exists():
                link_product(session, read_product(path))
            elif one.footprint is not None:
                shown = (Burst.track == one.track, Burst.geometry.intersects(one.footprint))
                tie_file(session, one.id, dict.fromkeys(session.scalars(select(Burst.id).where(*shown))))
        elif isinstance(one, File):
            tie_file(session, one.id, dict.fromkeys(b.id for b in one.bursts))
        elif isinstance(one, Frame):
            tie_frame(session, one.id)
    session.flush()
    for start in range(0, len(objects), LOADED):
        _load_links(session, objects[start : start + LOADED])


def _load_links(session: Session, objects: Sequence[Base]) -> None:
    """Read the links of many objects in a few statements."""
    for model in {type(one) for one in objects}:
        mine = [one for one in objects if type(one) is model]
        (key,) = model.__mapper__.primary_key
        found = select(model).where(key.in_([getattr(one, key.name) for one in mine])).execution_options(populate_existing=True)
        session.scalars(found.options(*(selectinload(getattr(model, r.key)) for r in model.__mapper__.relationships))).all()


def _complete(session: Session, matches: Mapping[str, str], values: Mapping[str, BurstValue]) -> None:
    """Bursts that were entered by id alone get their footprint from the first file that shows them."""
    bare = session.scalars(select(Burst).where(Burst.id.in_(sorted(matches)), Burst.geometry.is_(None)))
    for row in bare:
        value = values[matches[row.id]]
        row.geometry = columns_of(value)["geometry"]
        row.esa_id = row.esa_id or value.esa_id


def _spans(anx: int) -> list[tuple[int, int]]:
    """Ranges of `anx` within the tolerance, wrapping at one orbit."""
    low, high, orbit = anx - ANX_TOLERANCE_DS, anx + ANX_TOLERANCE_DS, round(ORBIT_DS)
    spans = [(low, high)]
    if low < 0:
        spans.append((low + orbit - 1, orbit + 1))
    if high >= orbit:
        spans.append((0, high - orbit + 1))
    return spans
