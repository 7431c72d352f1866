"""A product that was read, or a file that cannot be used, as a row of `files`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import shapely
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from satdaemon.db.clock import now_utc
from satdaemon.db.file_orbits import record
from satdaemon.db.links import link_product, link_products, tie_frames
from satdaemon.db.models import File, Frame, frames2files
from satdaemon.db.models.catalogue import BAD, ON_DISK
from satdaemon.db.upsert import insert_many
from satdaemon.domain import Scene
from satdaemon.insar.safe import SafeProduct

SAME_TIME_OF_DAY_S = 60
"""Passes over a place share the time of the day within so much."""
DAY_S = 86400


def enter(session: Session, product: SafeProduct, **values: Any) -> list[str]:
    """Insert or renew the row of a product that was read, and its links; returns warnings.

    What is on our disk stays so: an archive that has the file too adds its address only.
    """
    row = session.get(File, product.id)
    if row is None:
        row = File(id=product.id)
        session.add(row)
    elif row.state == ON_DISK and values.get("state") != ON_DISK:
        values = {"url": values.get("url")}
    for name, value in {**_columns(product), **values}.items():
        setattr(row, name, value)
    session.flush()
    record(session, [product])
    return link_product(session, product)


def enter_new(session: Session, products: Sequence[tuple[SafeProduct, Mapping[str, Any]]]) -> dict[str, list[str]]:
    """Insert the rows of products that the database does not know, each with further columns, all in a few statements.

    Returns the warnings of each. All name the same columns, and no product twice.
    """
    insert_many(session, File, [{"id": product.id, **_columns(product), **values} for product, values in products])
    found = [product for product, _ in products]
    record(session, found)
    return link_products(session, found)


def _columns(product: SafeProduct) -> dict[str, Any]:
    return {
        "platform": product.platform, "absolute_orbit": product.absolute_orbit, "track": product.track,
        "orbit_direction": product.orbit_direction, "date": product.start_utc.date(),
        "start_utc": product.start_utc, "stop_utc": product.stop_utc,
        "proc_utc": product.proc_utc, "proc_date": product.proc_utc.date(),
        "footprint": shapely.Polygon(product.footprint) if len(product.footprint) >= 3 else None,
    }  # fmt: skip


def enter_bad(session: Session, scene: Scene, reason: str, frame_id: str | None = None, **values: Any) -> None:
    """Insert or renew the row of a file that cannot be used. Tied to a frame where one is given or is evident."""
    row = session.get(File, scene.id)
    if row is None:
        row = File(id=scene.id)
        session.add(row)
    elif row.state == ON_DISK and "abspath" not in values:
        return  # our own copy is good
    row.platform, row.absolute_orbit, row.track = scene.platform, scene.absolute_orbit, scene.track
    row.orbit_direction = scene.orbit_direction or row.orbit_direction
    row.date, row.start_utc, row.stop_utc = scene.date, scene.start_utc, scene.stop_utc
    row.state, row.reason = BAD, reason
    for name, value in values.items():
        setattr(row, name, value)
    session.flush()
    frames = [frame_id] if frame_id is not None else _frames_at(session, scene)
    tie_frames(session, scene.id, frames)


def note_frames(session: Session, file_ids: Collection[str]) -> None:
    """Note at their frames that files came, went or changed."""
    ids = sorted(file_ids)
    for start in range(0, len(ids), 500):
        tied = select(frames2files.c.frame_id).where(frames2files.c.file_id.in_(ids[start : start + 500]))
        session.execute(update(Frame).where(Frame.id.in_(tied)).values(files_changed_utc=now_utc()))


def _frames_at(session: Session, scene: Scene) -> list[str]:
    """Frames of the track that are seen at this time of the day: all passes over a place share it."""
    tied = frames2files.join(File, File.id == frames2files.c.file_id).join(Frame, Frame.id == frames2files.c.frame_id)
    usable = (Frame.track == scene.track, File.start_utc.is_not(None), File.state != BAD)
    found = set()
    for frame, start in session.execute(select(frames2files.c.frame_id, File.start_utc).select_from(tied).where(*usable)):
        apart_s = ((scene.start_utc - start).total_seconds() + DAY_S / 2) % DAY_S - DAY_S / 2
        if abs(apart_s) <= SAME_TIME_OF_DAY_S:
            found.add(frame)
    return sorted(found)
