"""What was read, into the database: a batch at a time, in a few statements; the odd ones one by one."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from sqlalchemy import delete, select
from sqlalchemy.exc import DataError as ValueRefused
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from satdaemon.archive.product import scene_of_name
from satdaemon.db.files.comparison import free_path, put_stray, same_file
from satdaemon.db.files.rows import enter, enter_bad, enter_new
from satdaemon.db.files.walk import Walk
from satdaemon.db.models import File, StrayFile
from satdaemon.db.models.catalogue import BAD, DUPLICATE, MISSING, ON_DISK, REMOTE
from satdaemon.insar.safe import SafeProduct
from satdaemon.insar.safe_probe import Probe

TRACK_FOLDER = re.compile(r"^T0*([0-9]{1,3})$")
Outcome = Literal["added", "renewed", "bad", "duplicate", "growing", "same"]
Told = tuple[Outcome, list[str]]
_REFUSALS = (IntegrityError, ValueRefused)


def write(batch: Sequence[Probe], polarisation: str, found: Walk, session: Session) -> list[Told]:
    """Enter what was read; a file that the database refuses is recorded as bad, the others are not touched by it."""
    told = _enter_plain(session, _plain(session, batch), polarisation)
    for one in batch:
        if one.path in told:
            continue
        try:
            with session.begin_nested():
                told[one.path] = _enter_one(session, one, polarisation, found)
        except _REFUSALS as error:
            reason = f"{one.path}: the database refuses what it tells: {str(error.orig).strip()}"
            put_stray(session, str(one.path), state=BAD, reason=reason, size=one.size, mtime_ns=one.mtime_ns)
            told[one.path] = ("bad", [reason])
    return [told[one.path] for one in batch]


def _plain(session: Session, batch: Sequence[Probe]) -> list[tuple[Probe, SafeProduct]]:
    """New products at places where nothing was: those that touch no row that is there."""
    read = [(one, one.product) for one in batch if one.product is not None and not one.growing]
    ids = [product.id for _, product in read]
    paths = [str(one.path) for one, _ in read]
    known = set(session.scalars(select(File.id).where(File.id.in_(ids))))
    taken = set(session.scalars(select(File.abspath).where(File.abspath.in_(paths))))
    taken |= set(session.scalars(select(StrayFile.abspath).where(StrayFile.abspath.in_(paths))))
    return [
        (one, product)
        for one, product in read
        if product.id not in known and ids.count(product.id) == 1 and str(one.path) not in taken
    ]


def _enter_plain(session: Session, plain: Collection[tuple[Probe, SafeProduct]], polarisation: str) -> dict[Path, Told]:
    """All together; none, where the database refuses one of them: they are tried one by one then."""
    if not plain:
        return {}
    told: dict[Path, Told] = {}
    rows: list[tuple[SafeProduct, dict[str, Any]]] = []
    for one, product in plain:
        warnings, reason = _oddities(one.path, product, polarisation)
        told[one.path] = ("added", warnings)
        rows.append((product, {**_values(one), "state": ON_DISK, "reason": reason, "checksum": one.checksum}))
    try:
        with session.begin_nested():
            more = enter_new(session, rows)
    except _REFUSALS:
        return {}
    for one, product in plain:
        told[one.path][1].extend(more[product.id])
    return told


def _values(one: Probe) -> dict[str, Any]:
    return {"abspath": str(one.path), "size": one.size, "mtime_ns": None if one.passing else one.mtime_ns}


def _enter_one(session: Session, one: Probe, polarisation: str, found: Walk) -> Told:
    path = str(one.path)
    if one.growing:
        return "growing", [one.problem or "still being written"]
    values = _values(one)
    if one.product is None:
        _enter_bad(session, one, values, found)
        return "bad", [one.problem]
    product = one.product
    before = session.get(File, product.id)
    if before is not None and before.state == ON_DISK and _stands_elsewhere(before, path, found):
        one_file = same_file(str(before.abspath), path)
        why = f"another name of {before.abspath}" if one_file else f"the same product as {before.abspath}, which is kept"
        free_path(session, path, product.id)
        put_stray(session, path, state=DUPLICATE, reason=why, file_id=product.id, size=one.size, mtime_ns=one.mtime_ns)
        return ("same", []) if one_file else ("duplicate", [f"{path}: {why}", product.id])
    if before is not None and before.state == BAD and _stands_elsewhere(before, path, found):
        put_stray(session, str(before.abspath), state=BAD, reason=str(before.reason), file_id=product.id, size=before.size,
                  mtime_ns=before.mtime_ns)  # fmt: skip
    free_path(session, path, product.id)
    session.execute(delete(StrayFile).where(StrayFile.abspath == path))
    warnings, reason = _oddities(one.path, product, polarisation)
    new = before is None or before.abspath is None
    # Whatever stands there now, others put it there.
    warnings += enter(session, product, **values, fetched_utc=None, state=ON_DISK, reason=reason, checksum=one.checksum)
    return "added" if new else "renewed", warnings


def _enter_bad(session: Session, one: Probe, values: dict[str, Any], found: Walk) -> None:
    """To the row of the product that it says it is; beside it where that has a better copy, or where it says nothing."""
    path, scene = str(one.path), scene_of_name(one.path)
    before = session.get(File, scene.id) if scene is not None else None
    better = before is not None and (
        before.state == REMOTE
        or (before.state == MISSING and before.url is not None)
        or (before.state in (ON_DISK, BAD) and _stands_elsewhere(before, path, found))
    )
    if scene is None or better:
        free_path(session, path, "")
        stray = {name: value for name, value in values.items() if name != "abspath"}
        put_stray(session, path, state=BAD, reason=one.problem, file_id=scene and scene.id, **stray)
        return
    free_path(session, path, scene.id)
    session.execute(delete(StrayFile).where(StrayFile.abspath == path))
    enter_bad(session, scene, one.problem, fetched_utc=None, **values)


def _stands_elsewhere(file: File, path: str, found: Walk) -> bool:
    """True where the file stands at another path than this one, still."""
    if file.abspath is None or file.abspath == path:
        return False
    return file.abspath in found.zips or (not found.covers(file.abspath) and Path(file.abspath).exists())


def _oddities(path: Path, product: SafeProduct, polarisation: str) -> tuple[list[str], str | None]:
    """Warnings, and the reason that stays with the row: its bursts are known all the same; download refuses it later."""
    warnings: list[str] = []
    reason: str | None = None
    stems = {PurePosixPath(name).stem for name in product.missing_files if name.startswith("annotation/")}
    wanted = (n for n in product.missing_files if n.startswith("measurement/") and f"-slc-{polarisation}-" in n)
    # A product without a swath is whole; one with the annotation but not the measurement is not.
    if lacking := [name for name in wanted if PurePosixPath(name).stem not in stems]:
        reason = f"lacks {', '.join(lacking)}, whose annotation it has"
        warnings.append(f"{path}: {reason}")
    for folder in path.parts:
        match = TRACK_FOLDER.match(folder)
        if match is not None and int(match[1]) not in (product.track, product.stop_track):
            warnings.append(f"{path}: stands in {folder} but is of track {product.track}; entered as what it is")
    return warnings, reason
