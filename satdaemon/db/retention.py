"""Zips that were fetched over HTTP and may go again: `[DOWNLOAD] keep`. What others put into data_path is never touched.

A zip is read by the slc of its date in every frame that shares it. It stays while such a row has not passed slc, is to make it
again, or has a job that reads it; `until_ingested` asks that the date is in points, too. A removed zip is `remote` again: where
a plan needs it, the row begins with its download (`bring_back`).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from satdaemon.archive.transfer import PART_SUFFIX
from satdaemon.config import Settings
from satdaemon.db.arrays import among, array
from satdaemon.db.events import record
from satdaemon.db.models import File, PendingJob
from satdaemon.db.models.catalogue import ON_DISK, REMOTE
from satdaemon.db.partial import KINDS, begin_with_download, holds
from satdaemon.db.store import Store
from satdaemon.status import STAGES_OF, RowKind, Stage

LOW_SHARE = 0.1
"""A data disk with less of it free is low: `keep = space` then lets zips go, the one first that was needed least recently."""
_ASIDE = f".removed{PART_SUFFIX}"
_GONE = (
    "EXISTS (SELECT 1 FROM frames2files l JOIN files z ON z.id = l.file_id WHERE l.frame_id = x.frame_id AND l.date = x.date"
    f" AND coalesce(l.valid, 1) = 1 AND z.state = '{REMOTE}' AND z.fetched_utc IS NOT NULL AND NOT %s)"
)


@dataclass(frozen=True, slots=True)
class Zip:
    """A fetched zip that nothing needs."""

    file_id: str
    path: Path
    bytes: int
    last_needed: Any
    """When it was fetched, or a cut-out was made of it; comparable."""


def removable(db: Store, *, file_ids: Sequence[str] | None = None) -> list[Zip]:
    """Fetched zips that may go as things are, the one that was needed least recently first; none with `keep = always`."""
    with db.read_scope() as session:
        return _removable(db, session, file_ids)


def due(db: Store) -> list[Zip]:
    """Those that the policy lets go now: all with `until_ingested`; with `space` as many as a low disk needs."""
    if db.settings.download.keep != "space":
        return removable(db)
    wanted, chosen = lacking_bytes(db), []
    if wanted <= 0:
        return []
    for one in removable(db):
        if wanted <= 0:
            break
        chosen.append(one)
        wanted -= one.bytes
    return chosen


def make_room(db: Store, *, who: str) -> list[Zip]:
    """What `keep = space` lets go now that the disk is low; nothing with the other policies, which wait for the maintenance."""
    return apply(db, who=who) if db.settings.download.keep == "space" and lacking_bytes(db) > 0 else []


def lacking_bytes(db: Store) -> float:
    """How much the data disk lacks: of a tenth of it, and of room for the largest download that waits."""
    usage = shutil.disk_usage(_existing(db.settings))
    with db.read_scope() as session:
        waiting = session.scalars(select(PendingJob.space_gb).where(PendingJob.stage == Stage.DOWNLOAD.value))
        largest_gb = max(waiting, default=0.0)
    return max(LOW_SHARE * usage.total, 1e9 * (db.settings.parameters.least_free_gb + largest_gb)) - usage.free


def apply(db: Store, *, who: str) -> list[Zip]:
    """Remove what the policy lets go; those that are gone."""
    put_back(db)
    return [one for one in due(db) if _remove(db, one, who)]


def put_back(db: Store) -> int:
    """Zips that a crash left moved aside though their rows say that they are there; how many."""
    count = 0
    for aside in db.settings.parameters.data_path.glob(f"T*/.*{_ASIDE}"):
        path = aside.with_name(aside.name.removeprefix(".").removesuffix(_ASIDE))
        with db.read_scope() as session:
            stands = session.scalar(select(File.id).where(File.abspath == str(path), File.state == ON_DISK)) is not None
        if stands and not path.exists():
            aside.rename(path)
            count += 1
    return count


def bring_back(session: Session, frame_ids: Sequence[str]) -> int:
    """Rows whose slc is next, and whose zips were removed, begin with their download; how many. Part of every plan of theirs."""
    gone = _GONE % holds(session.get_bind().dialect.name == "postgresql", "x", "z.id")
    return begin_with_download(session, frame_ids, gone)


def any_removed(frames: str) -> str:
    """SQL: a zip of a frame was removed. `frames`: the condition on `l.frame_id`."""
    where = f"z.state = '{REMOTE}' AND z.fetched_utc IS NOT NULL AND {frames}"
    return f"EXISTS (SELECT 1 FROM frames2files l JOIN files z ON z.id = l.file_id WHERE {where})"


def _removable(db: Store, session: Session, file_ids: Sequence[str] | None = None) -> list[Zip]:
    policy = db.settings.download.keep
    if policy == "always":
        return []
    needed = " OR ".join(f"({_needs(kind, policy == 'until_ingested')})" for kind in KINDS)
    cut = (
        "SELECT max(p.created_utc) FROM frames2files l JOIN products p ON p.frame_id = l.frame_id"
        f" AND p.stage = '{Stage.SLC}' AND p.key = replace(CAST(l.date AS TEXT), '-', '') WHERE l.file_id = f.id"
    )
    sql = (
        f"SELECT f.id, f.abspath, f.size, f.fetched_utc, ({cut}) FROM files f"
        f" WHERE f.state = '{ON_DISK}' AND f.abspath IS NOT NULL AND f.fetched_utc IS NOT NULL"
        " AND EXISTS (SELECT 1 FROM file_sources s WHERE s.file_id = f.id AND substr(s.url, 1, 4) = 'http')"
        # Of a frame that was never planned nobody knows what it needs; nor of a zip that is no frame's.
        " AND EXISTS (SELECT 1 FROM frames2files l WHERE l.file_id = f.id)"
        " AND NOT EXISTS (SELECT 1 FROM frames2files l WHERE l.file_id = f.id AND l.date IS NULL)"
        f" AND NOT ({needed})"
    )
    values: dict[str, Any] = {}
    if file_ids is not None:
        sql += f" AND {among(db.on_postgresql, 'f.id', 'files')}"
        values["files"] = array(db.on_postgresql, file_ids)
    rows = session.execute(text(sql), values).all()
    found = [Zip(i, Path(place), int(size or 0), max(fetched, last or fetched)) for i, place, size, fetched, last in rows]
    return sorted((one for one in found if _is_ours(db.settings, one.path)), key=lambda one: (one.last_needed, one.file_id))


def _needs(kind: RowKind, until_ingested: bool) -> str:
    """SQL: a row of that kind, of any frame that shares the file, needs it."""
    return (
        f"EXISTS (SELECT 1 FROM frames2files l JOIN {kind.value} x ON x.frame_id = l.frame_id AND x.date = l.date"
        f" WHERE l.file_id = f.id AND coalesce(l.valid, 1) = 1 AND NOT ({lets_go(kind, until_ingested)}))"
    )


def lets_go(kind: RowKind, until_ingested: bool) -> str:
    """SQL: the row `x` of that kind does not need what it was cut from any more."""
    slc, last = STAGES_OF[kind].index(Stage.SLC) + 1, len(STAGES_OF[kind])
    passed = (
        f"((x.proc_stage > {slc} OR (x.proc_stage = {slc} AND x.proc_status IN (2, 3)))"
        f" AND NOT (x.proc_status = 6 AND coalesce(x.stale_from, x.proc_stage) <= {slc}))"
    )
    if until_ingested:
        master, pair = len(STAGES_OF[RowKind.MASTER]), len(STAGES_OF[RowKind.RSAR_IFG])
        passed += (
            f" AND x.proc_stage = {last} AND x.proc_status IN (2, 3)"
            f" AND EXISTS (SELECT 1 FROM master m WHERE m.frame_id = x.frame_id AND m.proc_stage = {master}"
            " AND m.proc_status IN (2, 3))"
            " AND NOT EXISTS (SELECT 1 FROM rsar_ifg r WHERE r.frame_id = x.frame_id AND x.date IN (r.date1, r.date2)"
            f" AND r.proc_status NOT IN (4, 5) AND NOT (r.proc_stage = {pair} AND r.proc_status IN (2, 3)))"
        )
    live = (
        f"EXISTS (SELECT 1 FROM job_keys k WHERE k.kind = '{kind.value}' AND k.row_id = x.id"
        f" AND k.stage IN ('{Stage.DOWNLOAD}', '{Stage.SLC}'))"
    )
    return f"NOT {live} AND (x.proc_status = 5 OR ({passed}))"


def _remove(db: Store, one: Zip, who: str) -> bool:
    aside = one.path.with_name(f".{one.path.name}{_ASIDE}")
    try:
        is_gone = db.write(partial(_take_away, db, one, aside, who))
    except BaseException:
        if aside.exists() and not one.path.exists():
            aside.rename(one.path)
        raise
    if is_gone:
        aside.unlink(missing_ok=True)
    return is_gone


def _take_away(db: Store, one: Zip, aside: Path, who: str, session: Session) -> bool:
    """Look again, with the rows locked so that no job of them begins; the file is out of the way when the record says so."""
    if aside.exists() and not one.path.exists():  # this transaction is tried again
        aside.rename(one.path)
    if db.on_postgresql:
        session.execute(text("SELECT id FROM files WHERE id = :id FOR UPDATE"), {"id": one.file_id})
        for kind in KINDS:
            rows = f"SELECT x.id FROM {kind.value} x JOIN frames2files l ON l.frame_id = x.frame_id AND l.date = x.date"
            session.execute(text(f"{rows} WHERE l.file_id = :id ORDER BY x.id FOR UPDATE OF x"), {"id": one.file_id})
    else:
        session.execute(text("UPDATE files SET state = state WHERE id = :id"), {"id": one.file_id})
    if not _removable(db, session, [one.file_id]):
        return False
    session.execute(update(File).where(File.id == one.file_id).values(state=REMOTE, abspath=None, mtime_ns=None, reason=None))
    record(session, "removed", who=who, message=f"{one.path}: fetched again where it is needed ([DOWNLOAD] keep)")
    session.flush()
    with suppress(FileNotFoundError):
        one.path.rename(aside)
    return True


def _is_ours(settings: Settings, path: Path) -> bool:
    """True for a real file in a folder of a track below data_path."""
    root = settings.parameters.data_path
    return path.is_file() and not path.is_symlink() and path.resolve().parent.parent == root.resolve()


def _existing(settings: Settings) -> Path:
    place = settings.parameters.data_path
    return next(path for path in (place, *place.parents) if path.exists())
