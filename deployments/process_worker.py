"""Prefect's process worker, started while the server may still be starting.   python -m deployments.process_worker -d CFG

With it runs a flow server (deployments.flow_server), of which the flow runs are forks. SIGTERM ends the flow runs first: they
give their jobs back, then the worker ends.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shlex
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker

from deployments.flow_run import SERVER
from deployments.nudging import nudge
from deployments.services import is_healthy
from satdaemon.config import Settings, load
from satdaemon.db import slots
from satdaemon.machines.patience import wait_for
from satdaemon.machines.supervisor import Service, Supervisor
from satdaemon.runner.launch import ONE_THREAD

COMMAND = f"{shlex.quote(sys.executable)} -m deployments.flow_run"
"""A fork of what is kept loaded here; it ends with the process worker, however that one ends."""
FLOWS_GRACE_S = 12.0
_AGAIN_S = 5.0


class FlowRunProcess(ProcessJobConfiguration):
    """How a flow run is started, where neither its deployment nor the work pool has a command of its own."""

    def prepare_for_flow_run(self, *args: Any, **more: Any) -> None:
        """See Prefect's."""
        self.command = self.command or COMMAND
        super().prepare_for_flow_run(*args, **more)


@contextlib.contextmanager
def flow_server() -> Iterator[Supervisor]:
    """A flow server for all flow runs that are started within. While it is away, they load for themselves."""
    with tempfile.TemporaryDirectory(prefix="satdaemon-flows-") as name:
        place = str(Path(name) / "server")
        os.environ[SERVER] = place
        kept = Supervisor(lambda line: print(line, flush=True))
        try:
            kept.add(Service("flow server", (sys.executable, "-m", "deployments.flow_server", place), None, ONE_THREAD))
            yield kept
        finally:
            kept.stop()


async def keep(kept: Supervisor) -> None:
    """Look after it, until cancelled."""
    while True:
        await asyncio.sleep(_AGAIN_S)
        kept.tend()


async def serve(settings: Settings) -> None:
    """Poll the work pool until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = f"the Prefect server at {settings.parameters.prefect_api}"
    if not await wait_for(server, lambda: is_healthy(settings), stop, "flows"):
        return
    with flow_server() as kept:
        await poll(settings, kept, stop)


async def poll(settings: Settings, kept: Supervisor, stop: asyncio.Event) -> None:
    """Poll the work pool until `stop`, then end the flow runs."""
    worker = ProcessWorker(
        work_pool_name=settings.parameters.work_pool,
        name=f"flows on {socket.gethostname()}",
        limit=settings.parameters.flow_concurrency + slots.SPARE,
        prefetch_seconds=5,
    )
    worker.job_configuration = FlowRunProcess
    polling = asyncio.create_task(worker.start())
    beside = [asyncio.create_task(nudge(settings)), asyncio.create_task(keep(kept))]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({polling, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in beside:
        task.cancel()
    if polling.done():
        polling.result()
        return
    await end_flow_runs(kept)
    polling.cancel()
    with contextlib.suppress(asyncio.CancelledError, asyncio.TimeoutError):
        await asyncio.wait_for(polling, 3.0)


async def end_flow_runs(kept: Supervisor) -> None:
    """Tell every flow run's process to end, and wait until they have given their jobs back."""
    us, servers = psutil.Process(), {service.process.pid for service in kept.services if service.process is not None}
    told = [process for process in us.children() if process.pid not in servers]
    all_of_them = [process for process in us.children(recursive=True) if process.pid not in servers]
    for process in told:  # one that stands for a fork passes it on
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = await asyncio.to_thread(psutil.wait_procs, all_of_them, FLOWS_GRACE_S)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def main() -> None:
    """Run the process worker."""
    parser = argparse.ArgumentParser(prog="python -m deployments.process_worker")
    parser.add_argument("-d", "--config", metavar="CFG")
    asyncio.run(serve(load(parser.parse_args().config)))
    os._exit(0)  # threads of Prefect's client may still wait for a server that is gone


if __name__ == "__main__":
    main()
