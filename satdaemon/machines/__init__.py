"""PROC_MACHINES as a Dask cluster: the scheduler, one worker process a machine, and the processes that stay up."""

from satdaemon.machines.cluster import RESOURCE_NAMES, dask_resources, run_scheduler, run_worker, worker_address
from satdaemon.machines.supervisor import Service, Supervisor

__all__ = [
    "RESOURCE_NAMES",
    "Service",
    "Supervisor",
    "dask_resources",
    "run_scheduler",
    "run_worker",
    "worker_address",
]
