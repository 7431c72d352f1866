"""What files there are, for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import case, func, select

from satdaemon.db.models import File, StrayFile
from satdaemon.db.models.catalogue import BAD, MISSING, ON_DISK, REMOTE
from satdaemon.db.store import Store

ACQUISITION = 62
"""So many characters of a product's name tell the acquisition: equal for products that ESA made anew."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """One file as `satdaemon files` lists it; of a stray file only the path, the state and the reason may be known."""

    id: str | None
    path: str | None
    state: str
    """on_disk, remote, missing, bad, duplicate; replaced where ESA made the acquisition anew and that is here too."""
    reason: str | None
    track: int | None = None
    orbit_direction: str | None = None
    date: date | None = None
    processed_utc: datetime | None = None
    size: int | None = None
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class TrackFiles:
    """The files of one track together."""

    track: int
    files: int
    on_disk: int
    remote: int
    missing: int
    bad: int
    bytes: int
    first: date
    last: date


def list_files(db: Store, *, track: int | None = None, bad: bool = False) -> list[FileRow]:
    """Files by date, then stray files by path (those of no track are left out where a track is asked for).

    Parameters
    ----------
    bad
        Only what cannot be used: bad and missing files, and second copies.
    """
    statement = select(File).order_by(File.track, File.start_utc, File.date, File.id)
    strays = select(StrayFile).order_by(StrayFile.abspath)
    if track is not None:
        statement = statement.where(File.track == track)
        strays = strays.where(StrayFile.file_id.in_(select(File.id).where(File.track == track)))
    if bad:
        statement = statement.where(File.state.in_((BAD, MISSING)))
    with db.read_scope() as session:
        files = session.scalars(statement).all()
        found = [_row(file) for file in files]
        others = [FileRow(s.file_id, s.abspath, s.state, s.reason, size=s.size) for s in session.scalars(strays)]
    return _replaced(found) + others


def tracks(db: Store) -> list[TrackFiles]:
    """Counts by track."""
    counts = [func.sum(case((File.state == state, 1), else_=0)) for state in (ON_DISK, REMOTE, MISSING, BAD)]
    size = func.sum(case((File.state == ON_DISK, File.size), else_=0))
    columns = (File.track, func.count(), *counts, size, func.min(File.date), func.max(File.date))
    with db.read_scope() as session:
        rows = session.execute(select(*columns).group_by(File.track).order_by(File.track)).all()
    return [TrackFiles(int(t), int(n), int(a), int(b), int(c), int(d), int(s or 0), x, y) for t, n, a, b, c, d, s, x, y in rows]


def problems(db: Store) -> int:
    """How many files cannot be used: bad ones, with a name that tells something or without."""
    with db.read_scope() as session:
        named = session.scalar(select(func.count()).select_from(File).where(File.state == BAD))
        nameless = session.scalar(select(func.count()).select_from(StrayFile).where(StrayFile.state == BAD))
    return int(named or 0) + int(nameless or 0)


def _row(file: File) -> FileRow:
    return FileRow(
        file.id, file.abspath, file.state, file.reason, file.track, file.orbit_direction, file.date, file.proc_utc, file.size,
        file.checksum,
    )  # fmt: skip


def _replaced(rows: list[FileRow]) -> list[FileRow]:
    """Mark those of which a newer product of the same acquisition can be used."""
    newest: dict[str, FileRow] = {}
    for row in rows:
        if row.state in (ON_DISK, REMOTE) and row.processed_utc is not None and row.id is not None:
            best = newest.get(row.id[:ACQUISITION])
            if best is None or (row.processed_utc, row.id) > (best.processed_utc, best.id):
                newest[row.id[:ACQUISITION]] = row
    marked = []
    for row in rows:
        better = newest.get(str(row.id)[:ACQUISITION])
        if better is not None and better is not row and row.state in (ON_DISK, REMOTE):
            row = FileRow(row.id, row.path, "replaced", f"by {better.id}", row.track, row.orbit_direction, row.date,
                          row.processed_utc, row.size, row.checksum)  # fmt: skip
        marked.append(row)
    return marked
