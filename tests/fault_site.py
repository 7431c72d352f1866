"""A site for the fault tests: PostgreSQL, Prefect on it, every part a service of its own, four machines, short jobs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import shapely
from clocks import Clock, build_library
from engine_parts import FIRST_DAY, until
from postgres import Cluster, cluster
from sqlalchemy import func, select
from units import Units

from deployments.services import free_port
from satdaemon.config import Settings, load
from satdaemon.db import Burst, Frame, Ifg, Master, Product, RunningJob, init_database, planning
from satdaemon.errors import DatabaseUnavailable
from satdaemon.status import Stage

MACHINES = ("m1", "m2", "m3", "m4")
HEAD = ("prefect", "scheduler", "planner", "flows")
LEASE_S = 15.0
_DISK = "96m"
_LOOK_S = 0.2

JOB = """
begun="$2 $3 $4 $5 $6"
echo "$begun $$ begun" >> "$1/runs.log"
sleep 0.$(($$ % 4))
while [ -e "$1/hold" ] && [ ! -e "$1/go-$5" ]; do sleep 0.3; done
env printf '%s-%s\\n' "$5" "$6" > product.txt || exit 1
echo "$begun $$ ended" >> "$1/runs.log"
"""
"""A job: tells that it began, takes some tenths of a second, waits while there is a file `hold` and none that lets this
job go, leaves a product."""


class Line(NamedTuple):
    """What a job's program told."""

    frame: str
    stage: str
    key: str
    job_id: int
    attempt: int
    pid: int
    word: str


class Site:
    """The running site, and what is asked of it."""

    def __init__(self, place: Path, server: Cluster, clocks: dict[str, Clock], has_disk: bool) -> None:
        self.place, self.server, self.clocks, self.has_disk = place, server, clocks, has_disk
        self.database_clock_s = 0.0
        self.settings = _configure(place, server)
        self.database = init_database(self.settings)
        self.units = Units(self.settings, server, place)
        for part in HEAD:
            self.units.add(part, clocks["head"].environment)
        for name in MACHINES:
            # No built-in job runs here: the workers need no fork server with the heavy libraries.
            forks = {"SATDAEMON_FORK_SERVER": str(place / "none")}
            self.units.add(f"worker {name}", {**clocks[name].environment, **forks})

    def add_frame(self, frame_id: str, dates: int, stages: Iterable[Stage]) -> int:
        """A frame that is switched on; how many jobs it owes."""
        box = shapely.box(10.0, 45.0, 10.8, 45.2)
        if not self.database.query(Burst):
            same = {"track": 132, "orbit_direction": "A", "swath": "IW1", "geometry": box}
            self.database.insert([Burst(id=f"132_{anx}_IW1", anx=anx, **same) for anx in (8600, 8628)])
        self.database.make_new_frame_using_burstlist(["132_8600_IW1", "132_8628_IW1"], frame_id)
        wanted = set(stages)
        switches = {f"do_{stage.value}": stage in wanted for stage in Stage}
        seen = {"procdates_utc": datetime.now(UTC), "files_changed_utc": None}
        self.database.update(Frame, {"processing": True, **seen, **switches}, id=frame_id)
        self.database.insert(Master(frame_id=frame_id, date=FIRST_DAY))
        self.database.insert([Ifg(frame_id=frame_id, date=FIRST_DAY + timedelta(days=12 * n)) for n in range(1, dates)])
        planning.plan(self.database)
        return dates * len(wanted)

    def lines(self, word: str) -> list[Line]:
        """What the programs told, in order."""
        log = self.place / "runs.log"
        found = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
        return [Line(f, s, k, int(j), int(a), int(p), w) for f, s, k, j, a, p, w in found if w == word]

    def done(self) -> int:
        """Products that the database knows; 0 while it does not answer."""
        try:
            with self.database.read_scope() as session:
                return int(session.scalar(select(func.count()).select_from(Product)) or 0)
        except DatabaseUnavailable:
            return 0

    def running(self) -> list[RunningJob]:
        """Jobs whose body has begun."""
        return [job for job in self.database.query(RunningJob) if job.started_utc is not None]

    def on(self, machine: str) -> list[RunningJob]:
        """Those of one machine."""
        return [job for job in self.running() if job.machine == machine]

    def let_go(self, jobs: Iterable[int]) -> None:
        """Let these jobs end though others are held."""
        for job in jobs:
            (self.place / f"go-{job}").touch()

    def let_all_go(self) -> None:
        """Hold no job any more."""
        (self.place / "hold").unlink(missing_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Jobs that begin within do not end before its end, but those that are let go."""
        (self.place / "hold").touch()
        try:
            yield
        finally:
            self.let_all_go()

    def until(self, true: Any, within_s: float = 180.0, what: str = "") -> Any:
        """Wait until it is true, and return it; a look that the database does not answer is not true."""
        deadline = time.monotonic() + within_s
        while not (found := self._look(true)):
            assert time.monotonic() < deadline, f"did not happen within {within_s:.0f} s: {what}\n{self.shown()}"
            time.sleep(_LOOK_S)
        return found

    @staticmethod
    def _look(true: Any) -> Any:
        try:
            return true()
        except DatabaseUnavailable:
            return None

    def shown(self) -> str:
        """How things stand, for people."""
        try:
            parts = subprocess.run(
                [sys.executable, "-m", "satdaemon.cli", "status", "-d", str(self.settings.source)],
                capture_output=True, text=True, timeout=60,
            ).stdout  # fmt: skip
        except subprocess.TimeoutExpired:
            parts = "status: no answer"
        tails = [f"== {log.name}\n" + "\n".join(log.read_text().splitlines()[-8:]) for log in sorted(self.place.glob("*.log"))]
        return "\n".join([parts, *tails])


def _configure(place: Path, server: Cluster) -> Settings:
    for name in ("satdaemon", "prefect"):
        server.sql(f"CREATE DATABASE {name}")
    (place / "job.sh").write_text(JOB)
    keys = {
        "database": server.url("satdaemon"),
        "prefect_database": server.url("prefect").replace("+psycopg2", "+asyncpg"),
        **{f"{name}_path": name for name in ("processing", "log", "orbit", "service")},
        "data_path": "processing/data",  # downloads ask for space there
        "heartbeat_s": 1.0,
        "lease_s": LEASE_S,
        "retry_first_s": 1.0,
        "least_free_gb": 0.02,
        "prefect_api": f"http://127.0.0.1:{free_port('127.0.0.1')}/api",
        "dask_scheduler": f"tcp://127.0.0.1:{free_port('127.0.0.1')}",
    }
    lines = ["[PARAMETERS]", *(f"{key} = {value}" for key, value in keys.items())]
    lines += ["[PROC_MACHINES]", f"names = {', '.join(MACHINES)}", "cpu = 3", "memory_gb = 8"]
    for stage in Stage:
        lines += [f"[{stage.value.upper()}]", "processor = command", "outputs = product.txt", "memory_gb = 0.5", "disk = 5"]
        lines += [f"command = sh {place}/job.sh {place} {{frame}} {{stage}} {{key}} {{job_id}} {{attempt}}", "space_gb = 0"]
    config = place / "satdaemon.cfg"
    config.write_text("\n".join(lines) + "\n")
    return load(config)


@contextmanager
def small_disk(place: Path) -> Iterator[bool]:
    """A file system of its own for the products, so that it can be full; False where this user may not mount one."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "satdaemon-test", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@contextmanager
def running_site() -> Iterator[Site]:
    """Bring a site up, and end it in order; nothing of it may be left then."""
    with ExitStack() as stack:
        # Not below pytest's directory: it removes old ones, and this one has a file system mounted in it.
        place = Path(stack.enter_context(TemporaryDirectory(prefix="satdaemon-site-", dir="/tmp")))
        place.chmod(0o755)
        library = build_library(place)
        clocks = {host: Clock(place / f"clock-{host}", library) for host in ("head", "database", *MACHINES)}
        server = stack.enter_context(cluster("-c max_connections=200", clocks["database"].environment))
        has_disk = stack.enter_context(small_disk(place / "processing"))
        site = Site(place, server, clocks, has_disk)
        site.units.start()
        try:
            yield site
        finally:
            codes = site.units.stop()
            site.database.close()
        assert set(codes.values()) <= {0}, f"expected every part to end in order, got {codes}\n{site.shown()}"
        until(lambda: not site.units.marked(), 15.0, f"left running: {site.units.marked()}")
