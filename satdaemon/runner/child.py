"""What runs in the child process of a built-in job: the processor, and its last word in result.json.

    python -m satdaemon.runner.child INPUT      the same without a fork server
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from satdaemon.domain import Failure, StageInput
from satdaemon.errors import OutOfMemory
from satdaemon.joblog import ENV_CONFIG, JobContext, JobLogger
from satdaemon.processors.registry import builtin
from satdaemon.runner.order import Order
from satdaemon.status import Stage


def process(order: Order) -> None:
    """Body of a forked child."""
    _limit_numba(order.cores)
    sys.exit(run(Path(order.input_path)))


def run(input_path: Path) -> int:
    """Run the processor named by the input's stage; 0 where it made a result. Always leaves result.json."""
    job = StageInput.from_json(json.loads(input_path.read_text()))
    result_path = input_path.with_name("result.json")
    try:
        with JobLogger(JobContext.from_environment()) as log:
            result = builtin(job.stage).run(job, log)
            if job.stage is Stage.INGEST:
                _load_points(job)
    except MemoryError as error:
        return _fail(result_path, OutOfMemory(f"the processor could not get more memory: {error}".rstrip(": ")))
    except Exception as error:  # noqa: BLE001  (every failure becomes the job's recorded failure)
        return _fail(result_path, error)
    merged = replace(result, warnings=tuple(dict.fromkeys((*result.warnings, *log.warnings))))
    _write(result_path, {"ok": True, "result": merged.to_json()})
    return 0


def _load_points(job: StageInput) -> None:
    """Points of a new version, not yet visible; recording the job's end makes them so."""
    from satdaemon.db import Database, points

    database = Database(os.environ.get(ENV_CONFIG))
    points.load_version(database, job.frame.id, job.out_dir, job.job_id, job.attempt)


def _fail(path: Path, error: BaseException) -> int:
    failure = Failure.from_exception(error)
    print(failure.traceback, file=sys.stderr)
    _write(
        path,
        {
            "ok": False,
            "failure": {
                "error_class": failure.error_class,
                "message": failure.message,
                "traceback": failure.traceback,
                "disposition": failure.disposition.value,
                "retry_after_s": failure.retry_after_s,
            },
        },
    )
    return 1


def _write(path: Path, value: dict[str, Any]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value, default=str))
    part.replace(path)


def _limit_numba(cores: int) -> None:
    """Bind numba, loaded by the fork server for the whole machine, to the job's cores."""
    numba = sys.modules.get("numba")
    if numba is None:
        return
    most = int(numba.config.NUMBA_NUM_THREADS)
    os.environ["NUMBA_NUM_THREADS"] = str(most)
    if cores < most:
        numba.set_num_threads(cores)


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1])))
