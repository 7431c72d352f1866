"""Maintenance: puts right what was lost, removes what is old, looks whether disk and database agree. Scheduled once a day."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.exceptions import PrefectException
from prefect.states import Completed

from satdaemon.archive import clear_parts
from satdaemon.config import Settings
from satdaemon.db import (
    Database,
    RunningJob,
    history,
    jobs,
    latency,
    messages,
    partial_removal,
    points,
    precise_orbits,
    retention,
    space,
)
from satdaemon.db.access import audit
from satdaemon.db.consistency import check, frames_of_day
from satdaemon.db.vacuum import vacuum_hints
from satdaemon.domain import first_lines
from satdaemon.errors import SatDaemonError
from satdaemon.messages import full_disks, send, watch
from tasks.prefect_api import prefect_client
from tasks.prefect_history import prune_flow_runs

ATTEMPT_AGE_S = 86400.0
"""Directories of attempts, and parts of downloads, that have lain still so long belong to no job."""
CHECK_EVERY_DAYS = 28
"""Each frame is compared with its directory once in so many days."""
_LISTED = 20


@flow(name="maintenance", flow_run_name="maintenance", validate_parameters=False)
def maintenance(config: str | None = None) -> State[Any]:
    """Put lost jobs back; remove what nobody needs; tell people of frames that do not fit the disk, and what `watch` sees."""
    database = Database(config)
    parameters = database.settings.parameters
    rescued = jobs.rescue(database)
    live = {f"{job.job_id}-{job.attempt}" for job in database.query(RunningJob)}
    latency.keep(database)
    removed = {
        "attempt directories": remove_attempts(parameters.processing_path, live, ATTEMPT_AGE_S),
        "parts of downloads": sum(
            len(clear_parts(folder, ATTEMPT_AGE_S)) for folder in (parameters.data_path, parameters.orbit_path)
        ),
        "log files": remove_logs(parameters.log_path, parameters.log_days * 86400.0),
        "old sets of points": points.prune(database),
        "messages": messages.prune(database),
        "events": history.prune(database),
        "records of the web pages": audit.prune(database),
        "products left by a removal": space.finish(database),
        "fetched zips": len(retention.apply(database, who="maintenance")),
        "fetched bursts": len(partial_removal.apply(database, who="maintenance")),
        "flow runs": remove_flow_runs(database.settings),
    }
    words = ", ".join(f"{count} {what}" for what, count in removed.items())
    get_run_logger().info("removed: %s", words)
    orbits, silent = precise_orbits_of(database)
    for line in silent:
        get_run_logger().warning("%s", line)
    problems = what_does_not_fit(database)
    for line in problems:
        get_run_logger().warning("%s", line)
    if problems:
        messages.found_by_maintenance(database, problems)
    for line in low_disks(database):
        get_run_logger().warning("%s", line)
    hints = [str(hint) for hint in vacuum_hints(database)]
    for line in hints:
        get_run_logger().warning("%s", line)
    watch(database)
    send(database)
    end = f"{len(rescued)} jobs rescued; removed: {words}; {orbits} precise orbits fetched; {len(problems)} things to look at"
    return Completed(message="\n".join([end, *hints]))


def precise_orbits_of(database: Database) -> tuple[int, list[str]]:
    """Fetch precise orbits of dates made with restituted ones; how many came, and what went wrong, a line each."""
    try:
        fetched, said = precise_orbits.fetch(database)
    except SatDaemonError as error:
        return 0, [f"precise orbits: {error}"]
    return len(fetched), [f"precise orbits: {line}" for line in said]


def low_disks(database: Database) -> list[str]:
    """Disks that are almost full, and what may be removed there; nothing is."""
    lines = [f"{path}: {text}" for path, text in full_disks(database.settings).items()]
    found = space.removable(database) if lines else []
    if found:
        size_gb = sum(one.bytes for one in found) / 1e9
        cpu_h = sum(one.cpu_s or 0.0 for one in found) / 3600.0
        what = f"{len(found)} intermediate products, {size_gb:.3g} GB, that cost {cpu_h:.3g} CPU hours to make again"
        lines.append(f"may be removed: {what}: satdaemon space")
    return lines


def remove_flow_runs(settings: Settings) -> int:
    """Remove old flow runs from Prefect; 0, and a warning, where its server does not do it now: the next time does."""
    try:
        with prefect_client(settings) as client:
            return prune_flow_runs(client, settings.parameters.prefect_days)
    except (httpx.HTTPError, PrefectException, OSError) as error:
        get_run_logger().warning("old flow runs stay for now: the Prefect server did not remove them: %r", error)
        return 0


def what_does_not_fit(database: Database) -> list[str]:
    """Findings on the frames whose turn it is today, a line each; nothing is changed."""
    frames = frames_of_day(database, datetime.now(UTC).date(), CHECK_EVERY_DAYS)
    found = check(database, frames).problems if frames else []
    lines = [" ".join(filter(None, (f.frame_id, f.stage, f.key or str(f.path or "")))) + f": {f.what}" for f in found]
    return first_lines(lines, _LISTED, f"satdaemon check-consistency {' '.join(frames)}")


def remove_attempts(processing_path: Path, live: set[str], age_s: float) -> int:
    """Remove directories of attempts that are not in `live` and older than `age_s`; how many there were."""
    removed = 0
    for directory in processing_path.glob("*/.attempts/*"):
        if directory.name not in live and _is_older(directory, age_s):
            shutil.rmtree(directory)
            removed += 1
    return removed


def remove_logs(log_path: Path, age_s: float) -> int:
    """Remove files of jobs' output, and what check-consistency left for its undo, older than `age_s`; how many there were."""
    removed = 0
    for pattern in ("*/*/*/*.log", "*/*/*/*.jsonl", "consistency/*.json"):
        for file in log_path.glob(pattern):
            if _is_older(file, age_s):
                file.unlink()
                removed += 1
    return removed


def _is_older(path: Path, age_s: float) -> bool:
    try:
        return time.time() - path.stat().st_mtime > age_s
    except FileNotFoundError:
        return False  # removed by somebody else meanwhile
