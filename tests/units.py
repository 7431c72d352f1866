"""What systemd does for a site, in small: parts as services of their own, started again when they end, and PostgreSQL too."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

import psutil
from only_parts import start_part
from postgres import Cluster

from satdaemon.config import Settings

MARK = "SATDAEMON_TEST_SITE"
"""In the environment of every process of a site, whoever started it: by it orphans are found."""
_AGAIN_S = 1.0


class Units:
    """`satdaemon up --only` processes and a PostgreSQL that are kept up until `stop`."""

    def __init__(self, settings: Settings, server: Cluster, logs: Path) -> None:
        self.mark = uuid.uuid4().hex
        self.restarts = 0
        self.keeps_postgres = True
        """False while a test has it down on purpose."""
        self._settings, self._server, self._logs = settings, server, logs
        self._wanted: dict[str, Mapping[str, str]] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._due: dict[str, float] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="units")

    def add(self, part: str, environment: Mapping[str, str]) -> None:
        """Keep a part up from now on; `environment` is of its host."""
        self._wanted[part] = environment

    def start(self) -> None:
        """Start all, and keep them up from now on."""
        self._thread.start()

    def pid(self, part: str) -> int:
        """The process that keeps the part up."""
        return self._running[part].pid

    def below(self, part: str, words: str) -> list[psutil.Process]:
        """Processes of a part whose command line has `words`, outermost first."""
        found = []
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.pid(part)).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if words in " ".join(process.cmdline()):
                        found.append(process)
        return found

    def marked(self) -> dict[int, str]:
        """Every living process of this site, whoever is its parent: process id and command line."""
        found = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == self.mark:
                    found[process.pid] = " ".join(process.cmdline())
        return found

    def orphans(self) -> dict[int, str]:
        """Marked processes that stand below none of the units."""
        ours: set[int] = set()
        for unit in list(self._running.values()):
            with contextlib.suppress(psutil.NoSuchProcess):
                ours |= {unit.pid, *(child.pid for child in psutil.Process(unit.pid).children(recursive=True))}
        return {pid: command for pid, command in self.marked().items() if pid not in ours}

    def stop(self) -> dict[str, int]:
        """End all in order, by SIGTERM; return codes by part."""
        self._end.set()
        self._thread.join()
        for process in self._running.values():
            process.terminate()
        codes = {}
        for part, process in self._running.items():
            try:
                codes[part] = process.wait(90)
            except subprocess.TimeoutExpired:
                process.kill()
                codes[part] = process.wait()
        return codes

    def _run(self) -> None:
        while not self._end.wait(0.1):
            if self.keeps_postgres and not self._server.is_up:
                self._again("postgres", self._server.start)
            for part in self._wanted:
                if part not in self._running or self._running[part].poll() is not None:
                    self._again(part, lambda part=part: self._start(part))

    def _again(self, name: str, start: object) -> None:
        """Start after a pause, as RestartSec= of a unit."""
        if name in self._running or name == "postgres":
            due = self._due.setdefault(name, time.monotonic() + _AGAIN_S)
            if time.monotonic() < due:
                return
            del self._due[name]
            self.restarts += 1
        with contextlib.suppress(RuntimeError):  # PostgreSQL whose last processes still end: tried again
            start()  # type: ignore[operator]

    def _start(self, part: str) -> None:
        environment = {MARK: self.mark, **self._wanted[part]}
        self._running[part] = start_part(self._settings.source, part, self._logs / f"{part}.log", environment)
