"""Product zips on our disk become rows of `files`. A bad one is recorded with its reason and stops nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import shapely
from sqlalchemy import select
from sqlalchemy.orm import Session

from satdaemon.archive.product import scene_of_name
from satdaemon.db.daemon import changed
from satdaemon.db.links import link_product, tie_frames
from satdaemon.db.models import File, Frame
from satdaemon.db.models.catalogue import BAD, MISSING, ON_DISK
from satdaemon.db.store import Store
from satdaemon.domain import Scene
from satdaemon.errors import RequestError, SatDaemonError
from satdaemon.insar.safe import SafeProduct, read_product

CHUNK = 1 << 22


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What a walk over the zips found."""

    added: int
    renewed: int
    """Known, but the file has changed or moved."""
    unchanged: int
    missing: int
    """Known to be on disk below the directory, and not there any more."""
    bad: dict[str, str]
    """Path -> why it cannot be used."""
    warnings: tuple[str, ...] = ()


def ingest_files(
    db: Store,
    directory: Path | None = None,
    *,
    read: Callable[[Path], SafeProduct] = read_product,
    checksum: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> IngestReport:
    """Enter the zips below subdirectories that start with T (default: of data_path); unchanged ones are not opened.

    Parameters
    ----------
    checksum
        Read every new file through once to record its SHA-256; without, only its size.
    progress
        Called with (files done, files in all).
    """
    root = (directory or db.settings.parameters.data_path).resolve()
    if not root.is_dir():
        raise RequestError(f"{root}: expected a directory with subdirectories such as T132, found none")
    with db.read_scope() as session:
        columns = (File.abspath, File.id, File.size, File.mtime_ns, File.state)
        known = {row.abspath: row for row in session.execute(select(*columns).where(File.abspath.is_not(None)))}
    paths = sorted(_zips(root))
    counts = {"added": 0, "renewed": 0, "unchanged": 0}
    bad: dict[str, str] = {}
    warnings: list[str] = []
    for place, path in enumerate(paths):
        progress(place, len(paths))
        row, stat = known.get(str(path)), path.stat()
        if row is not None and row.state != MISSING and (row.size, row.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
            counts["unchanged"] += 1
            if row.state == BAD:
                bad[str(path)] = "known to be bad, and unchanged"
            continue
        outcome = _one(db, path, read, checksum, warnings)
        if outcome in counts:
            counts[outcome] += 1
        else:
            bad[str(path)] = outcome
    progress(len(paths), len(paths))
    missing = _mark_missing(db, root, {str(p) for p in paths})
    if counts["added"] or counts["renewed"] or missing or any("known to be" not in reason for reason in bad.values()):
        with db.session_scope() as session:
            what = f"{counts['added']} files added, {counts['renewed']} renewed, {missing} missing, {len(bad)} bad"
            changed(session, who="ingest-files", what=what)
    return IngestReport(**counts, missing=missing, bad=bad, warnings=tuple(warnings))


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
    row.platform, row.absolute_orbit, row.track = product.platform, product.absolute_orbit, product.track
    row.orbit_direction, row.date = product.orbit_direction, product.start_utc.date()
    row.start_utc, row.stop_utc = product.start_utc, product.stop_utc
    row.proc_utc, row.proc_date = product.proc_utc, product.proc_utc.date()
    row.footprint = shapely.Polygon(product.footprint) if len(product.footprint) >= 3 else None
    for name, value in values.items():
        setattr(row, name, value)
    session.flush()
    return link_product(session, product)


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


def _one(db: Store, path: Path, read: Callable[[Path], SafeProduct], checksum: bool, warnings: list[str]) -> str:
    """Enter one zip; `added`, `renewed`, or the reason why it is bad."""
    stat = path.stat()
    values: dict[str, Any] = {"abspath": str(path), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    try:
        product = read(path)
    except (SatDaemonError, OSError) as error:
        scene = scene_of_name(path)
        if scene is not None:
            with db.session_scope() as session:
                enter_bad(session, scene, str(error), **values)
        return str(error)
    # Its bursts are known all the same; the download stage refuses it when it is to be processed.
    if lacking := _lacking(product, db.settings.parameters.polarisation):
        values["reason"] = f"lacks {', '.join(lacking)}, whose annotation it has"
        warnings.append(f"{path}: {values['reason']}")
    if checksum:
        values["checksum"] = _sha256(path)
    with db.session_scope() as session:
        before = session.get(File, product.id)
        if before is not None and before.abspath not in (None, str(path)) and Path(str(before.abspath)).exists():
            warnings.append(f"{path}: the same product as {before.abspath}, which is kept")
            return "renewed"
        warnings += enter(session, product, **{"state": ON_DISK, "reason": None, **values})
    return "added" if before is None else "renewed"


def _lacking(product: SafeProduct, polarisation: str) -> list[str]:
    """Measurements to be processed that are not there though their annotation is; a product without a swath is whole."""
    stems = {PurePosixPath(name).stem for name in product.missing_files if name.startswith("annotation/")}
    wanted = (n for n in product.missing_files if n.startswith("measurement/") and f"-slc-{polarisation}-" in n)
    return [name for name in wanted if PurePosixPath(name).stem not in stems]


def _zips(root: Path) -> Iterator[Path]:
    for folder in sorted(root.glob("T*")):
        if folder.is_dir():
            yield from (p for p in folder.rglob("*.zip") if not p.name.startswith("."))


def _mark_missing(db: Store, root: Path, present: set[str]) -> int:
    with db.session_scope() as session:
        below = File.abspath.startswith(f"{root}/T", autoescape=True)
        gone = [f for f in session.scalars(select(File).where(below, File.state == ON_DISK)) if f.abspath not in present]
        for file in gone:
            file.state, file.reason = MISSING, "was on disk, is not now"
        return len(gone)


def _frames_at(session: Session, scene: Scene) -> list[str]:
    """Frames of the track that are seen at this time of the day: all passes over a place share it."""
    found = []
    for frame in session.scalars(select(Frame).where(Frame.track == scene.track)):
        starts = [f.start_utc for f in frame.files if f.start_utc is not None and f.state != BAD]
        seconds = [((scene.start_utc - s).total_seconds() + 43200) % 86400 - 43200 for s in starts]
        if any(abs(s) <= 60 for s in seconds):
            found.append(frame.id)
    return found


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"
