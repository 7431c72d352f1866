"""Brings everything up, embedded, on this machine.   python -m deployments.up [-d CFG] [--once]

Prefect server on SQLite, Dask scheduler, one worker a machine, the process worker of the flow runs, the planner. Parts
that end are started again. SIGINT or SIGTERM ends all in order: flow runs give their jobs back, then the workers, then
the servers. `power_down_daemon()` ends it too, once the running jobs have ended. With --once it ends by itself when
nothing that is owed can move any more.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from deployments import services
from satdaemon.config import Settings, load
from satdaemon.errors import RequestError, SatDaemonError
from satdaemon.machines.supervisor import Service, Supervisor

if TYPE_CHECKING:
    from deployments.telling import Telling

_SERVER_S = 120.0
_TURN_S = 0.5
_LOOK_S = 5.0
STATUS_NAME = "status.json"


class Up:
    """The running system. All of it happens in one thread."""

    def __init__(self, settings: Settings, scratch: Path, *, once: bool) -> None:
        self.settings = settings
        self.forks = scratch / "forks"
        self.once = once
        self.began = time.monotonic()
        self.asked_to_stop = False
        self.state = "starting"
        self.supervisor = Supervisor(tell)
        self.workers: list[Service] = []
        self.telling: Telling | None = None
        self.why_ended = "an error, which its terminal or journal shows"

    def run(self) -> None:
        """Start, tend, stop."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask_to_stop)
        try:
            self._start()
            self._tend()
        finally:
            self._set("stopping")
            self.supervisor.stop()
            if self.telling is not None:
                self.telling.end(self.why_ended)
            self._set("stopped")

    def _ask_to_stop(self, number: int, _frame: FrameType | None) -> None:
        self.why_ended = f"{signal.Signals(number).name}, ended in order"
        tell(f"{signal.Signals(number).name}: ending in order")
        self.asked_to_stop = True

    def _start(self) -> None:
        settings, supervisor = self.settings, self.supervisor
        os.environ.update(services.prefect_environment(settings))
        server = supervisor.add(services.prefect_server(settings))
        supervisor.add(services.dask_scheduler(settings))
        local = [machine for machine in settings.machines if machine.start == "local"]
        if local:
            supervisor.add(services.fork_server(settings, self.forks))
        self.workers = [supervisor.add(services.dask_worker(settings, machine, self.forks)) for machine in local]
        flows = supervisor.add(services.process_worker(settings))
        # Imported while the parts start: Prefect and the database cost some seconds of this process.
        from deployments.dispatching import Dispatching
        from deployments.telling import Telling

        dispatching = Dispatching(settings)
        dispatching.resume()
        dispatching.plan()
        deadline = time.monotonic() + _SERVER_S
        while not services.is_healthy(settings):
            supervisor.tend()
            if self.asked_to_stop:
                return
            if time.monotonic() > deadline:
                raise RequestError(f"the Prefect server did not answer within {_SERVER_S:g} s:\n{services.log_tail(server.log)}")
            time.sleep(0.1)
        tell(f"Prefect server  {settings.parameters.prefect_api.removesuffix('/api')}  {self._clock()}")
        tell(f"Dask scheduler  {settings.parameters.dask_scheduler}")
        for worker in self.workers:
            tell(f"machine         {worker.name}")
        names = dispatching.deploy(schedules=not self.once)
        tell(f"deployments     planner, maintenance, {len(names)} frames  {self._clock()}")
        tell(f"flow runs       process worker (pid {flows.process.pid if flows.process else '-'}), logs in {flows.log.parent}")
        dispatching.turn()
        self.dispatching = dispatching
        self.telling = Telling(settings)
        self.telling.begin()
        self._set("running")

    def _tend(self) -> None:
        looked = 0.0
        while not self.asked_to_stop:
            self.supervisor.tend()
            if time.monotonic() - looked >= _LOOK_S or self.dispatching.is_due():
                looked = time.monotonic()
                self._set("running")
                started = self.dispatching.turn()
                for frame_id in started:
                    tell(f"started         process-frame/{frame_id}")
            if self.dispatching.is_powered_down():
                self.why_ended = "powered down, the last job has ended"
                tell("powered down: the last job has ended")
                return
            if self.once and self.dispatching.is_idle():
                self.why_ended = "nothing that is owed can move any more"
                tell(f"nothing that is owed can move any more  {self._clock()}")
                return
            time.sleep(_TURN_S)

    def _clock(self) -> str:
        return f"({time.monotonic() - self.began:.1f} s)"

    def _set(self, state: str) -> None:
        """Write the status file: what programs may read to know how the system is."""
        self.state = state
        value: dict[str, Any] = {
            "state": state,
            "pid": os.getpid(),
            "config": str(self.settings.source),
            "prefect_ui": self.settings.parameters.prefect_api.removesuffix("/api"),
            "dask_scheduler": self.settings.parameters.dask_scheduler,
            "up_s": round(time.monotonic() - self.began, 1),
            "parts": [
                {
                    "name": service.name,
                    "pid": service.process.pid if service.process is not None else None,
                    "up": service.is_up,
                    "starts": service.starts,
                    "log": str(service.log),
                }
                for service in self.supervisor.services
            ],
        }
        path = self.settings.parameters.service_path / STATUS_NAME
        part = path.with_suffix(".part")
        part.write_text(json.dumps(value, indent=1) + "\n")
        part.replace(path)


def tell(line: str) -> None:
    """One line for the person at the terminal."""
    print(line, flush=True)


@contextmanager
def alone(service_path: Path) -> Iterator[None]:
    """Hold the place of the services; RequestError where another `up` holds it."""
    service_path.mkdir(parents=True, exist_ok=True)
    with (service_path / "up.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RequestError(f"expected no other running system in {service_path}, found one: stop it first") from None
        yield


def up(settings: Settings, *, once: bool = False) -> None:
    """Bring everything up and keep it up until told to end; with `once` until nothing that is owed can move."""
    with alone(settings.parameters.service_path):
        services.check_addresses(settings)
        # Beside the other places: the name of a Unix socket must be short.
        with tempfile.TemporaryDirectory(prefix="satdaemon-") as scratch:
            Up(settings, Path(scratch), once=once).run()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m deployments.up", description="Bring everything up on this machine.")
    parser.add_argument("-d", "--config", metavar="CFG", help="configuration file")
    parser.add_argument("--once", action="store_true", help="end when nothing that is owed can move any more")
    arguments = parser.parse_args()
    try:
        up(load(arguments.config), once=arguments.once)
    except SatDaemonError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
