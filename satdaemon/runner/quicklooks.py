"""Quicklooks of a finished job, made by a child process of their own: whatever becomes of it, the job is done.

python -m satdaemon.runner.quicklooks INPUT      the same without a fork server
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from satdaemon.domain import Quicklook, StageInput, StageResult
from satdaemon.processors.quicklook_files import DIRECTORY, files_of
from satdaemon.runner.order import Ended, Order

LIMIT_S = 1800.0
NAME = "quicklooks.json"
"""The child's last word, beside the job's input."""


def process(order: Order) -> None:
    """Body of a forked child."""
    sys.exit(run(Path(order.input_path)))


def run(input_path: Path) -> int:
    """Make the pictures of the product that the input tells of; 0 where all that could be made were."""
    from satdaemon.processors.quicklooks import make

    job = StageInput.from_json(json.loads(input_path.read_text()))
    made = make(job)
    for warning in made.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    said = {"quicklooks": [one.to_json() for one in made.quicklooks], "warnings": made.warnings}
    part = input_path.with_name(f"{NAME}.part")
    part.write_text(json.dumps(said))
    part.replace(input_path.with_name(NAME))
    return 0


def are_wanted(job: StageInput) -> bool:
    """True where the product has files to be shown, and no pictures of its own."""
    return bool(files_of(job)) and not (job.out_dir / DIRECTORY).exists()


def ordered(order: Order) -> Order:
    """The pictures' child, from the order of the job's own."""
    return replace(order, argv=(), module=__name__, time_limit_s=LIMIT_S)


def with_quicklooks(result: StageResult, job: StageInput, said: Path, ended: Ended | None) -> StageResult:
    """The job's result with what the child made; a warning, and no pictures, where it did not come to its end."""
    if ended is None or ended.killed_for is not None or not said.exists():
        shutil.rmtree(job.out_dir / DIRECTORY, ignore_errors=True)
        return _warned(result, [f"no quicklooks were made: {_how(ended)}"])
    value = json.loads(said.read_text())
    made = tuple(Quicklook.from_json(one) for one in value["quicklooks"])
    files = tuple(dict.fromkeys((*result.files, *(one.file for one in made))))
    return replace(_warned(result, value["warnings"]), files=files, quicklooks=made)


def _warned(result: StageResult, warnings: Sequence[str]) -> StageResult:
    return replace(result, warnings=tuple(dict.fromkeys((*result.warnings, *warnings))))


def _how(ended: Ended | None) -> str:
    if ended is None:
        return "their process was lost"
    if ended.killed_for is not None:
        return f"stopped for {ended.killed_for} after {ended.wall_s:.0f} s at {ended.peak_memory_gb:.2f} GB"
    return f"signal {ended.signal}" if ended.signal is not None else f"return code {ended.return_code}: see the job's output"


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1])))
