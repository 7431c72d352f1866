"""Deployments of many frames: made, unchanged, changed, removed.   python -m bench.bench_deployments [FRAMES]

Against a real Prefect server on SQLite (with SATDAEMON_BENCH_PREFECT=postgresql+asyncpg://... on that). Prints one line of
JSON: seconds of each, and `ratio`, of a plain loop of the client's `create_deployment` over making them here, a frame.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import shapely

from bench.bench_engine import make_system
from deployments.deploy import deploy
from deployments.services import is_healthy, prefect_environment, prefect_server
from satdaemon.config import Settings, load
from satdaemon.db import Burst, Database, Frame, init_database
from satdaemon.machines.supervisor import Supervisor
from tasks.prefect_api import prefect_client

LOOP = 50


def make_frames(settings: Settings, count: int) -> Database:
    """So many frames of one burst, switched on."""
    database = init_database(settings)
    box = shapely.box(10.0, 45.0, 10.8, 45.2)
    same = {"track": 132, "orbit_direction": "A", "geometry": box}
    database.insert(Burst(id="132_8600_IW1", anx=8600, swath="IW1", **same))
    database.insert([Frame(id=f"132A_B{n:05d}", processing=True, **same) for n in range(count)])
    return database


def loop_s(settings: Settings) -> float:
    """Seconds a deployment of a plain loop over Prefect's client."""
    with prefect_client(settings) as client:
        flow = client.create_flow_from_name("bench")
        began = time.perf_counter()
        for n in range(LOOP):
            client.create_deployment(flow, f"{n}", work_pool_name=settings.parameters.work_pool, entrypoint="a.b", tags=["x"])
        return (time.perf_counter() - began) / LOOP


def measure(settings: Settings, database: Database) -> dict[str, float]:
    """Seconds of each kind of deploying."""
    seconds = {}
    with prefect_client(settings) as client:
        for what in ("made", "unchanged", "changed", "removed"):
            if what == "changed":
                database.update(Frame, {"processing": False}, track=132)
            if what == "removed":
                database.delete(Frame, track=132)
            began = time.perf_counter()
            step = deploy(client, database, schedules=False)
            seconds[what] = time.perf_counter() - began
            print(f"{what}: {seconds[what]:.1f} s, {step.writes} written", file=sys.stderr, flush=True)
    return seconds


def main() -> None:
    """Run it and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory(prefix="satdaemon-bench-") as name:
        settings = make_system(Path(name))
        url = os.environ.get("SATDAEMON_BENCH_PREFECT")
        if url:
            assert settings.source is not None
            text = settings.source.read_text()
            settings.source.write_text(text.replace("[PARAMETERS]", f"[PARAMETERS]\nprefect_database = {url}"))
            settings = load(settings.source)
        database = make_frames(settings, count)
        os.environ.update(prefect_environment(settings))
        supervisor = Supervisor(lambda line: print(line, file=sys.stderr))
        try:
            supervisor.add(prefect_server(settings))
            while not is_healthy(settings):
                time.sleep(0.2)
            with prefect_client(settings) as client:
                deploy(client, database, [f"132A_B{0:05d}"], schedules=False)  # what a first request costs
            loop = loop_s(settings)
            seconds = measure(settings, database)
        finally:
            supervisor.stop()
            database.close()
    found = {"bench": "deployments", "frames": count, **{f"{what}_s": round(s, 1) for what, s in seconds.items()}}
    found |= {"loop_s": round(loop * count, 1), "ratio": round(loop * count / seconds["made"], 2)}
    print(json.dumps({**found, "unchanged_over_changed": round(seconds["unchanged"] / seconds["changed"], 3)}))


if __name__ == "__main__":
    main()
