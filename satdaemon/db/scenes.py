"""Scenes of an archive become rows of `files`, before anything is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from satdaemon.archive import Archive, LocalArchive
from satdaemon.db.daemon import changed
from satdaemon.db.files import enter, enter_bad
from satdaemon.db.frames import frame_of
from satdaemon.db.models import File
from satdaemon.db.models.catalogue import BAD, ON_DISK, REMOTE
from satdaemon.db.store import Store
from satdaemon.domain import Scene
from satdaemon.errors import DataError, RequestError
from satdaemon.insar.safe import SafeProduct, read_product

Reader = Callable[[Path], SafeProduct]


@dataclass(frozen=True, slots=True)
class FilesReport:
    """What an archive had of a frame."""

    frame_id: str
    found: int
    added: int
    bad: dict[str, str]
    """Scene -> why it cannot be used."""
    warnings: tuple[str, ...] = ()


def scene_of(file: File) -> Scene:
    """A row of `files` as a value. RequestError where it lacks what only the product itself tells."""
    if file.start_utc is None or file.stop_utc is None or file.platform is None or file.absolute_orbit is None:
        raise RequestError(f"file {file.id}: its row lacks start, stop, platform or orbit; run ingest-files on its zip")
    return Scene(
        id=file.id,
        date=file.date,
        start_utc=file.start_utc,
        stop_utc=file.stop_utc,
        platform=file.platform,
        absolute_orbit=file.absolute_orbit,
        track=file.track,
        orbit_direction=file.orbit_direction or "",
        proc_utc=file.proc_utc,
        url=file.url or (Path(file.abspath).absolute().as_uri() if file.abspath else ""),
        path=Path(file.abspath) if file.abspath else None,
        size=file.size,
        checksum=file.checksum,
    )


def fill_files(db: Store, frame_id: str, *, archive: Archive | None = None, read: Reader = read_product) -> FilesReport:
    """Enter every scene that the archive has of a frame, with its bursts; those known and unchanged are not read again.

    A scene that cannot be read is entered as bad with the reason, so that its date shows up and says why.
    """
    archive = archive or _archive(db)
    with db.read_scope() as session:
        frame = frame_of(session, frame_id)
    scenes = list(archive.search(frame))
    added, bad, warnings = 0, {}, []
    for scene in scenes:
        with db.read_scope() as session:
            known = session.get(File, scene.id)
        if known is not None and known.state != BAD and (known.state == ON_DISK or known.size == scene.size):
            continue
        values: dict[str, Any] = {"url": scene.url, "size": scene.size, "checksum": scene.checksum}
        try:
            product = read(_local_path(scene))
        except DataError as error:
            bad[scene.id] = str(error)
            with db.session_scope() as session:
                enter_bad(session, scene, str(error), frame_id=frame_id, **values)
            continue
        with db.session_scope() as session:
            warnings += enter(session, product, state=REMOTE, reason=None, **values)
        added += known is None
    if added or bad:
        with db.session_scope() as session:
            changed(session, who="fill_files_table", what=f"{added} scenes, {len(bad)} bad", frame_id=frame_id)
    return FilesReport(frame_id, len(scenes), added, bad, tuple(warnings))


def _archive(db: Store) -> Archive:
    settings = db.settings.download
    if settings.archive_path is None:
        raise RequestError("[DOWNLOAD] archive_path: expected the directory of the local archive, got nothing: set it")
    return LocalArchive(settings.archive_path, settings.transfer)


def _local_path(scene: Scene) -> Path:
    parts = urlsplit(scene.url)
    if parts.scheme != "file":
        raise RequestError(f"{scene.id}: expected a scene of a local archive (file://...), got {scene.url!r}")
    return Path(unquote(parts.path))
