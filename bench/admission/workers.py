"""The Dask workers of the mix's machines, in one process.   python -m bench.admission.workers SCHEDULER"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack

from distributed import Worker

from bench.admission.mix import MACHINES

_NAMES = ("CPU", "MEM", "DISK")


async def serve(scheduler: str) -> None:
    """Work until killed."""
    async with AsyncExitStack() as stack:
        for name, size in MACHINES.items():
            resources = dict(zip(_NAMES, size, strict=True))
            worker = Worker(scheduler, name=name, nthreads=256, resources=resources, memory_limit=0, dashboard=False)
            await stack.enter_async_context(worker)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
