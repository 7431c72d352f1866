"""The Dask scheduler and the worker of one machine, each a process of its own.

Dask only executes. What a worker declares as resources is a second guard behind the database's grants; nothing is
retried, stolen or spilled by Dask, because the database owns all of that.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import dask
from distributed import Client, Scheduler, Worker

from satdaemon.config import Machine, Settings
from satdaemon.domain import Resources
from satdaemon.errors import ConfigError, DatabaseUnavailable
from satdaemon.machines.patience import listens, wait_for
from satdaemon.machines.security import dask_security

if TYPE_CHECKING:
    from satdaemon.db import Database

RESOURCE_NAMES = ("CPU", "MEM", "DISK")
THREADS = 256
"""Threads of a worker: above the most jobs at once, so that only the declared resources bound them."""

BEAT_S = 3.0
"""Seconds between two beats of a worker to the scheduler. A worker that ends is known by its connection at once."""

_CONFIG: Mapping[str, Any] = MappingProxyType(
    {
        "distributed.scheduler.allowed-failures": 0,  # the default runs a job again, unseen, after kill -9
        "distributed.scheduler.no-workers-timeout": "60s",  # a request that no machine can serve is silent otherwise
        "distributed.scheduler.work-stealing": False,
        "distributed.scheduler.worker-saturation": float("inf"),
        "distributed.scheduler.worker-ttl": "60s",
        "distributed.worker.profile.enabled": False,
        "distributed.comm.timeouts.connect": "30s",
        "distributed.scheduler.active-memory-manager.start": False,
        # An idle worker would wake fifty times a second to look whether it is awake.
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.tick.cycle": "10s",
        "distributed.admin.system-monitor.interval": "10s",
        "distributed.admin.system-monitor.gil.enabled": False,
        "distributed.admin.tick.limit": "30s",  # small machines starve the event loop for seconds while others start
    }
)


class CalmScheduler(Scheduler):
    """A scheduler of few workers, which it does not ask to beat twice a second: at rest, that is most of what both do."""

    def heartbeat_worker(self, *args: Any, **more: Any) -> dict[str, Any]:
        """Dask's answer to a beat, with the time of the next."""
        answer: dict[str, Any] = super().heartbeat_worker(*args, **more)
        if "heartbeat-interval" in answer:
            answer["heartbeat-interval"] = max(answer["heartbeat-interval"], BEAT_S)
        return answer


def dask_resources(resources: Resources) -> dict[str, float]:
    """A job's needs under the names that the workers declare."""
    return dict(zip(RESOURCE_NAMES, (resources.cpu, resources.memory_gb, resources.disk), strict=True))


def worker_address(client: Client, machine: str) -> str | None:
    """Where the worker of a machine listens, None where it is not connected now."""
    for address, info in client.scheduler_info(n_workers=-1)["workers"].items():
        if info["name"] == machine:
            return str(address)
    return None


def run_scheduler(settings: Settings) -> None:
    """Run the scheduler at `dask_scheduler` until SIGTERM or SIGINT."""
    place = urlsplit(settings.parameters.dask_scheduler)
    if place.scheme not in ("tcp", "tls") or place.port is None:
        raise ConfigError(
            f"[PARAMETERS] dask_scheduler: expected tcp://HOST:PORT, got {settings.parameters.dask_scheduler!r}"
        )
    with dask.config.set(_CONFIG):
        asyncio.run(_scheduler(settings, place.scheme, place.hostname or "127.0.0.1", place.port))


async def _scheduler(settings: Settings, protocol: str, host: str, port: int) -> None:
    stop = _stop_event()
    security = dask_security(settings)
    async with CalmScheduler(protocol=f"{protocol}://", host=host, port=port, dashboard=False, security=security) as scheduler:
        print(f"scheduler: ready at {scheduler.address}", flush=True)
        await _first(stop.wait(), _finished(scheduler))


def run_worker(settings: Settings, name: str, port: int | None = None, preload: tuple[str, ...] = ("tasks.worker",)) -> None:
    """Run the worker of machine `name` until SIGTERM or SIGINT; exit code 1 where the scheduler went away.

    `preload` names modules with `dask_setup(worker)`: what jobs need is loaded and started there.
    """
    machine = next((found for found in settings.machines if found.name == name), None)
    if machine is None:
        known = ", ".join(found.name for found in settings.machines)
        raise ConfigError(f"[PROC_MACHINES] names: expected one of {known}, got {name!r}")
    os.environ["SATDAEMON_CONFIG"] = str(settings.source)
    os.environ["SATDAEMON_MACHINE"] = machine.name
    from satdaemon.db import Database  # the scheduler, on its way through this module, does without

    database = Database(settings)
    with dask.config.set(_CONFIG), tempfile.TemporaryDirectory(prefix="satdaemon-worker-") as scratch:
        asked = asyncio.run(_worker(settings, database, machine, machine.port if port is None else port, preload, scratch))
    print(f"worker {name}: ended", flush=True)
    sys.stdout.flush()
    # Threads of jobs that were told to stop may still wait for a slow file system: the guards outlive this process.
    os._exit(0 if asked else 1)


async def _worker(
    settings: Settings, database: Database, machine: Machine, port: int, preload: tuple[str, ...], scratch: str
) -> bool:
    from satdaemon.db import machines

    stop = _stop_event()
    if not await _is_ready(settings, database, machine.name, stop):
        return True
    resources = dask_resources(Resources(machine.cpu, machine.memory_gb, machine.disk))
    worker = Worker(
        settings.parameters.dask_scheduler,
        name=machine.name,
        nthreads=THREADS,
        resources=resources,
        memory_limit=0,
        host=machine.host,
        port=port,
        preload=list(preload),
        preload_argv=[list[str]() for _ in preload],
        dashboard=False,
        local_directory=scratch,
        lifetime=None,
        security=dask_security(settings),
    )
    async with worker:
        machines.register(database, [machine])
        machines.began(database, machine.name)
        print(f"worker {machine.name}: ready at {worker.address}", flush=True)
        seen = asyncio.create_task(_say_alive(settings, database, machine.name))
        await _first(stop.wait(), _finished(worker))
        seen.cancel()
    if stop.is_set():
        machines.gone(database, machine.name)
    return stop.is_set()


async def _is_ready(settings: Settings, database: Database, name: str, stop: asyncio.Event) -> bool:
    """Wait for the database and the scheduler; False where the worker is told to end before."""
    from satdaemon.db import daemon

    def answers() -> bool:
        try:
            daemon.read(database)
        except DatabaseUnavailable:
            return False
        return True

    who, scheduler = f"worker {name}", settings.parameters.dask_scheduler
    if not await wait_for("the database", answers, stop, who):
        return False
    return await wait_for(f"the Dask scheduler at {scheduler}", lambda: listens(scheduler), stop, who)


async def _say_alive(settings: Settings, database: Database, name: str) -> None:
    from satdaemon.db import machines

    while True:
        try:
            await asyncio.to_thread(machines.seen, database, name)
        except Exception as error:  # noqa: BLE001  (a database that restarts must not end the worker and its jobs)
            print(f"worker {name}: could not say that it is alive: {error!r}", flush=True)
        await asyncio.sleep(settings.parameters.heartbeat_s)


async def _finished(server: Any) -> None:
    await server.finished()


def _stop_event() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _first(*waiting: Any) -> None:
    tasks = [asyncio.ensure_future(one) for one in waiting]
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
