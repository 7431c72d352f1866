"""Makes and updates the Prefect deployments.   python -m deployments.deploy [-d CFG] [--frame FRAME ...]

The planner, the maintenance and one deployment a frame, `process-frame/<FRAME>`; the same as prefect.yaml, for all frames.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from prefect.client.orchestration import SyncPrefectClient

from satdaemon.config import Settings
from satdaemon.db import Database, Frame
from satdaemon.errors import RequestError, SatDaemonError
from tasks.prefect_api import deploy_frames, deploy_services, ensure_work_pool, prefect_client


def deploy(client: SyncPrefectClient, database: Database, only: Sequence[str] = (), *, schedules: bool = True) -> list[str]:
    """Make or update the work pool and all deployments; the frames that have one now."""
    settings: Settings = database.settings
    known = [frame.id for frame in database.query(Frame)]
    unknown = sorted(set(only) - set(known))
    if unknown:
        raise RequestError(f"frames: expected frames of the database ({', '.join(known) or 'none'}), got {', '.join(unknown)}")
    ensure_work_pool(client, settings)
    deploy_services(client, settings, active=schedules)
    return sorted(deploy_frames(client, settings, only or known))


def main() -> None:
    """Deploy what the database knows."""
    parser = argparse.ArgumentParser(prog="python -m deployments.deploy", description="Make the Prefect deployments.")
    parser.add_argument("-d", "--config", metavar="CFG", help="configuration file")
    parser.add_argument("--frame", action="append", default=[], metavar="FRAME", help="only these frames")
    arguments = parser.parse_args()
    began = time.monotonic()
    try:
        database = Database(arguments.config)
        with prefect_client(database.settings) as client:
            names = deploy(client, database, arguments.frame)
    except SatDaemonError as error:
        sys.exit(f"error: {error}")
    print(f"planner, maintenance and {len(names)} frames deployed in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
