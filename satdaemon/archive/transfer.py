"""One file from a local archive into the data directory: copied or hard-linked, seen only when complete.

The copy goes to `.<name>.part` beside the target and is renamed. Several jobs may want one file at once (frames
share slices): the first holds a lock on the part, the others wait and find the file there. A part left by a
crash is compared with the source and carried on.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from satdaemon.archive.base import Progress, no_progress
from satdaemon.archive.verify import BLOCK
from satdaemon.errors import ArchiveError, ConfigError, DiskFull, SatDaemonError, TransientError

PART_SUFFIX = ".part"
SPARE_BYTES = 64 << 20
"""Left free on the disk beyond the file itself."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


def part_of(target: Path) -> Path:
    """Where the unfinished copy of a target stands."""
    return target.with_name(f".{target.name}{PART_SUFFIX}")


@contextmanager
def locked_part(target: Path, poll_s: float = 0.2) -> Iterator[Path]:
    """Hold the only right to make `target`; waits while another process has it."""
    part = part_of(target)
    while True:
        with writing(target):
            handle = os.open(part, os.O_RDWR | os.O_CREAT, 0o664)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            time.sleep(poll_s)
            continue
        try:
            if _is_same(handle, part):
                yield part
                return
        finally:
            os.close(handle)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn what can go wrong with the data disk into errors that say so."""
    try:
        yield
    except SatDaemonError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(f"{target}: no space left on its disk ({error}); free some, or enlarge the disk") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            where = f"{target.parent}: expected a directory that can be written"
            raise ConfigError(f"{where} (data_path, orbit_path), got: {error}") from error
        raise TransientError(f"{target}: cannot be written: {error}") from error


def require_space(target: Path, size: int) -> None:
    """DiskFull where the disk has not room for so many bytes more."""
    free = shutil.disk_usage(target.parent).free
    if free < size + SPARE_BYTES:
        raise DiskFull(
            f"{target}: no space for it: expected {(size + SPARE_BYTES) / 1e9:.2f} GB free, got {free / 1e9:.2f} GB; "
            "free some, or enlarge the disk"
        )


def copy(source: Path, part: Path, algorithm: str, progress: Progress = no_progress) -> str:
    """Make `part` equal to `source`; `algorithm:hex` of it.

    What already stands in the part is kept as far as it equals the source. Raises ArchiveError where the source
    cannot be read or changes meanwhile, DiskFull where the disk is full.
    """
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with reading(source), source.open("rb") as incoming:
        before = os.fstat(incoming.fileno())
        with writing(part):
            require_space(part, max(before.st_size - part.stat().st_size, 0))
            outgoing = part.open("r+b")
        with outgoing:
            done, same = 0, True
            while done <= before.st_size and (block := incoming.read(BLOCK)):
                digest.update(block)
                with writing(part):
                    same = _place(outgoing, block, same)
                done += len(block)
                progress(min(done / max(before.st_size, 1), 1.0))
            with writing(part):
                outgoing.truncate(done)
                outgoing.flush()
                os.fsync(outgoing.fileno())
        after = os.fstat(incoming.fileno())
    if done != before.st_size or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise ArchiveError(f"{source}: changed while it was copied ({before.st_size} bytes, then {after.st_size})")
    return f"{algorithm}:{digest.hexdigest()}"


def publish(part: Path, target: Path) -> None:
    """Rename the finished part, and make the rename last through a power cut."""
    with writing(target):
        part.replace(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def link(source: Path, target: Path) -> bool:
    """Hard-link the source as the target; False where the disks or the file system do not allow it."""
    spare = target.with_name(f".{target.name}.{os.getpid()}{PART_SUFFIX}")
    spare.unlink(missing_ok=True)
    try:
        os.link(source, spare)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES):
            return False
        raise
    publish(spare, target)
    # Renaming one link of a file over another does nothing: the spare would stay.
    spare.unlink(missing_ok=True)
    return True


@contextmanager
def reading(source: Path) -> Iterator[None]:
    """Turn what can go wrong with the archive's disk into ArchiveError."""
    try:
        yield
    except FileNotFoundError as error:
        raise ArchiveError(f"{source}: expected a product in the archive, found nothing; is its disk mounted?") from error
    except OSError as error:
        raise ArchiveError(f"{source}: cannot be read from the archive: {error}") from error


def clear_parts(folder: Path, older_than_s: float) -> list[Path]:
    """Remove unfinished copies that nobody has touched for so long and nobody holds; those removed."""
    removed = []
    for part in sorted(folder.rglob(f".*{PART_SUFFIX}")):
        try:
            handle = os.open(part, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - os.fstat(handle).st_mtime >= older_than_s and _is_same(handle, part):
                part.unlink()
                removed.append(part)
        except BlockingIOError:
            continue
        finally:
            os.close(handle)
    return removed


def _is_same(handle: int, path: Path) -> bool:
    """False where the path has been renamed or removed since the handle was opened."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _place(outgoing: BinaryIO, block: bytes, same: bool) -> bool:
    """Put a block at the current place, unless it stands there already; True while all was equal so far."""
    if same:
        place = outgoing.tell()
        if outgoing.read(len(block)) == block:
            return True
        outgoing.seek(place)
    outgoing.write(block)
    return False
