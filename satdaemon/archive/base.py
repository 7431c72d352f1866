"""The protocol of an archive: where scenes come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from satdaemon.domain import Frame, Scene

Progress = Callable[[float], None]
"""Told the share of the work done, 0..1; cheap to call."""


def no_progress(fraction: float) -> None:
    """Nobody wants to know."""


class Archive(Protocol):
    """A place that has scenes. Raises ArchiveError where it does not answer as it should."""

    name: str

    def search(self, frame: Frame) -> Iterable[Scene]:
        """Scenes that may show bursts of the frame, without a path."""

    def fetch(self, scene: Scene, target_dir: Path, progress: Progress = no_progress) -> Scene:
        """Bring the scene's zip to `target_dir/<id>.zip`, verified; the scene with path, size and checksum.

        Raises CorruptProduct where what the archive has is not the product, TransientError where it may pass.
        """
