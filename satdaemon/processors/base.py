"""The protocol behind which every processor stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from satdaemon import __version__
from satdaemon.config import StageSettings
from satdaemon.domain import StageInput, StageResult

_Settings = TypeVar("_Settings", bound=StageSettings)
METADATA_NAME = "product.json"


class Report(Protocol):
    """How a processor tells how far it is. Calls are cheap: the engine thins them out."""

    def progress(self, fraction: float, message: str = "") -> None:
        """`fraction` of the work done, 0..1."""

    def warning(self, message: str) -> None:
        """Something a person should look at; the job goes on and ends DONE_WITH_WARNINGS."""


class Processor(Protocol):
    """One stage's work: reads the products named in the input, writes below `job.out_dir`, nowhere else.

    Runs in a child process of its own. Raises the classes of `satdaemon.errors`; any other exception is a
    bug and fails the job. Running it twice on one input gives the same product.
    """

    name: str
    version: str

    def run(self, job: StageInput, report: Report) -> StageResult:
        """Make the product in `job.out_dir`."""


def settings_of(job: StageInput, section: type[_Settings]) -> _Settings:
    """The stage's own settings as its section of satdaemon.cfg; what the job carries beside them is left out."""
    return section.model_validate({name: value for name, value in job.settings.items() if name in section.model_fields})


def write_metadata(
    job: StageInput,
    *,
    processor: str,
    version: str,
    files: Mapping[str, Mapping[str, Any]],
    metrics: Mapping[str, float | int | str],
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """Write `product.json`: what the product is, the unit, nodata and meaning of each file, and its provenance.

    `files` maps a relative path to {"description", "unit", "nodata", "dtype", "shape", ...}.
    """
    path = job.out_dir / METADATA_NAME
    document = {
        "frame": job.frame.id,
        "stage": job.stage.value,
        "key": job.key,
        "master_date": job.master_date.isoformat(),
        "processor": {"name": processor, "version": version, "satdaemon": __version__},
        "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "inputs": {role: str(place) for role, place in sorted(job.inputs.items())},
        "scenes": [scene.id for scene in job.scenes],
        "settings": dict(job.settings),
        "files": {k: dict(v) for k, v in files.items()},
        "metrics": dict(metrics),
        **(extra or {}),
    }
    path.write_text(json.dumps(document, indent=1, sort_keys=True, default=str) + "\n")
    return path
