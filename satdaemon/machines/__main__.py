"""Services of the cluster.

python -m satdaemon.machines scheduler [-d CFG]
python -m satdaemon.machines worker NAME [-d CFG] [--port PORT] [--tied SECONDS]
"""

from __future__ import annotations

import argparse
import sys

from satdaemon.config import load
from satdaemon.errors import SatDaemonError
from satdaemon.machines.cluster import run_scheduler, run_worker
from satdaemon.machines.tied import be_alone, tie


def main() -> None:
    """Run one service until it is told to end."""
    parser = argparse.ArgumentParser(prog="python -m satdaemon.machines", description="Services of the Dask cluster.")
    parts = parser.add_subparsers(dest="part", required=True)
    scheduler = parts.add_parser("scheduler", help="the Dask scheduler")
    worker = parts.add_parser("worker", help="the Dask worker of one machine")
    worker.add_argument("name", help="a name of [PROC_MACHINES]")
    worker.add_argument("--port", type=int, help="port of the worker, instead of the configured one")
    worker.add_argument("--tied", type=float, metavar="SECONDS", help="end with the standard input, or when it is silent so long")
    for part in (scheduler, worker):
        part.add_argument("-d", "--config", metavar="CFG", help="configuration file")
    arguments = parser.parse_args()
    tied = getattr(arguments, "tied", None)
    if tied is not None:
        tie(tied)
    try:
        settings = load(arguments.config)
        if arguments.part == "scheduler":
            run_scheduler(settings)
        else:
            held = be_alone(settings, arguments.name) if tied is not None else None  # until this process ends
            run_worker(settings, arguments.name, arguments.port)
            del held
    except SatDaemonError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
