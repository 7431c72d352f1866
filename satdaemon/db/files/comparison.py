"""What a walk found against what the database knows: which zips have to be opened, and which need not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from satdaemon.db.file_orbits import without
from satdaemon.db.files.rows import note_frames
from satdaemon.db.files.walk import Walk, Zip
from satdaemon.db.models import File, StrayFile
from satdaemon.db.models.catalogue import BAD, DUPLICATE, MISSING, ON_DISK
from satdaemon.errors import RequestError

GONE = "was on disk, is not now"


@dataclass(slots=True)
class Plan:
    """What to do about each zip."""

    open: list[Path] = field(default_factory=list)
    unchanged: int = 0
    bad: dict[str, str] = field(default_factory=dict)
    """Known to be bad, and unchanged."""
    duplicates: dict[str, str] = field(default_factory=dict)
    """Path -> the product that it is a second copy of."""
    moved: dict[str, str] = field(default_factory=dict)
    """Product -> its new path; the same name, size and time of change."""
    returned: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    lost_bad: list[str] = field(default_factory=list)
    """Bad files that are gone."""
    stray_gone: list[str] = field(default_factory=list)
    orbitless: dict[Path, str] = field(default_factory=dict)
    """Products that are known and unchanged, but were entered before orbits were recorded: opened once more for theirs."""


class Known:
    """The files of the database that stand, or stood, on a disk."""

    def __init__(self, session: Session) -> None:
        columns = (File.id, File.abspath, File.size, File.mtime_ns, File.state, File.reason)
        rows = session.execute(select(*columns).where(File.abspath.is_not(None))).all()
        self.files = {str(row.abspath): row for row in rows}
        self.by_id = {str(row.id): row for row in rows}
        strays = session.execute(select(*StrayFile.__table__.columns)).all()
        self.orbitless = {str(row.id) for row in session.execute(without())}
        self.strays = {str(row.abspath): row for row in strays}


def make_plan(known: Known, found: Walk, *, again: bool, all_gone: bool) -> Plan:
    """Compare. RequestError where every file that was on disk is gone, as when a disk is not mounted."""
    plan = Plan()
    for path, row in known.files.items():
        if path not in found.zips and found.covers(path) and path not in found.problems:
            if row.state == ON_DISK:
                plan.missing.append(row.id)
            elif row.state == BAD:
                plan.lost_bad.append(row.id)
    here = sum(row.state == ON_DISK and found.covers(path) for path, row in known.files.items())
    if here and len(plan.missing) == here and not found.zips and not all_gone:
        raise RequestError(
            f"{found.root}: expected {here} known zips below subdirectories that start with T, found none at all: is the disk "
            "mounted? If they are really gone: --all-gone"
        )
    plan.stray_gone = [p for p in known.strays if p not in found.zips and found.covers(p) and p not in found.problems]
    free = {i: row for i, row in known.by_id.items() if row.state in (ON_DISK, MISSING) and _left(str(row.abspath), found)}
    for path, zipped in found.zips.items():
        _judge(plan, known, found, zipped, path, free, again)
    moved = set(plan.moved)
    plan.missing = [i for i in plan.missing if i not in moved]
    return plan


def apply_plan(session: Session, plan: Plan, walk: Walk) -> None:
    """Write down all that needs no zip to be opened."""
    for product, path in plan.moved.items():
        free_path(session, path, product)
        session.execute(update(File).where(File.id == product).values(abspath=path, state=ON_DISK, reason=None))
        session.execute(delete(StrayFile).where(StrayFile.abspath == path))
    _set(session, plan.returned, state=ON_DISK, reason=None)
    _set(session, plan.missing, state=MISSING, reason=GONE)
    _set(session, plan.lost_bad, state=MISSING, reason="was bad, and is gone", mtime_ns=None)
    for start in range(0, len(plan.stray_gone), 500):
        session.execute(delete(StrayFile).where(StrayFile.abspath.in_(plan.stray_gone[start : start + 500])))
    for place, reason in walk.problems.items():
        put_stray(session, place, state=BAD, reason=reason)
    note_frames(session, [*plan.moved, *plan.returned, *plan.missing, *plan.lost_bad])


def put_stray(session: Session, path: str, **values: Any) -> None:
    """Insert or renew a stray file; an equal row is left as it is."""
    row = session.get(StrayFile, path)
    if row is None:
        session.add(StrayFile(abspath=path, **values))
    else:
        for name, value in values.items():
            if getattr(row, name) != value:
                setattr(row, name, value)
    session.flush()


def free_path(session: Session, path: str, owner: str) -> None:
    """Another product that stood at this path stands there no more."""
    held = (File.abspath == path, File.id != owner)
    gone = session.scalars(select(File.id).where(*held)).all()
    session.execute(update(File).where(*held).values(abspath=None, mtime_ns=None, state=MISSING, reason=GONE))
    note_frames(session, gone)


def _judge(plan: Plan, known: Known, found: Walk, zipped: Zip, path: str, free: dict[str, Any], again: bool) -> None:
    row, stray = known.files.get(path), known.strays.get(path)
    if row is not None and _same(row, zipped) and not (again and row.state == BAD):
        plan.unchanged += 1
        if row.state == BAD:
            plan.bad[path] = str(row.reason)
        elif row.state == MISSING:
            plan.returned.append(row.id)
            plan.unchanged -= 1
        elif row.id in known.orbitless:
            plan.orbitless[zipped.path] = row.id
        return
    if row is None and stray is not None and _same(stray, zipped):
        original = known.by_id.get(str(stray.file_id))
        if stray.state == BAD and not again:
            plan.unchanged += 1
            plan.bad[path] = stray.reason
            return
        kept = original is not None and original.state == ON_DISK and _stands(str(original.abspath), found)
        if stray.state == DUPLICATE and kept:
            plan.unchanged += 1
            if original is not None and not same_file(str(original.abspath), path):
                plan.duplicates[path] = str(stray.file_id)
            return
    product = zipped.path.name.removesuffix(".zip")
    original = known.by_id.get(product)
    if row is None and original is not None and original.state == ON_DISK and same_file(str(original.abspath), path):
        plan.unchanged += 1  # another name of one file: a hard link, or a link to it
        return
    former = free.get(product)
    if row is None and former is not None and _same(former, zipped):
        plan.moved[product] = path
        del free[product]
        return
    plan.open.append(zipped.path)


def same_file(one: str, other: str) -> bool:
    """True where two paths are names of one file: hard links, or links to it."""
    try:
        return Path(one).samefile(other)
    except OSError:
        return False


def _same(row: Any, zipped: Zip) -> bool:
    return (row.size, row.mtime_ns) == (zipped.size, zipped.mtime_ns)


def _stands(path: str, found: Walk) -> bool:
    return path in found.zips or (not found.covers(path) and Path(path).exists())


def _left(path: str, found: Walk) -> bool:
    """True where a file does not stand at its path any more (or only as another name of one that was found)."""
    return path not in found.zips and (found.covers(path) or not Path(path).exists())


def _set(session: Session, ids: list[str], **values: Any) -> None:
    for start in range(0, len(ids), 500):
        session.execute(update(File).where(File.id.in_(ids[start : start + 500])).values(**values))
