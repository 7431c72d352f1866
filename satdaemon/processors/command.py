"""A site's own program as the processor of a stage: its arguments, and what it must leave behind.

The engine runs the program under the same guard and limits as a built-in processor, never through a shell.
Return code 0 is success, 75 (EX_TEMPFAIL of sysexits.h) asks for another try, any other is a failure. The program may use
`satdaemon.joblog.JobLogger` for progress and warnings, and may leave `metrics.json` (numbers by name) in {out}.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

from satdaemon.config import StageSettings
from satdaemon.domain import StageInput, StageResult
from satdaemon.errors import ConfigError, CorruptProduct, ProcessingError
from satdaemon.processors.base import METADATA_NAME, write_metadata

EX_TEMPFAIL = 75
METRICS_NAME = "metrics.json"


def fields(job: StageInput, input_path: Path) -> dict[str, str]:
    """What `{name}` in a command stands for."""
    day1 = "" if job.date1 is None else f"{job.date1:%Y%m%d}"
    day2 = "" if job.date2 is None else f"{job.date2:%Y%m%d}"
    return {
        "input": str(input_path),
        "out": str(job.out_dir),
        "frame": job.frame.id,
        "track": str(job.frame.track),
        "stage": job.stage.value,
        "key": job.key,
        "date1": day1,
        "date2": day2,
        "master": f"{job.master_date:%Y%m%d}",
        "cores": str(job.cores),
        "memory_gb": f"{job.memory_gb:g}",
        "job_id": str(job.job_id),
        "attempt": str(job.attempt),
        **{name: str(path) for name, path in job.paths.items()},
    }


def arguments(template: str, values: Mapping[str, str]) -> tuple[str, ...]:
    """Split a command template as a shell would, then fill in each argument on its own.

    A value with blanks stays one argument. Raises ConfigError for a name that does not exist.
    """
    try:
        return tuple(word.format_map(values) for word in shlex.split(template))
    except (KeyError, ValueError, IndexError) as error:
        known = ", ".join(f"{{{name}}}" for name in sorted(values))
        raise ConfigError(f"command: expected only {known}, got {error} in {template!r}") from error


def collect(job: StageInput, settings: StageSettings, warnings: tuple[str, ...] = ()) -> StageResult:
    """What the program left: every expected output there and not empty; metadata written where it wrote none."""
    for name in settings.outputs:
        path = job.out_dir / name
        if not path.exists():
            raise ProcessingError(f"expected the command to leave {name} in its output directory, found nothing there")
        if path.is_file() and path.stat().st_size == 0:
            raise CorruptProduct(f"expected the command to fill {name}, found it empty")
    metrics = _metrics(job.out_dir / METRICS_NAME)
    name = Path(shlex.split(settings.command)[0]).name
    if not (job.out_dir / METADATA_NAME).exists():
        files = {str(p.relative_to(job.out_dir)): {"bytes": p.stat().st_size} for p in _files(job.out_dir)}
        write_metadata(job, processor=name, version="", files=files, metrics=metrics)
    made = tuple(str(path.relative_to(job.out_dir)) for path in _files(job.out_dir))
    return StageResult(files=made, metrics=metrics, warnings=warnings, processor=name)


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def _metrics(path: Path) -> dict[str, float | int | str]:
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CorruptProduct(f"expected {path.name} to be JSON, got: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(v, (int, float, str)) for v in found.values()):
        raise CorruptProduct(f"expected {path.name} to map names to numbers, got {str(found)[:80]}")
    return found
