"""The products of a download: fetched, verified, and told of meanwhile."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

from satdaemon.archive import LocalArchive
from satdaemon.archive.fetching import Fetcher
from satdaemon.archive.pace import Pace
from satdaemon.config import ArchiveSettings, DownloadSettings
from satdaemon.domain import Scene, StageInput
from satdaemon.errors import ConfigError
from satdaemon.processors.base import Report, settings_of

SITES = "sites"
"""The job's setting that holds [ARCHIVES]."""


def fetch_all(job: StageInput, report: Report) -> tuple[tuple[Scene, ...], int]:
    """Every scene of the date, and how often something was tried again."""
    download = settings_of(job, DownloadSettings)
    archives = ArchiveSettings.model_validate(job.settings.get(SITES, {}))
    data = place_of(job, "data", "data_path")
    local = LocalArchive(job.paths.get("archive", data), download.transfer)
    told = _Told(report, sum(_weight(scene) for scene in job.scenes))
    fetched = []
    with ended_politely(), Fetcher(download, archives, local) as fetcher:
        for scene in job.scenes:
            told.begin(scene)
            found = fetcher.fetch(scene, data / f"T{scene.track:03d}", told.progress, told=told.pace, warn=told.warn)
            # Where our own disk has it, its address in an archive stays.
            fetched.append(found if found.url.startswith("http") else replace(found, url=scene.url or found.url))
            told.end(scene)
        for words in fetcher.close():
            print(words, flush=True)
    return tuple(fetched), told.warned


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
        self.warned = 0

    def begin(self, scene: Scene) -> None:
        self._scene, self._weight, self._pace = scene.id, _weight(scene), ""

    def end(self, scene: Scene) -> None:
        self._done += _weight(scene)

    def progress(self, fraction: float) -> None:
        """Of the scene at hand."""
        words = f"fetch and verify {self._scene}{self._pace}"
        self._report.progress((self._done + fraction * self._weight) / self._total, words)

    def pace(self, pace: Pace) -> None:
        """Rate and time left go into the message."""
        whole = "" if pace.size_bytes is None else f" of {pace.size_bytes / 1e9:.2f}"
        left = "" if pace.left_s is None else f", {_time(pace.left_s)} left"
        self._pace = f": {pace.done_bytes / 1e9:.2f}{whole} GB, {pace.bytes_s / 1e6:.1f} MB/s{left}"

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
