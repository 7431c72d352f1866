"""Products that a download brought: what they really are, in place of what an archive told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from satdaemon.db.clock import now_utc
from satdaemon.db.file_orbits import record_problem
from satdaemon.db.files import enter
from satdaemon.db.files.rows import note_frames
from satdaemon.db.models import File, FileOrbit, files2bursts, frames2bursts, frames2files
from satdaemon.db.models.catalogue import ON_DISK
from satdaemon.db.store import Store
from satdaemon.domain import Scene
from satdaemon.errors import DataError
from satdaemon.insar.safe import SafeProduct, read_product


@dataclass(slots=True)
class Arrived:
    """Products that nobody had opened."""

    products: list[SafeProduct] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


def take(db: Store, scenes: Sequence[Scene]) -> list[str]:
    """Products that were fetched into data_path become files on our disk; returns warnings."""
    arrived = read_arrived(db, scenes)

    def work(session: Session) -> list[str]:
        put_on_disk(session, scenes)
        return enter_arrived(session, arrived)

    return db.write(work)


def put_on_disk(session: Session, scenes: Sequence[Scene]) -> None:
    """The rows of fetched products say where they stand, and which archive's they are."""
    for scene in scenes:
        values: dict[str, Any] = {"size": scene.size, "checksum": scene.checksum, "state": ON_DISK, "reason": None}
        if urlsplit(scene.url).scheme in ("http", "https"):
            values |= {"url": scene.url, "fetched_utc": now_utc()}
        if scene.path is not None:
            values |= {"abspath": str(scene.path), "mtime_ns": scene.path.stat().st_mtime_ns if scene.path.exists() else None}
        session.execute(update(File).where(File.id == scene.id).values(**values))


def read_arrived(db: Store, scenes: Sequence[Scene], partial: Sequence[Scene] = ()) -> Arrived:
    """Open fetched products that the database knows from an archive alone. Not within a transaction.

    `partial`: those of which only bursts came.
    """
    found = Arrived()
    places: Mapping[str, Path] = {s.id: s.path for s in (*scenes, *partial) if s.path is not None and s.path.exists()}
    if not places:
        return found
    with db.read_scope() as session:
        known = set(session.scalars(select(FileOrbit.file_id).where(FileOrbit.file_id.in_(list(places)))))
        new = sorted(set(session.scalars(select(File.id).where(File.id.in_(list(places))))) - known)
    parts = {scene.id for scene in partial}
    for scene_id in new:
        try:
            product = read_product(places[scene_id])
            # Bursts of some swaths say nothing of the others.
            if product.id in parts and any(name.startswith("annotation/") for name in product.missing_files):
                continue
            found.products.append(product)
        except DataError as error:
            found.problems[scene_id] = str(error)
    return found


def enter_arrived(session: Session, found: Arrived) -> list[str]:
    """Put what the products say in the place of what their footprints told; returns warnings."""
    warnings: list[str] = []
    for product in found.products:
        file = session.get(File, product.id)
        if file is None:
            continue
        note_frames(session, [product.id])
        session.execute(delete(files2bursts).where(files2bursts.c.file_id == product.id))
        warnings += enter(session, product, state=file.state)
        shown = select(files2bursts.c.burst_id).where(files2bursts.c.file_id == product.id)
        showing = select(frames2bursts.c.frame_id).where(frames2bursts.c.burst_id.in_(shown))
        link = frames2files.c
        session.execute(delete(frames2files).where(link.file_id == product.id, link.frame_id.not_in(showing)))
    for scene_id, problem in found.problems.items():
        record_problem(session, scene_id, problem)
    return warnings
