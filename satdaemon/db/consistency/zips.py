"""Rows of `files` against the zips on disk, and downloads that came to no end."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import select

from satdaemon.archive.transfer import PART_SUFFIX
from satdaemon.archive.verify import algorithm_of, checksum_of
from satdaemon.db.consistency.report import FileChange, Finding, Kind, Report
from satdaemon.db.files.comparison import GONE
from satdaemon.db.models import File, frames2files
from satdaemon.db.models.catalogue import BAD, MISSING, ON_DISK
from satdaemon.db.store import Store


def check_zips(db: Store, frames: Collection[str] | None, pool: ThreadPoolExecutor, *, deep: bool) -> Report:
    """Look at the zips of the frames, or at all; `deep` reads them through and compares their checksums."""
    wanted = select(File).where(File.abspath.is_not(None), File.state.in_((ON_DISK, MISSING))).order_by(File.id)
    if frames is not None:
        link = frames2files.c
        wanted = wanted.where(File.id.in_(select(link.file_id).where(link.frame_id.in_(list(frames)))))
    with db.read_scope() as session:
        files = list(session.scalars(wanted))
    report = Report(zips=len(files))
    for file, outcome in zip(files, pool.map(lambda f: _look(f, deep), files), strict=True):
        if outcome is not None:
            _add(report, file, *outcome)
    if frames is None:
        with db.read_scope() as session:
            known = {str(path) for path in session.scalars(select(File.abspath).where(File.abspath.is_not(None)))}
        _strangers(report, db.settings.parameters.data_path, known)
    return report


def _look(file: File, deep: bool) -> tuple[str, str | None, str] | None:
    """What is wrong, the state that the fix gives the row (None: none), and what to do; None where all is well."""
    path = Path(str(file.abspath))
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        if file.state != MISSING and not path.parent.is_dir():
            return "its directory is not there", None, "mount its disk; gone for good: satdaemon ingest-files --all-gone"
        return None if file.state == MISSING else ("the zip is not there", MISSING, "note that it is missing")
    except OSError as error:
        return f"cannot be read: {error}", None, "mend the disk and check again"
    if file.size is not None and size != file.size:
        return f"expected {file.size} bytes as recorded, got {size}", None, "satdaemon ingest-files reads it anew"
    if deep and file.checksum:
        try:
            got = checksum_of(path, algorithm_of(file.checksum))
        except OSError as error:
            return f"cannot be read: {error}", None, "mend the disk and check again"
        if got.lower() != file.checksum.lower():
            return "its contents are not those recorded (checksum)", BAD, "note that it is bad"
    return ("it is there again", ON_DISK, "note that it is there") if file.state == MISSING else None


def _add(report: Report, file: File, what: str, state: str | None, remedy: str) -> None:
    if state is not None:
        reason = {MISSING: GONE, BAD: what}.get(state)
        report.files.append(FileChange(file.id, file.state, state, reason))
    path = Path(str(file.abspath))
    report.findings.append(Finding(Kind.ZIP, what, path=path, remedy=remedy, fixable=state is not None))


def _strangers(report: Report, data_path: Path, known: Collection[str]) -> None:
    """Zips that nobody registered, and parts of downloads."""
    new = []
    for path in _files(data_path):
        if path.name.endswith(PART_SUFFIX):
            what, remedy = "left by a download that came to no end", "maintenance removes it after a day"
            report.findings.append(Finding(Kind.HALF_WRITTEN, what, path=path, remedy=remedy, note=True))
        elif path.suffix == ".zip" and not path.name.startswith(".") and str(path) not in known:
            new.append(path)
    if new:
        what = f"{len(new)} zips are not registered, such as {new[0].name}"
        report.findings.append(Finding(Kind.ZIP, what, path=data_path, remedy="satdaemon ingest-files", note=True))


def _files(data_path: Path) -> Iterator[Path]:
    for folder in sorted(data_path.resolve().glob("T*")):
        yield from (p for p in sorted(folder.rglob("*")) if p.suffix in (".zip", PART_SUFFIX))
