"""The products of a download: fetched, verified, and told of meanwhile."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

from satdaemon.archive import LocalArchive
from satdaemon.archive.fetching import Fetcher
from satdaemon.archive.pace import Pace
from satdaemon.archive.secrets import redacted
from satdaemon.archive.transfer import writing
from satdaemon.config import ArchiveSettings, DownloadSettings
from satdaemon.domain import Scene, StageInput
from satdaemon.errors import ArchiveError, ConfigError, DataError
from satdaemon.processors.base import Report, settings_of

SITES = "sites"
"""The job's setting that holds [ARCHIVES]."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The scenes of a date, in their order, with path and size."""

    scenes: tuple[Scene, ...]
    partial: frozenset[str]
    """Ids of those of which only the frame's bursts were fetched, into the job's directory."""
    bursts: int
    """Of those."""
    warned: int
    """How often something was tried again."""


def fetch_all(job: StageInput, report: Report) -> Fetched:
    """Every scene of the date."""
    download = settings_of(job, DownloadSettings)
    archives = ArchiveSettings.model_validate(job.settings.get(SITES, {}))
    data = place_of(job, "data", "data_path")
    local = LocalArchive(job.paths.get("archive", data), download.transfer)
    told = _Told(report, sum(_weight(scene) for scene in job.scenes))
    fetched: list[Scene] = []
    partial: dict[str, int] = {}
    with ended_politely(), Fetcher(download, archives, local) as fetcher:
        for scene in job.scenes:
            told.begin(scene)
            place = data / f"T{scene.track:03d}"
            is_wanted = fetcher.has_bursts(scene, place)
            only = _bursts(job, scene, place, fetcher, told) if is_wanted else None
            if only is not None:
                found, partial[scene.id] = only
            else:
                found = fetcher.fetch(scene, place, told.progress, told=told.pace, warn=told.warn)
            if is_wanted:
                _clear(place, owner_of(job, scene))
            # Where our own disk has it, its address in an archive stays.
            fetched.append(found if found.url.startswith("http") else replace(found, url=scene.url or found.url))
            told.end(scene)
        for words in fetcher.close():
            print(words, flush=True)
    return Fetched(tuple(fetched), frozenset(partial), sum(partial.values()), told.warned)


def _bursts(job: StageInput, scene: Scene, place: Path, fetcher: Fetcher, told: _Told) -> tuple[Scene, int] | None:
    """Only the frame's bursts of a scene; None, after saying why, where they are not to be had and the whole is to be fetched."""
    from satdaemon.processors.builtin.bursts_only import fetch_bursts

    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
    try:
        pace = told.pace_of_bursts
        extractor = fetcher.extractor(scene, place, owner_of(job, scene), told=pace, warn=told.warn, waiting=told.waiting)
        return fetch_bursts(job, scene, extractor)
    except (ArchiveError, ConfigError, DataError) as error:
        told.warn(redacted(f"{scene.id}: its bursts alone are not to be had: {error}; the whole product is fetched"))
        return None


def _clear(place: Path, owner: str) -> None:
    from satdaemon.archive.extractor import clear

    clear(place, owner)


def owner_of(job: StageInput, scene: Scene) -> str:
    """Word for the names of files that are of this scene for this frame's date."""
    return f"{job.frame.id}-{job.key}.{scene.id}"


def place_of(job: StageInput, name: str, key: str) -> Path:
    """A place that the job names. ConfigError where it does not."""
    try:
        return job.paths[name]
    except KeyError:
        raise ConfigError(f"download: expected the place {name!r} ({key} in satdaemon.cfg), got none") from None


@contextmanager
def ended_politely() -> Iterator[None]:
    """SIGTERM ends what is under way as an exception does, so that the archives' sessions end; what came stays."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Told:
    """Turns what a transfer tells into the job's progress and message; what was tried again goes to the job's log."""

    def __init__(self, report: Report, total: int) -> None:
        self._report, self._total = report, max(total, 1)
        self._done, self._scene, self._pace = 0, "", ""
        self._weight = 0
        self._fraction = 0.0
        self.warned = 0

    def begin(self, scene: Scene) -> None:
        self._scene, self._weight, self._pace, self._fraction = scene.id, _weight(scene), "", 0.0

    def end(self, scene: Scene) -> None:
        self._done += _weight(scene)

    def progress(self, fraction: float) -> None:
        """Of the scene at hand. Never goes back: what is not to be had in pieces begins anew as a whole."""
        fraction = self._fraction = max(fraction, self._fraction)
        words = f"fetch and verify {self._scene}{self._pace}"
        self._report.progress((self._done + fraction * self._weight) / self._total, words)

    def pace(self, pace: Pace) -> None:
        """Rate and time left go into the message."""
        whole = "" if pace.size_bytes is None else f" of {pace.size_bytes / 1e9:.2f}"
        left = "" if pace.left_s is None else f", {_time(pace.left_s)} left"
        self._pace = f": {pace.done_bytes / 1e9:.2f}{whole} GB, {pace.bytes_s / 1e6:.1f} MB/s{left}"

    def pace_of_bursts(self, pace: Pace) -> None:
        """As `pace`, where nobody else tells the progress."""
        self.pace(pace)
        self.progress(pace.fraction)

    def waiting(self, waiting: int, of: int) -> None:
        """Bursts are being extracted."""
        self._pace = f": {waiting} of {of} files are being extracted by the archive"
        self.progress(self._fraction)

    def warn(self, words: str) -> None:
        """It was tried again, or elsewhere: nothing that a person has to look at."""
        self.warned += 1
        print(words, flush=True)


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _weight(scene: Scene) -> int:
    return scene.size or 1
