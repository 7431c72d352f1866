"""Links between files, bursts and frames. Ids of bursts differ by 0..3 between dates: matched, never compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.orm import Session, selectinload

from satdaemon.db.clock import now_utc
from satdaemon.db.known_bursts import known_bursts
from satdaemon.db.models import Base, Burst, File, Frame, files2bursts, frames2bursts, frames2files
from satdaemon.db.upsert import insert_many
from satdaemon.insar.safe import SafeProduct, read_product

LOADED = 500
"""Objects whose links are read in one statement."""


def link_product(session: Session, product: SafeProduct) -> list[str]:
    """Tie a file that is in the database to its bursts (new ones are entered) and so to frames; returns warnings."""
    return link_products(session, [product])[product.id]


def link_products(session: Session, products: Sequence[SafeProduct]) -> dict[str, list[str]]:
    """The same for many, in a few statements: the warnings of each.

    A burst that the first of them brings is known to the next.
    """
    known = known_bursts(session, [b for product in products for b in product.domain_bursts()])
    ties: dict[str, dict[str, datetime | None]] = {}
    warnings: dict[str, list[str]] = {}
    for product in products:
        matches, warnings[product.id] = known.take(product)
        starts = {b.id: b.sensing_time_utc for b in product.bursts}
        ties[product.id] = {burst: starts[found] for burst, found in matches.items()}
    known.write(session)
    tie_files(session, ties)
    return warnings


def tie_file(session: Session, file_id: str, bursts: Mapping[str, datetime | None]) -> None:
    """Tie a file to bursts of the database, and to every frame that has one of them."""
    tie_files(session, {file_id: bursts})


def tie_files(session: Session, ties: Mapping[str, Mapping[str, datetime | None]]) -> None:
    """The same for many: {file: {burst: its start there}}."""
    rows = [
        {"file_id": file, "burst_id": burst, "start_utc": start}
        for file, bursts in sorted(ties.items())
        for burst, start in sorted(bursts.items())
    ]
    insert_many(session, files2bursts, rows)
    frames: dict[str, set[str]] = defaultdict(set)
    shown = sorted({burst for bursts in ties.values() for burst in bursts})
    link = frames2bursts.c
    for start in range(0, len(shown), LOADED):
        some = link.burst_id.in_(shown[start : start + LOADED])
        for burst, frame in session.execute(select(link.burst_id, link.frame_id).where(some)):
            frames[burst].add(frame)
    _tie(session, {(frame, file) for file, bursts in ties.items() for burst in bursts for frame in frames.get(burst, ())})


def tie_frames(session: Session, file_id: str, frame_ids: Sequence[str]) -> None:
    """Tie a file to frames, and note that their files changed."""
    _tie(session, {(frame, file_id) for frame in frame_ids})


def _tie(session: Session, pairs: Collection[tuple[str, str]]) -> None:
    """(frame, file) of each tie."""
    insert_many(session, frames2files, [{"frame_id": frame, "file_id": file} for frame, file in sorted(pairs)])
    changed = sorted({frame for frame, _ in pairs})
    for start in range(0, len(changed), LOADED):
        some = Frame.id.in_(changed[start : start + LOADED])
        session.execute(update(Frame).where(some).values(files_changed_utc=now_utc()))


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
