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
INPUTS = (
    "in_download", "in_slc", "in_master", "in_geometry", "in_siblings", "in_satsar1", "in_satsar2", "in_coherence",
    "in_timeseries", "in_previous",
)  # fmt: skip
"""Names of products that a stage reads (docs/products.md); empty for a row that reads none such."""


def fields(job: StageInput, input_path: Path) -> dict[str, str]:
    """What `{name}` in a command, its environment, its directory and its outputs stands for."""
    day1 = "" if job.date1 is None else f"{job.date1:%Y%m%d}"
    day2 = "" if job.date2 is None else f"{job.date2:%Y%m%d}"
    days = {day: name for day, name in ((day1, "1"), (day2, "2")) if day}
    # Products are in_ROLE; of a pair's two dates in_ROLE1 and in_ROLE2. Roles of many dates are in {input} alone.
    roles = {role: role.partition("/") for role in job.inputs}
    inputs = {role: f"in_{kind}{days.get(day, '')}" for role, (kind, _, day) in roles.items() if not day or day in days}
    return {
        "input": str(input_path),
        "out": str(job.out_dir),
        "frame": job.frame.id,
        "track": str(job.frame.track),
        "stage": job.stage.value,
        "kind": job.kind.value,
        "key": job.key,
        "date1": day1,
        "date2": day2,
        "master": f"{job.master_date:%Y%m%d}",
        "polarisation": job.polarisation,
        "cores": str(job.cores),
        "memory_gb": f"{job.memory_gb:g}",
        "job_id": str(job.job_id),
        "attempt": str(job.attempt),
        **{name: str(path) for name, path in job.paths.items()},
        **dict.fromkeys(INPUTS, ""),
        **{name: str(job.inputs[role]) for role, name in inputs.items()},
    }


def arguments(template: str, values: Mapping[str, str]) -> tuple[str, ...]:
    """Split a command template as a shell would, then fill in each argument on its own.

    A value with blanks stays one argument. Raises ConfigError for a name that does not exist.
    """
    return tuple(_filled(word, values, template) for word in shlex.split(template))


def variables(settings: StageSettings, values: Mapping[str, str]) -> dict[str, str]:
    """The variables of the setting `environment`, filled in."""
    words = (word.partition("=") for word in shlex.split(settings.environment))
    return {name: _filled(value, values, settings.environment) for name, _, value in words}


def directory(settings: StageSettings, values: Mapping[str, str]) -> Path:
    """Where the command is started; ConfigError where that is no directory."""
    place = Path(values["out"]) / _filled(settings.directory, values, settings.directory)
    if not place.is_dir():
        raise ConfigError(f"directory: expected a directory to start the command in, found none at {place}")
    return place


def _filled(word: str, values: Mapping[str, str], template: str) -> str:
    try:
        return word.format_map(values)
    except (KeyError, ValueError, IndexError, AttributeError, TypeError) as error:
        known = ", ".join(f"{{{name}}}" for name in sorted(values))
        raise ConfigError(f"command: expected only {known}, got {error} in {template!r}") from error


def collect(
    job: StageInput, settings: StageSettings, warnings: tuple[str, ...] = (), values: Mapping[str, str] | None = None
) -> StageResult:
    """What the program left: every expected output there and not too small; metadata written where it wrote none."""
    for wanted in settings.outputs:
        pattern, _, least = _filled(wanted, values or fields(job, job.out_dir), wanted).partition(":")
        _check_output(job.out_dir, pattern, int(least or 1))
    metrics = _metrics(job.out_dir / METRICS_NAME)
    name = Path(shlex.split(settings.command)[0]).name
    if not (job.out_dir / METADATA_NAME).exists():
        files = {str(p.relative_to(job.out_dir)): {"bytes": p.stat().st_size} for p in _files(job.out_dir)}
        write_metadata(job, processor=name, version="", files=files, metrics=metrics)
    made = tuple(str(path.relative_to(job.out_dir)) for path in _files(job.out_dir))
    return StageResult(files=made, metrics=metrics, warnings=warnings, processor=name)


def _check_output(out_dir: Path, pattern: str, least: int) -> None:
    found = sorted(out_dir.glob(pattern))
    if not found:
        left = ", ".join(sorted(path.name for path in out_dir.iterdir())[:10]) or "nothing"
        raise ProcessingError(f"expected the command to leave {pattern} in its output directory, found {left}")
    for path in found:
        size = path.stat().st_size
        if path.is_file() and size < least:
            name = path.relative_to(out_dir)
            raise CorruptProduct(f"expected the command to fill {name}, at least {least} bytes, found {size or 'it empty'}")


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
