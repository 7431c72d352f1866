"""Many product zips read in parallel, in processes of their own: whatever a zip does, it stops nothing but its reader."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from satdaemon.errors import SatDaemonError
from satdaemon.insar.safe import SafeProduct, read_product

CHUNK = 1 << 22
WORTH_FILES, WORTH_BYTES = 8, 2**30
"""Fewer and smaller files are read faster than processes start (about a second)."""
SETTLE_S = 60.0
"""A zip without an end that was written to within this time may still be growing."""
Reader = Callable[[Path], SafeProduct]


@dataclass(frozen=True, slots=True)
class Probe:
    """What one zip turned out to be. One of `product` and `problem` is set."""

    path: Path
    size: int
    mtime_ns: int
    product: SafeProduct | None = None
    checksum: str | None = None
    """`sha256:...` where asked for."""
    problem: str = ""
    growing: bool = False
    """Somebody is still writing it: look again later."""
    passing: bool = False
    """The problem lies outside the file (permission, disk) and may pass without the file being changed."""


def probe(path: Path, *, checksum: bool = True, settle_s: float = SETTLE_S, read: Reader = read_product) -> Probe:
    """Read one zip, and its checksum. Raises nothing that the file can cause."""
    try:
        before = path.stat()
        with path.open("rb"):
            pass  # permission and I/O errors are not the zip's fault
    except OSError as error:
        return Probe(path, 0, 0, problem=f"{path}: cannot be opened: {error.strerror}", passing=True)
    size, mtime_ns = before.st_size, before.st_mtime_ns
    try:
        product, digest = read(path), _sha256(path) if checksum else None
        after = path.stat()
    except SatDaemonError as error:
        young = abs(time.time() - before.st_mtime) < settle_s
        growing = young and not zipfile.is_zipfile(path)
        return Probe(path, size, mtime_ns, problem=str(error), growing=growing)
    except OSError as error:
        return Probe(path, size, mtime_ns, problem=f"{path}: cannot be read: {error}", passing=True)
    except Exception as error:  # noqa: BLE001 - nothing that a hostile file provokes may stop the others
        return Probe(path, size, mtime_ns, problem=f"{path}: cannot be read: {type(error).__name__}: {error}")
    if (after.st_size, after.st_mtime_ns) != (size, mtime_ns):
        return Probe(path, size, mtime_ns, problem=f"{path}: changed while it was read", growing=True)
    return Probe(path, size, mtime_ns, product, digest)


def probe_all(
    paths: Sequence[Path],
    *,
    workers: int = 1,
    checksum: bool = True,
    settle_s: float = SETTLE_S,
    read: Reader = read_product,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Probe]:
    """Read zips in `workers` processes; results come as they are ready, until `stop` says so.

    Parameters
    ----------
    read
        A function of a module: it goes to other processes.
    """
    work = partial(probe, checksum=checksum, settle_s=settle_s, read=read)
    if workers <= 1 or not _worth_processes(paths, checksum):
        for path in paths:
            if stop():
                return
            yield work(path)
        return
    waiting = list(reversed(paths))
    while waiting and not stop():
        running: dict[Future[Probe], Path] = {}
        try:
            with _pool(workers) as pool:
                yield from _drain(pool, work, waiting, running, stop, 2 * workers)
        except BrokenProcessPool:
            # One of these ended its reader. Alone in a process of its own each shows whether it was the one.
            for path in list(running.values()):
                if stop():
                    return
                yield _alone(work, path)


def _drain(
    pool: ProcessPoolExecutor,
    work: Callable[[Path], Probe],
    waiting: list[Path],
    running: dict[Future[Probe], Path],
    stop: Callable[[], bool],
    most: int,
) -> Iterator[Probe]:
    """Keep the pool busy with at most `most` files ahead; `running` names those that have no result yet."""
    while (waiting and not stop()) or running:
        while waiting and len(running) < most and not stop():
            running[pool.submit(work, waiting[-1])] = waiting[-1]
            waiting.pop()
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            result = future.result()
            del running[future]
            yield result


def _alone(work: Callable[[Path], Probe], path: Path) -> Probe:
    try:
        with _pool(1) as pool:
            return pool.submit(work, path).result()
    except BrokenProcessPool:
        stat = path.stat()
        reason = f"{path}: reading it ended the reading process (a crash, or more memory than there is); get it again"
        return Probe(path, stat.st_size, stat.st_mtime_ns, problem=reason)


def _worth_processes(paths: Sequence[Path], checksum: bool) -> bool:
    if len(paths) < 2 or len(paths) >= WORTH_FILES:
        return len(paths) >= WORTH_FILES
    return checksum and sum(path.stat().st_size for path in paths if path.exists()) >= WORTH_BYTES


def _pool(workers: int) -> ProcessPoolExecutor:
    # A fork would share the connection of the database.
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_follow_the_parent)


def _follow_the_parent() -> None:
    """Signals to the process group are for the parent, which ends its readers in order; where it is killed, end too."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_after_the_parent, daemon=True).start()


def _end_after_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"
