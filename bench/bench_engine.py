"""No-op jobs through the whole engine against bare Dask `submit`.   python bench/bench_engine.py [JOBS] [--json]

Whole engine: a planned job in the database, a Prefect task run, a grant, a Dask task, a guarded child process (`true`), a
published product, the row DONE. Bare Dask: a Python function that does nothing, on the same scheduler and workers.
Prints one line of JSON; `ratio` is seconds a job of the engine over seconds a job of bare Dask.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psutil
import shapely
from distributed import Client

from deployments.services import dask_scheduler, dask_worker, free_port, is_healthy, prefect_environment, prefect_server
from satdaemon.config import Settings, load
from satdaemon.db import Burst, Database, Frame, Ifg, JobEvent, Master, init_database, planning
from satdaemon.machines.supervisor import Supervisor
from satdaemon.status import Stage

FRAME = "132A_BENCH"
BARE = 1000


def make_system(place: Path) -> Settings:
    """A configuration of two machines whose download jobs do nothing."""
    config = place / "satdaemon.cfg"
    config.write_text(
        f"""[PARAMETERS]
database = sqlite:///satdaemon.sqlite
prefect_api = http://127.0.0.1:{free_port("127.0.0.1")}/api
dask_scheduler = tcp://127.0.0.1:{free_port("127.0.0.1")}
service_path = services
processing_path = processing
log_path = logs
[PROC_MACHINES]
names = a, b
cpu = 4
memory_gb = 16
[DOWNLOAD]
processor = command
command = true
disk = 1
memory_gb = 1
"""
    )
    return load(config)


def make_frame(settings: Settings, jobs: int) -> Database:
    """A frame with so many download jobs, planned."""
    database = init_database(settings)
    box = shapely.box(10.0, 45.0, 10.8, 45.2)
    database.insert(Burst(id="132_8600_IW1", track=132, orbit_direction="A", anx=8600, swath="IW1", geometry=box))
    database.make_new_frame_using_burstlist(["132_8600_IW1"], FRAME)
    switches = {f"do_{stage.value}": stage is Stage.DOWNLOAD for stage in Stage}
    seen = {"procdates_utc": datetime.now(UTC), "files_changed_utc": None}
    database.update(Frame, {"processing": True, **seen, **switches}, id=FRAME)
    first = date(2015, 1, 1)
    database.insert(Master(frame_id=FRAME, date=first))
    database.insert([Ifg(frame_id=FRAME, date=first + timedelta(days=n)) for n in range(1, jobs)])
    planning.plan(database)
    return database


@contextmanager
def running(settings: Settings) -> Iterator[Supervisor]:
    """Prefect server, scheduler and workers."""
    os.environ.update(prefect_environment(settings))
    supervisor = Supervisor(lambda line: print(line, file=sys.stderr))
    try:
        supervisor.add(prefect_server(settings))
        supervisor.add(dask_scheduler(settings))
        for machine in settings.machines:
            supervisor.add(dask_worker(settings, machine))
        while not is_healthy(settings):
            time.sleep(0.2)
        yield supervisor
    finally:
        supervisor.stop()


def nothing(number: int) -> int:
    """The bare job."""
    return number


def bare_s(settings: Settings) -> float:
    """Seconds a job of bare Dask."""
    with Client(settings.parameters.dask_scheduler, timeout=60, set_as_default=False) as client:
        client.wait_for_workers(len(settings.machines), timeout=60)
        client.gather([client.submit(nothing, n, pure=False) for n in range(50)])
        began = time.perf_counter()
        client.gather([client.submit(nothing, n, pure=False) for n in range(BARE)])
        return (time.perf_counter() - began) / BARE


def cpu_s(supervisor: Supervisor) -> dict[str, float]:
    """CPU seconds of each service so far, children that ended included."""
    found = {}
    for service in supervisor.services:
        if service.process is not None:
            times = psutil.Process(service.process.pid).cpu_times()
            found[service.name] = times.user + times.system + times.children_user + times.children_system
    return found


def main() -> None:
    """Run both and print the comparison."""
    parser = argparse.ArgumentParser(description="Orchestration overhead of no-op jobs against bare Dask submit.")
    parser.add_argument("jobs", nargs="?", type=int, default=150)
    jobs = parser.parse_args().jobs
    with tempfile.TemporaryDirectory(prefix="satdaemon-bench-") as name:
        settings = make_system(Path(name))
        database = make_frame(settings, jobs)
        with running(settings) as supervisor:
            bare = bare_s(settings)
            before = cpu_s(supervisor)
            code = f"from flows.frame import process_frame; process_frame({FRAME!r}, {str(settings.source)!r})"
            flow_before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", code], check=True, stdout=sys.stderr)
            flow_after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = {key: value - before[key] for key, value in cpu_s(supervisor).items()}
        used["flow"] = flow_after.ru_utime + flow_after.ru_stime - flow_before.ru_utime - flow_before.ru_stime
        granted = [event.at_utc for event in database.query(JobEvent, event="granted")]
        done = [event.at_utc for event in database.query(JobEvent, event="finished")]
        database.close()
    assert len(done) == jobs, f"expected {jobs} jobs done, got {len(done)}"
    wall_s = (max(done) - min(granted)).total_seconds()
    print(
        json.dumps(
            {
                "bench": "engine",
                "jobs": jobs,
                "engine_jobs_per_s": round(jobs / wall_s, 2),
                "bare_dask_jobs_per_s": round(1 / bare, 1),
                "ratio": round(wall_s / jobs / bare, 1),
                "cpu_ms_per_job": {key: round(1000 * value / jobs, 1) for key, value in used.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
