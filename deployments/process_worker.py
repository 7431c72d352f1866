"""Prefect's process worker, started while the server may still be starting.   python -m deployments.process_worker -d CFG

SIGTERM ends the flow runs first: they give their jobs back, then the worker ends.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket

import psutil
from prefect.workers.process import ProcessWorker

from deployments.nudging import nudge
from deployments.services import is_healthy
from satdaemon.config import Settings, load
from satdaemon.db import slots
from satdaemon.machines.patience import wait_for

FLOWS_GRACE_S = 12.0


async def serve(settings: Settings) -> None:
    """Poll the work pool until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = f"the Prefect server at {settings.parameters.prefect_api}"
    if not await wait_for(server, lambda: is_healthy(settings), stop, "flows"):
        return
    worker = ProcessWorker(
        work_pool_name=settings.parameters.work_pool,
        name=f"flows on {socket.gethostname()}",
        limit=settings.parameters.flow_concurrency + slots.SPARE,
        prefetch_seconds=5,
    )
    polling = asyncio.create_task(worker.start())
    asking = asyncio.create_task(nudge(settings))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({polling, stopping}, return_when=asyncio.FIRST_COMPLETED)
    asking.cancel()
    if polling.done():
        polling.result()
        return
    await end_flow_runs()
    polling.cancel()
    with contextlib.suppress(asyncio.CancelledError, asyncio.TimeoutError):
        await asyncio.wait_for(polling, 3.0)


async def end_flow_runs() -> None:
    """Tell every flow run's process to end, and wait until they have given their jobs back."""
    processes = psutil.Process().children(recursive=True)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, FLOWS_GRACE_S)
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
