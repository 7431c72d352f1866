"""Rows of `files` as scenes, with the archives that have them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from satdaemon.config import Settings
from satdaemon.db.models import File, FileSource
from satdaemon.domain import Scene, SceneSource
from satdaemon.errors import RequestError

ASKED = 500
"""Ids in one statement."""


def scene_of(file: File, sources: Sequence[FileSource] = (), published_utc: datetime | None = None) -> Scene:
    """A row of `files` as a value, with the archives that have it, the preferred first.

    RequestError where it lacks what only the product itself tells.
    """
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
        published_utc=published_utc,
        sources=tuple(SceneSource(each.archive, each.url, each.size, each.checksum) for each in sources),
    )


def sources_of(session: Session, settings: Settings, file_ids: Sequence[str]) -> dict[str, list[FileSource]]:
    """The configured archives that have each of some files, in order of preference."""
    order = settings.download.archives
    found: dict[str, list[FileSource]] = defaultdict(list)
    for start in range(0, len(file_ids), ASKED):
        some = FileSource.file_id.in_(file_ids[start : start + ASKED])
        for row in session.scalars(select(FileSource).where(some, FileSource.archive.in_(order))):
            found[row.file_id].append(row)
    return {file_id: sorted(rows, key=lambda row: order.index(row.archive)) for file_id, rows in found.items()}


def published_of(session: Session, files: Iterable[File]) -> dict[str, datetime]:
    """When files were made known by an archive, of those whose processing time is not known."""
    ids = [file.id for file in files if file.proc_utc is None]
    found: dict[str, datetime] = {}
    columns = (FileSource.file_id, func.max(FileSource.published_utc))
    for start in range(0, len(ids), ASKED):
        some = (FileSource.file_id.in_(ids[start : start + ASKED]), FileSource.published_utc.is_not(None))
        rows = session.execute(select(*columns).where(*some).group_by(FileSource.file_id))
        found |= {file_id: moment for file_id, moment in rows if moment is not None}
    return found
