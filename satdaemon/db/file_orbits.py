"""The orbit around the scene of each file, as its annotation gives it: recorded when the file is opened anyway.

Whole orbit files of hundreds of dates are slow to read; some 15 state vectors a file give perpendicular baselines to
centimetres.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from satdaemon.db.models import File, FileOrbit, files2bursts, frames2files
from satdaemon.db.models.catalogue import ON_DISK, REMOTE
from satdaemon.db.store import Store
from satdaemon.db.upsert import upsert_many
from satdaemon.errors import DataError
from satdaemon.insar.orbit import MARGIN_S, STEP_S, OrbitArc, annotated_arc
from satdaemon.insar.safe import SafeProduct, read_product

BATCH = 32
"""Files in one transaction."""
ASKED = 500
"""Ids in one statement."""
_LEAST = 2
_RADIUS_M = (6.9e6, 7.2e6)
_EMPTY = {"epoch_utc": None, "vectors": None, "problem": None}


def record(session: Session, products: Iterable[SafeProduct]) -> None:
    """Keep the orbit of products whose files are in the database."""
    upsert_many(session, FileOrbit, [_row(product) for product in products], keys=["file_id"])


def record_problem(session: Session, file_id: str, problem: str) -> None:
    """Note that a file gives no orbit, so that it is not opened for it again."""
    upsert_many(session, FileOrbit, [{**_EMPTY, "file_id": file_id, "problem": problem}], keys=["file_id"])


def without() -> Select[str, str | None, str | None]:
    """Files that can be opened and whose orbit was not asked for yet: (id, abspath, url)."""
    known = select(FileOrbit.file_id).where(FileOrbit.file_id == File.id).exists()
    return select(File.id, File.abspath, File.url).where(File.state.in_((ON_DISK, REMOTE)), ~known).order_by(File.id)


def of_frame(frame_id: str) -> Select[str]:
    """Ids of the files that are tied to a frame."""
    return select(frames2files.c.file_id).where(frames2files.c.frame_id == frame_id)


def showing(burst_ids: Collection[str]) -> Select[str]:
    """Ids of the files that show one of the bursts."""
    return select(files2bursts.c.file_id).where(files2bursts.c.burst_id.in_(sorted(burst_ids)))


def complete(db: Store, which: Select[str]) -> int:
    """Open those of some files whose orbit was never asked for; returns how many were opened.

    A file that cannot be opened now is left for the next time; one that gives no orbit is noted and left alone.
    """
    with db.read_scope() as session:
        files = [(str(row.id), _place(row.abspath, row.url)) for row in session.execute(without().where(File.id.in_(which)))]
    opened = 0
    for start in range(0, len(files), BATCH):
        found: list[SafeProduct] = []
        problems: dict[str, str] = {}
        for file_id, path in files[start : start + BATCH]:
            if path is None or not path.exists():
                continue
            try:
                found.append(read_product(path))
            except DataError as error:
                problems[file_id] = str(error)
        if found or problems:
            db.write(partial(_keep, found=found, problems=problems))
        opened += len(found) + len(problems)
    return opened


def arcs_of(session: Session, file_ids: Collection[str]) -> dict[str, OrbitArc]:
    """The orbits of those files that have one."""
    found, ids = {}, sorted(file_ids)
    for start in range(0, len(ids), ASKED):
        some = (FileOrbit.file_id.in_(ids[start : start + ASKED]), FileOrbit.vectors.is_not(None))
        for row in session.scalars(select(FileOrbit).where(*some)):
            assert row.epoch_utc is not None and row.vectors is not None  # written together
            found[row.file_id] = OrbitArc.from_bytes("annotation", row.epoch_utc, row.vectors)
    return found


def _keep(session: Session, found: list[SafeProduct], problems: dict[str, str]) -> None:
    record(session, found)
    for file_id, problem in problems.items():
        record_problem(session, file_id, problem)


def _row(product: SafeProduct) -> dict[str, Any]:
    """Vectors up to a minute before and after the scene, or why there are none."""
    row: dict[str, Any] = {**_EMPTY, "file_id": product.id}
    if len(product.state_vectors) < _LEAST:
        return {**row, "problem": f"its annotation has {len(product.state_vectors)} state vectors"}
    try:
        arc = annotated_arc(product.state_vectors, product.start_utc)
    except ValueError as error:
        return {**row, "problem": f"its annotation's state vectors cannot be read: {error}"}
    reach_s = MARGIN_S + STEP_S
    near = (arc.time_s >= -reach_s) & (arc.time_s <= arc.seconds(product.stop_utc) + reach_s)
    time_s, position_m, velocity_m_s = arc.time_s[near], arc.position_m[near], arc.velocity_m_s[near]
    radius_m = np.linalg.norm(position_m, axis=1)
    if len(time_s) < _LEAST or not np.all(np.diff(time_s) > 0):
        return {**row, "problem": "its annotation's state vectors are not in increasing time around the scene"}
    if not np.all((radius_m > _RADIUS_M[0]) & (radius_m < _RADIUS_M[1])):
        far = f"{radius_m.min():.0f} to {radius_m.max():.0f} m"
        return {**row, "problem": f"its annotation's state vectors are {far} from the Earth's centre: no orbit of Sentinel-1"}
    content = OrbitArc(arc.type, (), arc.epoch_utc, time_s, position_m, velocity_m_s).to_bytes()
    return {**row, "epoch_utc": arc.epoch_utc, "vectors": content}


def _place(abspath: str | None, url: str | None) -> Path | None:
    if abspath:
        return Path(abspath)
    parts = urlsplit(url or "")
    return Path(unquote(parts.path)) if parts.scheme == "file" else None
