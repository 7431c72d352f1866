"""Power down: what signals and the database ask for, and what its end waits for."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from satdaemon.control import SatDaemonController
from satdaemon.db import Database, RunningJob, daemon, jobs
from satdaemon.errors import DatabaseUnavailable

_NOW_S = 60.0
"""How long jobs that were asked to stop are waited for before the processes are ended with them."""


class Signals:
    """SIGTERM and SIGINT as this process got them."""

    def __init__(self, tell: Callable[[str], Any]) -> None:
        self.is_terminated = False
        self.interrupts = 0
        self._tell = tell

    def listen(self) -> None:
        """Take them from now on; a third SIGINT counts as SIGTERM."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._take)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        self.interrupts += number == signal.SIGINT
        self.is_terminated = self.is_terminated or number == signal.SIGTERM or self.interrupts >= 3

    @property
    def is_over(self) -> bool:
        """True where any of them came."""
        return self.is_terminated or self.interrupts > 0


class Power:
    """The daemon's command, read at each turn; and the power down that Ctrl-C asks for."""

    def __init__(self, database: Database, tell: Callable[[str], Any]) -> None:
        self.is_down = False
        """True while the daemon is to power down."""
        self._database, self._tell = database, tell
        self._control = SatDaemonController(database)
        self._done = 0
        self._stopping_since: float | None = None

    def follow(self, interrupts: int) -> None:
        """Ask for what Ctrl-C means, then read the command."""
        try:
            if interrupts > self._done:
                self._ask(now=interrupts > 1)
                self._done = interrupts
            self.is_down = daemon.read(self._database).command == daemon.POWER_DOWN
        except DatabaseUnavailable:
            return  # the claims say so; asked for again at the next look

    def running(self) -> list[RunningJob]:
        """The jobs that a power down still waits for; lost ones are put back. Empty once jobs had their time to stop."""
        jobs.rescue(self._database)
        left = self._database.query(RunningJob)
        if self._stopping_since is not None and time.monotonic() - self._stopping_since > _NOW_S:
            return []
        return left

    def _ask(self, *, now: bool) -> None:
        count = self._control.power_down_daemon(now=now)
        if now:
            self._stopping_since = time.monotonic()
            self._tell(f"powering down now: {count} jobs are stopped and given back")
        else:
            self._tell(f"powering down: {count} pending jobs cancelled, running ones end first; Ctrl-C again stops them too")
