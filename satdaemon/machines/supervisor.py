"""Keeps processes up: started in order, started again when they end, ended in the opposite order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_STEADY_S = 30.0
"""A process that has lived so long starts at once when it ends; one that has not waits longer each time."""


@dataclass(eq=False)
class Service:
    """One process that has to be up."""

    name: str
    argv: tuple[str, ...]
    log: Path | None
    """Where its output is appended; None: to this process's own."""
    env: Mapping[str, str] = field(default_factory=dict)
    grace_s: float = 15.0
    note: Path | None = None
    """Where the process says what it waits for; there is no such file while it waits for nothing."""
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    started_s: float = 0.0
    due_s: float = 0.0

    @property
    def is_up(self) -> bool:
        """True while the process lives."""
        return self.process is not None and self.process.poll() is None

    @property
    def waits_for(self) -> str | None:
        """What the process says that it waits for."""
        try:
            return self.note.read_text().strip() or None if self.note is not None else None
        except FileNotFoundError:
            return None

    def start(self) -> None:
        """Start the process in a session of its own, tied to this one's life."""
        with self._output() as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "satdaemon.machines.tether", *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.env},
                start_new_session=True,
            )
        self.starts += 1
        self.started_s = time.monotonic()

    def _output(self) -> AbstractContextManager[IO[bytes] | None]:
        if self.log is None:
            return nullcontext()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        return self.log.open("ab")

    def stop(self) -> None:
        """SIGTERM; SIGKILL to its whole session after `grace_s`."""
        if self.process is None:
            return
        if self.is_up:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(self.grace_s)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Supervisor:
    """Several services. All calls from one thread: the services are tied to the life of the thread that starts them."""

    def __init__(self, tell: Callable[[str], Any] = print) -> None:
        self.services: list[Service] = []
        self._tell = tell

    def add(self, service: Service) -> Service:
        """Start a service and keep it up from now on."""
        self.services.append(service)
        service.start()
        return service

    def tend(self) -> None:
        """Start again what has ended. Call it often: it costs one poll a service."""
        now = time.monotonic()
        for service in self.services:
            if service.is_up:
                continue
            if service.due_s == 0.0:
                code = service.process.returncode if service.process is not None else None
                lived_s = now - service.started_s
                wait_s = 0.0 if lived_s > _STEADY_S else _BACKOFF_S[min(service.starts - 1, len(_BACKOFF_S) - 1)]
                service.due_s = now + wait_s
                how = f"ended with code {code} after {lived_s:.0f} s"
                where = f"; see {service.log}" if service.log is not None else ""
                self._tell(f"{service.name}: {how}, again in {wait_s:g} s{where}")
            if now >= service.due_s:
                service.due_s = 0.0
                service.start()

    def end(self, services: Iterable[Service]) -> None:
        """End some of the services, the last of them first, and keep them up no longer."""
        wanted = list(services)
        for service in reversed([one for one in self.services if one in wanted]):
            service.stop()
            self.services.remove(service)

    def stop(self) -> None:
        """End all services, the last started first."""
        self.end(list(self.services))
