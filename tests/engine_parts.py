"""Real parts for tests of the job engine: a small system with a site's own program as every stage's processor."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import shapely

from deployments.services import free_port
from satdaemon.config import Settings, load
from satdaemon.db import Burst, Database, Frame, Ifg, Master, init_database, planning
from satdaemon.status import Stage

FRAME = "132A_TEST"
FIRST_DAY = date(2023, 1, 1)

PROGRAM = textwrap.dedent(
    """
    import json, os, subprocess, sys, time
    from pathlib import Path

    job = json.loads(Path(sys.argv[1]).read_text())
    out = Path(job["out_dir"])
    runs = Path(sys.argv[2])
    name = f"{job['frame']['id']}-{job['stage']}-{job['date1']}-{job['date2']}"
    with (runs / name).open("a") as file:
        file.write(f"{job['job_id']}-{job['attempt']} {os.getpid()} begun\\n")
    order = json.loads((runs / "orders.json").read_text()) if (runs / "orders.json").exists() else {}
    do = order.get(name, order.get(job["frame"]["id"], order.get("*", {})))
    if do.get("first_only") and job["attempt"] > 1:
        do = {}
    if "on" in do:  # there it ends so at once, elsewhere it works
        do = {"exit": do["exit"]} if os.environ["SATDAEMON_MACHINE"] == do["on"] else {**do, "exit": 0}
    if do.get("daemon"):
        child = subprocess.Popen(["sleep", "300"], start_new_session=True)
        (runs / "daemon").write_text(str(child.pid))
    if do.get("eat_mb"):
        held = []
        while sum(map(len, held)) < do["eat_mb"] * 1_000_000:
            held.append(bytearray(5_000_000))
            time.sleep(0.01)
    if do.get("progress"):
        from satdaemon.joblog import JobLogger
        with JobLogger() as log:
            log.progress(do["progress"], "on the way")
            log.warning("mind the gap")
    time.sleep(do.get("sleep_s", 0.0))
    while "until" in do and not Path(do["until"]).exists():
        time.sleep(0.1)
    if do.get("exit"):
        print("told to fail", file=sys.stderr)
        sys.exit(do["exit"])
    (out / "product.txt").write_text(f"{job['job_id']}-{job['attempt']}")
    with (runs / name).open("a") as file:
        file.write(f"{job['job_id']}-{job['attempt']} {os.getpid()} ended\\n")
    """
)


def make_settings(
    place: Path, *, machines: int = 2, stages: Iterable[Stage] = tuple(Stage), prefect_port: int | None = None, **parameters: Any
) -> Settings:
    """A configuration with free ports and the program of these tests behind every stage."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "runs").mkdir(exist_ok=True)
    (place / "program.py").write_text(PROGRAM)
    keys: dict[str, Any] = {
        "database": "sqlite:///satdaemon.sqlite",
        "data_path": "data",
        "processing_path": "processing",
        "log_path": "logs",
        "orbit_path": "orbits",
        "service_path": "services",
        "heartbeat_s": 0.5,
        "lease_s": 5,
        "prefect_api": f"http://127.0.0.1:{prefect_port or free_port('127.0.0.1')}/api",
        "dask_scheduler": f"{'tls' if 'dask_ca' in parameters else 'tcp'}://127.0.0.1:{free_port('127.0.0.1')}",
        **parameters,
    }
    lines = ["[PARAMETERS]", *(f"{key} = {value}" for key, value in keys.items())]
    lines += ["[WEB]", "start = no"]
    lines += ["[PROC_MACHINES]", "names = " + ", ".join(f"m{n + 1}" for n in range(machines)), "cpu = 4", "memory_gb = 8"]
    command = f"{sys.executable} {place / 'program.py'} {{input}} {place / 'runs'}"
    for stage in stages:
        lines += [f"[{stage.value.upper()}]", "processor = command", f"command = {command}", "outputs = product.txt"]
        lines += ["memory_gb = 0.5", "tries = 3", "disk = 5"]
    config = place / "satdaemon.cfg"
    config.write_text("\n".join(lines) + "\n")
    return load(config)


def make_frame(settings: Settings, *, dates: int, stages: Iterable[Stage] = (Stage.DOWNLOAD,), frame_id: str = FRAME) -> Database:
    """A database with one frame that is switched on: a master and `dates - 1` secondary dates, 12 days apart."""
    database = init_database(settings)
    if not database.query(Burst):
        box = shapely.box(10.0, 45.0, 10.8, 45.2)
        same = {"track": 132, "orbit_direction": "A", "swath": "IW1", "geometry": box}
        database.insert([Burst(id=f"132_{anx}_IW1", anx=anx, **same) for anx in (8600, 8628)])
    database.make_new_frame_using_burstlist(["132_8600_IW1", "132_8628_IW1"], frame_id)
    switches = {f"do_{stage.value}": stage in set(stages) for stage in Stage}
    seen = {"procdates_utc": datetime.now(UTC), "files_changed_utc": None}
    database.update(Frame, {"processing": True, **seen, **switches}, id=frame_id)
    database.insert(Master(frame_id=frame_id, date=FIRST_DAY))
    database.insert([Ifg(frame_id=frame_id, date=FIRST_DAY + timedelta(days=12 * n)) for n in range(1, dates)])
    planning.plan(database)
    return database


def runs_of(settings: Settings) -> Path:
    """Where the program writes what it did."""
    assert settings.source is not None
    return settings.source.parent / "runs"


def lines_of(settings: Settings, word: str, frame_id: str = FRAME) -> list[str]:
    """`<frame-stage-date1-date2> <job-attempt> <pid>` of every run that wrote `word` (begun or ended)."""
    found = []
    for file in sorted(runs_of(settings).glob(f"{frame_id}-*")):
        lines = [line for line in file.read_text().splitlines() if line.endswith(word)]
        found += [f"{file.name} {line.removesuffix(word).strip()}" for line in lines]
    return found


def until(true: Callable[[], Any], within_s: float = 30.0, what: str = "") -> Any:
    """Wait until `true()` is true, and return what it returned."""
    deadline = time.monotonic() + within_s
    while not (found := true()):
        assert time.monotonic() < deadline, f"did not happen within {within_s} s: {what}"
        time.sleep(0.05)
    return found
