"""The directory of one attempt of a job, and the rename that publishes what it made."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from satdaemon.domain import Job, product_path
from satdaemon.runner.quicklooks import NAME as QUICKLOOKS

ATTEMPTS = ".attempts"


@dataclass(frozen=True, slots=True)
class Attempt:
    """Places of one attempt. `root` is on the file system of the products, so that publishing is a rename."""

    root: Path
    target: Path
    log: Path
    events: Path

    @classmethod
    def of(cls, job: Job, attempt: int, processing_path: Path, log_path: Path) -> Attempt:
        """The places of attempt number `attempt` of a job."""
        name = f"{job.id}-{attempt}"
        logs = log_path / job.frame_id / job.stage.value / job.key
        return cls(
            root=processing_path / job.frame_id / ATTEMPTS / name,
            target=product_path(processing_path, job.frame_id, job.stage, job.key),
            log=logs / f"{name}.log",
            events=logs / f"{name}.jsonl",
        )

    @property
    def out(self) -> Path:
        """What the processor writes to; becomes the product."""
        return self.root / "out"

    @property
    def scratch(self) -> Path:
        """Room for temporary files; gone with the attempt."""
        return self.root / "scratch"

    @property
    def input_path(self) -> Path:
        """The job's StageInput as JSON."""
        return self.root / "input.json"

    @property
    def result_path(self) -> Path:
        """The child's last word."""
        return self.root / "result.json"

    @property
    def quicklooks_path(self) -> Path:
        """The last word of the child that made the pictures."""
        return self.root / QUICKLOOKS

    def create(self) -> None:
        """Make the directories, empty."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.out.mkdir(parents=True)
        self.scratch.mkdir()
        self.log.parent.mkdir(parents=True, exist_ok=True)

    def publish(self) -> None:
        """Put the output in its place by one rename; what stood there is moved aside first.

        Raises OSError, with the former product back in its place, where the rename fails.
        """
        self.target.parent.mkdir(parents=True, exist_ok=True)
        aside = self.root / "replaced"
        try:
            self.target.rename(aside)
        except FileNotFoundError:
            self.out.rename(self.target)
            return
        try:
            self.out.rename(self.target)
        except OSError:
            aside.rename(self.target)
            raise

    def discard(self) -> None:
        """Remove the attempt's directory with all that is still in it."""
        shutil.rmtree(self.root, ignore_errors=True)
