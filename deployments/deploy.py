"""Makes and updates the Prefect deployments.   python -m deployments.deploy [-d CFG] [--frame FRAME ...] [--dry-run] [--json]

Planner, maintenance, watch, and one deployment a frame, `process-frame/<FRAME>`: paused where the frame is switched off,
removed where it is retired. What is as it should be is not written. The planner does the same at each of its turns.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import PrefectException

from deployments.services import is_healthy
from satdaemon.db import Database
from satdaemon.db.frame_switches import frame_switches
from satdaemon.domain import some_of
from satdaemon.errors import RequestError, SatDaemonError
from tasks.deployed import Difference, Step
from tasks.prefect_api import ensure_work_pool, prefect_client
from tasks.wanted import frame_deployments, service_deployments

_LISTED = 20


def deploy(
    client: SyncPrefectClient, database: Database, only: Sequence[str] = (), *, schedules: bool = True, dry_run: bool = False
) -> Step:
    """Make or update the work pool and all deployments, or with `only` those of these frames; what was, or would be, done."""
    settings = database.settings
    frames = frame_switches(database)
    unknown = sorted(set(only) - {frame.id for frame in frames})
    if unknown:
        known = some_of([frame.id for frame in frames], _LISTED) or "none"
        raise RequestError(f"frames: expected frames of the database ({known}), got {', '.join(unknown)}")
    chosen = [frame for frame in frames if not only or frame.id in only]
    wanted = service_deployments(settings, schedules=schedules)
    wanted += frame_deployments(settings, [frame for frame in chosen if not frame.is_retired])
    retired = [frame.id for frame in chosen if frame.is_retired]
    difference = Difference(client, settings, wanted, remove=retired if only else None)
    if not dry_run:
        ensure_work_pool(client, settings)
        difference.write()
    return difference.step


def main() -> None:
    """Deploy what the database knows."""
    parser = argparse.ArgumentParser(prog="satdaemon deploy", description="Make the Prefect deployments.")
    parser.add_argument("-d", "--config", metavar="CFG", help="configuration file")
    parser.add_argument("--frame", action="append", default=[], metavar="FRAME", help="only these frames")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    began = time.monotonic()
    try:
        database = Database(arguments.config)
        address = database.settings.parameters.prefect_api
        if not is_healthy(database.settings):
            raise RequestError(f"expected a Prefect server that answers at {address}, found none: `satdaemon up` starts it")
        with prefect_client(database.settings) as client:
            step = deploy(client, database, arguments.frame, dry_run=arguments.dry_run)
    except SatDaemonError as error:
        sys.exit(f"error: {error}")
    except (httpx.HTTPError, PrefectException) as error:
        sys.exit(f"error: the Prefect server at {address} did not do it: {error}. Try again: what is done stays done")
    print(_document(step) if arguments.json else _words(step, arguments.dry_run, time.monotonic() - began))


def _document(step: Step) -> str:
    return json.dumps(asdict(step), indent=1)


def _words(step: Step, dry_run: bool, wall_s: float) -> str:
    lines = []
    for what, names in (("make", step.made), ("change", step.changed), ("remove", step.removed)):
        lines += [f"{what:<8}{name}" for name in names[:_LISTED]] if dry_run else []
        lines += [f"        and {len(names) - _LISTED} more to {what}"] if dry_run and len(names) > _LISTED else []
    counts = f"{len(step.made)} made, {len(step.changed)} changed, {len(step.removed)} removed, {len(step.unchanged)} unchanged"
    return "\n".join([*lines, f"{counts}{' (dry run: nothing was done)' if dry_run else f' in {wall_s:.1f} s'}"])


if __name__ == "__main__":
    main()
