"""One scene from the first of several archives that gives it, seen in the data directory only when whole and tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from satdaemon.archive.base import Progress, no_progress
from satdaemon.archive.download import Download
from satdaemon.archive.pace import Pace, Told, nobody
from satdaemon.archive.part import Part, Source, origin_of
from satdaemon.archive.secrets import redacted
from satdaemon.archive.transfer import locked_part, publish, writing
from satdaemon.archive.tries import Manner, Warn, nobody_warned
from satdaemon.archive.verify import check_product, check_zip
from satdaemon.domain import Scene
from satdaemon.errors import (
    ArchiveError,
    CorruptProduct,
    CredentialsError,
    NotInArchive,
    RequestError,
    SatDaemonError,
    Throttled,
)

_OF_THE_ARCHIVE = (ArchiveError, Throttled, CredentialsError, CorruptProduct)
"""Another archive may do better."""
_TRANSFER = 0.9
"""Share of the work that the transfer is; the rest is the test of the zip."""


def fetch(
    sources: Sequence[Source],
    scene: Scene,
    target_dir: Path,
    progress: Progress = no_progress,
    *,
    manner: Manner | Mapping[str, Manner] | None = None,
    told: Told = nobody,
    warn: Warn = nobody_warned,
) -> Scene:
    """Bring the scene's zip to `target_dir/<id>.zip`; the scene with address, path, size and checksum of what came.

    The sources are tried in order, each archive treated in its `manner` or in the one for all; `warn` is told why one failed.
    A file that is there and passes the checks of one of them is left as it is. Of several processes that want one file, one
    transfers it. What a kill left is carried on.

    Raises
    ------
    CorruptProduct
        What the archives have is not the product.
    CredentialsError
        They refuse the credentials.
    Throttled
        One asks to be left alone for longer than `manner` waits: its `retry_after_s` says how long.
    ArchiveError
        They do not answer as they should; NotInArchive where none has it.
    DiskFull, TransientError, ConfigError
        The disk is full, or cannot be written.
    """
    if not sources:
        raise RequestError(f"{scene.id}: expected at least one archive that has it, got none; search for it again")
    with writing(target_dir):
        target_dir.mkdir(parents=True, exist_ok=True)
    target = target_dir / f"{scene.id}.zip"
    if (there := _valid(target, scene, sources, progress)) is not None:
        return there
    with locked_part(target) as part:
        try:
            # Another job may have brought it while this one waited for the lock.
            found = _valid(target, scene, sources, progress)
            if found is None:
                found = _first_of(sources, part, target, scene, manner, progress, told, warn)
        except (*_OF_THE_ARCHIVE, KeyboardInterrupt):
            if part.stat().st_size:
                raise  # The next try carries it on.
            _remove(part)
            raise
        except SatDaemonError:
            _remove(part)
            raise
        _remove(part)
    return found


def _first_of(
    sources: Sequence[Source],
    part: Path,
    target: Path,
    scene: Scene,
    manner: Manner | Mapping[str, Manner] | None,
    progress: Progress,
    told: Told,
    warn: Warn,
) -> Scene:
    failed: list[SatDaemonError] = []
    for number, source in enumerate(sources, 1):
        try:
            own = manner.get(source.archive) if isinstance(manner, Mapping) else manner
            return _bring(source, part, target, scene, own or Manner(), progress, told, warn)
        except _OF_THE_ARCHIVE as error:
            failed.append(error)
            if number < len(sources):
                warn(redacted(f"{scene.id}: {error}; tried at {sources[number].archive}"))
    raise all_of(scene, failed)


def _bring(
    source: Source, path: Path, target: Path, scene: Scene, manner: Manner, progress: Progress, told: Told, warn: Warn
) -> Scene:
    def moved(pace: Pace) -> None:
        told(pace)
        progress(_TRANSFER * pace.fraction)

    for is_last in (source.checksum is not None, True):
        part = Part(path, source)
        try:
            checksum = Download(source, part, manner, told=moved, warn=warn).run()
            try:
                check_zip(path, scene.id, lambda done: progress(_TRANSFER + (1 - _TRANSFER) * done))
            except CorruptProduct as error:
                part.begin_anew()
                message = str(error).replace(str(path), f"{source.archive}: {redacted(source.url)}")
                # Where the checksum is right, the bytes are the archive's own; else they may have suffered on the way.
                if is_last:
                    raise CorruptProduct(message) from None
                warn(f"{message}; tried again")
                continue
            size = part.size
        finally:
            part.close()
        publish(path, target)
        return replace(scene, url=source.url, path=target, size=size, checksum=checksum)
    raise AssertionError("the last try returns or raises")


def _valid(target: Path, scene: Scene, sources: Sequence[Source], progress: Progress) -> Scene | None:
    """The scene at `target` if it is there and is what the scene or a source says; a bad one is as good as none."""
    if not target.exists():
        return None
    size = target.stat().st_size
    said = {(scene.size, scene.checksum): scene.url, **{(s.size, s.checksum): s.url for s in sources}}
    known = {key: url for key, url in said.items() if key != (None, None)} or said
    with writing(target):
        for (wanted, checksum), url in known.items():
            if wanted not in (None, size):
                continue
            try:
                return check_product(target, replace(scene, url=url, size=wanted, checksum=checksum), progress)
            except (FileNotFoundError, CorruptProduct):
                continue
    return None


def all_of(scene: Scene, failed: Sequence[SatDaemonError]) -> SatDaemonError:
    """The one error that several stand for: the one that leaves most hope."""
    if len(failed) == 1:
        return failed[0]
    message = f"{scene.id}: no archive gives it: " + "; ".join(f"({n}) {error}" for n, error in enumerate(failed, 1))
    if waits := [error.retry_after_s for error in failed if isinstance(error, Throttled)]:
        return Throttled(message, retry_after_s=min(waits))
    for kind in (ArchiveError, CredentialsError, CorruptProduct):
        if any(isinstance(error, kind) and not isinstance(error, NotInArchive) for error in failed):
            return kind(message)
    return NotInArchive(message)


def _remove(part: Path) -> None:
    with writing(part):
        origin_of(part).unlink(missing_ok=True)
        part.unlink(missing_ok=True)
