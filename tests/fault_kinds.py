"""The faults: what is done to a running site, and undone where it would not pass by itself."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

import psutil
from fault_site import LEASE_S, MACHINES, Site

from satdaemon.db import runs

DOWN_S = LEASE_S / 2
"""How long the database refuses, or the disk is full: a part of the lease, so that what runs goes on."""
BEYOND_S = LEASE_S + 3.0


@dataclass(frozen=True)
class Fault:
    """One kind; `do` returns when the fault itself is over, with what was done in words."""

    name: str
    do: Callable[[Site, Random], str]


def worker_of(site: Site, machine: str) -> psutil.Process:
    """The Dask worker of a machine, once it is there."""
    found: list[psutil.Process] = site.until(lambda: site.units.below(f"worker {machine}", "satdaemon.machines worker"))
    return found[0]


def flow_run_of(site: Site, frame: str) -> psutil.Process:
    """The process of the flow run that holds a frame."""

    def holder() -> psutil.Process | None:
        run = str(runs.holder(site.database, frame)).removeprefix("flow run ")
        found = site.units.below("flows", "deployments.flow_run")
        return next((process for process in found if process.environ().get("PREFECT__FLOW_RUN_ID") == run), None)

    found: psutil.Process = site.until(holder)
    return found


def kill_worker(site: Site, random: Random) -> str:
    """kill -9 of a Dask worker."""
    machine = random.choice(MACHINES)
    worker_of(site, machine).kill()
    return f"worker {machine}"


def kill_service(site: Site, random: Random) -> str:
    """kill -9 of what keeps a part up; what it keeps up is tied to it."""
    part = random.choice(["scheduler", "prefect", "flows", *(f"worker {name}" for name in MACHINES)])
    os.kill(site.units.pid(part), signal.SIGKILL)
    return f"the service of {part}"


def kill_scheduler(site: Site, _: Random) -> str:
    """kill -9 of the Dask scheduler."""
    return _kill(site.units.below("scheduler", "satdaemon.machines scheduler"), "scheduler")


def kill_flow_run(site: Site, random: Random) -> str:
    """kill -9 of a flow run's process: a frame's, or the planner's."""
    found = site.units.below("flows", "deployments.flow_run")
    return _kill(random.sample(found, 1) if found else [], "flow run")


def kill_planner(site: Site, _: Random) -> str:
    """kill -9 of the planner."""
    os.kill(site.units.pid("planner"), signal.SIGKILL)
    return "planner"


def kill_prefect(site: Site, _: Random) -> str:
    """kill -9 of the Prefect server."""
    return _kill(site.units.below("prefect", "prefect_server"), "Prefect server")


def kill_postgres(site: Site, _: Random) -> str:
    """kill -9 of PostgreSQL's first process: the server is gone until it is started again."""
    pid = site.server.pid
    if pid is None or not site.server.is_up:
        return "none"
    os.kill(pid, signal.SIGKILL)
    return "postmaster"


def kill_backend(site: Site, random: Random) -> str:
    """kill -9 of one session of PostgreSQL: the server ends all others and recovers."""
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(site.server.pid).children()
        return _kill(random.sample([c for c in children if "idle" in " ".join(c.cmdline())] or children, 1), "a session")
    return "none"


def stop_worker(site: Site, random: Random) -> str:
    """SIGSTOP of a worker for longer than its lease; then it goes on and finds its jobs taken."""
    machine = random.choice(MACHINES)
    with stopped(worker_of(site, machine)):
        time.sleep(BEYOND_S)
    return f"worker {machine} for {BEYOND_S:g} s"


def fill_disk(site: Site, _: Random) -> str:
    """No space for products for a while."""
    with full_disk(site):
        time.sleep(DOWN_S)
    return f"for {DOWN_S:g} s"


def refuse_connections(site: Site, _: Random) -> str:
    """The database ends all sessions and lets nobody in for a while."""
    try:
        with refused(site):
            time.sleep(DOWN_S)
    except Exception as error:  # noqa: BLE001  (it had just been killed)
        site.until(lambda: allow(site))
        return f"none: {type(error).__name__}"
    return f"for {DOWN_S:g} s"


def jump_clock(site: Site, random: Random) -> str:
    """The clock of the head, or of a machine, is an hour off from now on, or right again."""
    host = random.choice(["head", *MACHINES])
    to_s = random.choice([-3600.0, 3600.0])
    site.clocks[host].jump(to_s)
    return f"{host} {to_s:+g} s"


def jump_database_clock(site: Site, _: Random) -> str:
    """The database's clock, by which leases are told, goes forward beyond all of them."""
    site.database_clock_s += 2 * LEASE_S
    site.clocks["database"].jump(site.database_clock_s)
    return f"+{2 * LEASE_S:g} s"


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """A process that stands still."""
    process.suspend()
    try:
        yield
    finally:
        process.resume()


@contextmanager
def full_disk(site: Site) -> Iterator[None]:
    """Every byte of the products' file system taken."""
    ballast = site.settings.parameters.processing_path / "ballast"
    with ballast.open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 20))
        with contextlib.suppress(OSError):
            while True:
                file.write(b"0")
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def refused(site: Site) -> Iterator[None]:
    """A processing database that lets nobody in."""
    site.server.sql("ALTER DATABASE satdaemon ALLOW_CONNECTIONS false")
    site.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'satdaemon'")
    try:
        yield
    finally:
        allow(site)


def allow(site: Site) -> bool:
    """Let everybody in again; False where the server does not answer."""
    try:
        site.server.sql("ALTER DATABASE satdaemon ALLOW_CONNECTIONS true")
    except Exception:  # noqa: BLE001  (down by another fault)
        return False
    return True


def _kill(processes: list[psutil.Process], what: str) -> str:
    for process in processes[:1]:
        process.kill()
    return what if processes else f"no {what} was there"


KINDS = (
    Fault("kill -9 worker", kill_worker),
    Fault("kill -9 service", kill_service),
    Fault("kill -9 scheduler", kill_scheduler),
    Fault("kill -9 flow run", kill_flow_run),
    Fault("kill -9 planner", kill_planner),
    Fault("kill -9 Prefect", kill_prefect),
    Fault("kill -9 PostgreSQL", kill_postgres),
    Fault("kill -9 session", kill_backend),
    Fault("SIGSTOP worker", stop_worker),
    Fault("full disk", fill_disk),
    Fault("database refuses", refuse_connections),
    Fault("clock jumps", jump_clock),
    Fault("database's clock", jump_database_clock),
)


def kinds(site: Site) -> list[Fault]:
    """Those that can be done to this site: without a file system of its own there is no full disk."""
    return [fault for fault in KINDS if site.has_disk or fault.do is not fill_disk]
