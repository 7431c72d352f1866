"""Prefect's engine here, only the job's body on the cluster.

prefect-dask sends a task with Prefect's whole engine to a Dask worker: there a dead worker leaves its task run RUNNING
for ever and its retries unused, and cancelling a flow leaves programs running (docs/decisions). This subclass of its
runner keeps the connection and its life, and `dask.annotate`, but runs each task in a thread of the flow's process; the
task sends a plain function to the machine that the database granted.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextvars import copy_context
from typing import Any
from uuid import uuid4

import dask
from distributed import Future
from distributed.client import FutureCancelledError
from distributed.scheduler import KilledWorker, NoValidWorkerError
from distributed.utils import sync
from prefect.context import FlowRunContext
from prefect.futures import PrefectConcurrentFuture, PrefectFuture
from prefect.task_engine import run_task_sync
from prefect.tasks import Task
from prefect_dask import DaskTaskRunner

from satdaemon.config import Settings
from satdaemon.errors import WorkerLost
from satdaemon.machines.cluster import worker_address
from satdaemon.machines.security import dask_security
from tasks.stop import Stopped

_POLL_S = 0.5
_WORKER_S = 15.0
"""How long a granted machine's worker may be missing (it may be starting again) before the grant is given back."""


class ClusterTaskRunner(DaskTaskRunner):
    """Threads for Prefect's engine, the Dask cluster for the bodies."""

    def __init__(self, address: str | None = None, **settings: Any) -> None:
        super().__init__(address=address, **settings)
        self.stop = threading.Event()
        self._threads: ThreadPoolExecutor | None = None
        self._live: set[Future[Any]] = set()
        self._lock = threading.Lock()

    def duplicate(self) -> ClusterTaskRunner:
        """A runner of the same settings, as each flow run gets its own."""
        return type(self)(address=self.address, client_kwargs=self.client_kwargs)

    def __enter__(self) -> ClusterTaskRunner:
        super().__enter__()  # type: ignore[no-untyped-call]
        self.stop.clear()
        self._threads = ThreadPoolExecutor(max_workers=1024, thread_name_prefix="task")
        return self

    def __exit__(self, *args: Any) -> None:
        """Wait for the tasks; where the flow ended by an exception or a signal, stop them first."""
        if args and args[0] is not None:
            self.cancel_all()
        if self._threads is not None:
            self._threads.shutdown(wait=True)
            self._threads = None
        super().__exit__(*args)

    def connect(self, settings: Settings) -> None:
        """Connect to the configured scheduler now. OSError where it does not answer."""
        self.address = settings.parameters.dask_scheduler
        self.client_kwargs["security"] = dask_security(settings)
        _ = self.client

    def cancel_all(self) -> None:
        """Stop every task and every body: machines end the child processes within seconds."""
        self.stop.set()
        with self._lock:
            live = list(self._live)
        if live:
            self.client.cancel(live, force=True)

    def submit(  # type: ignore[override]
        self,
        task: Task[..., Any],
        parameters: dict[str, Any],
        wait_for: Iterable[PrefectFuture[Any]] | None = None,
        dependencies: dict[str, set[Any]] | None = None,
    ) -> PrefectConcurrentFuture[Any]:
        """Run the task in a thread here. Annotations in force (`dask.annotate`) count for what it sends to the cluster."""
        if self._threads is None:
            raise RuntimeError("the task runner must be started before submitting work")
        task_run_id = uuid4()
        future = self._threads.submit(
            copy_context().run,
            run_task_sync,
            task=task,
            task_run_id=task_run_id,
            parameters=parameters,
            wait_for=wait_for,
            return_type="state",
            dependencies=dependencies,
        )
        return PrefectConcurrentFuture(task_run_id=task_run_id, wrapped_future=future)

    def call(
        self, machine: str, title: str, while_waiting: Callable[[], None], function: Callable[..., Any], *arguments: Any
    ) -> Any:
        """Run a plain function on a machine's worker, with the resources and priority annotated, and wait.

        `while_waiting` is called about twice a second; what it raises ends the waiting, and the body. Raises WorkerLost
        where the worker went away, Stopped where the flow run is being ended.
        """
        annotations = dask.get_annotations()
        future = self.client.submit(
            function,
            *arguments,
            key=f"{title.replace(' ', '-')}-{uuid4().hex}",
            workers=[self._address_of(machine)],
            resources=annotations.get("resources"),
            priority=annotations.get("priority", 0),
            pure=False,
        )
        with self._lock:
            self._live.add(future)
        try:
            return self._result(future, machine, while_waiting)
        except WorkerLost:
            future.cancel(force=True)
            raise
        finally:
            with self._lock:
                self._live.discard(future)

    def _result(self, future: Future[Any], machine: str, while_waiting: Callable[[], None]) -> Any:
        while True:
            try:
                return _waited(future)
            except (TimeoutError, FutureTimeout):
                if self.stop.is_set():
                    future.cancel(force=True)
                    raise Stopped from None
                while_waiting()
            except (KilledWorker, NoValidWorkerError, CancelledError, FutureCancelledError, OSError) as error:
                if self.stop.is_set():
                    raise Stopped from error
                raise WorkerLost(f"the worker of {machine} went away: {error}") from error

    def _address_of(self, machine: str) -> str:
        waited_s = 0.0
        while (address := worker_address(self.client, machine)) is None:
            if self.stop.wait(_POLL_S):
                raise Stopped
            waited_s += _POLL_S
            if waited_s > _WORKER_S:
                raise WorkerLost(f"machine {machine} was granted, but its worker is not connected to the scheduler")
        return address


def _waited(future: Future[Any]) -> Any:
    """The result, waited for a moment. Raises as Dask does; CancelledError where its own wait was cancelled."""
    try:
        return future.result(timeout=_POLL_S)
    except UnboundLocalError as error:
        if not _is_of_a_cancelled_wait(error):
            raise
        raise CancelledError("the wait for it was cancelled: the scheduler went away") from error


def _is_of_a_cancelled_wait(error: UnboundLocalError) -> bool:
    """True where Dask's `sync` raised it, which returns a result that it has not where its coroutine was cancelled."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_code is sync.__code__


def current_cluster() -> ClusterTaskRunner:
    """The task runner of the flow run that this task belongs to."""
    context = FlowRunContext.get()
    runner = context.task_runner if context is not None else None
    if not isinstance(runner, ClusterTaskRunner):
        raise RuntimeError("a job runs only within a flow whose task runner is ClusterTaskRunner")
    return runner
