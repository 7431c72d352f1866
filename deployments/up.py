"""Brings everything up, embedded, on this machine; or one part as a service of its own.

python -m deployments.up [-d CFG] [--once]
python -m deployments.up [-d CFG] --only KIND [MACHINE]

Parts that end are started again. Of everything together, Ctrl-C is a power down: pending jobs are cancelled, running
ones end, then all stops; a second Ctrl-C stops running jobs too. SIGTERM ends all in order and gives jobs back. A part
of its own ends in order on either; in a power down it idles, until the daemon is resumed. With --once everything ends
by itself when nothing that is owed can move any more.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from deployments import services
from deployments.claims import Claims
from deployments.display import Display
from deployments.parts import PLANNER, Part, all_parts, one_part, reason_to_stay
from deployments.power import Power, Signals
from deployments.status_file import write_status
from satdaemon.config import Settings, load
from satdaemon.db import Database
from satdaemon.db.parts import DOWN, ENDING, IDLE, STARTING, UP, PartState
from satdaemon.errors import DatabaseUnavailable, RequestError, SatDaemonError
from satdaemon.machines.supervisor import Service, Supervisor

if TYPE_CHECKING:
    from deployments.telling import Telling
    from deployments.turns import Turns

_SERVER_STARTS = 5
_TURN_S = 1.0
_STATUS_S = 5.0
RESUME = "powered down; `satdaemon daemon resume` starts it again"


class Up:
    """Parts that are kept up. All of it happens in one thread, but for the beats of their claims."""

    def __init__(self, settings: Settings, parts: Sequence[Part], database: Database, display: Display, *, once: bool) -> None:
        self.settings, self.parts, self.database, self.display = settings, parts, database, display
        self.once = once
        self.is_whole = len(parts) > 1
        self.began = time.monotonic()
        self.state = STARTING
        self.idle: set[str] = set()
        self.signals = Signals(display.tell)
        self.power = Power(database, display.tell)
        self.supervisor = Supervisor(display.tell)
        self.claims = Claims(database, [part.name for part in parts], self.states, display.tell)
        self.turns: Turns | None = None
        self.telling: Telling | None = None
        self.why_ended = "an error, which its terminal or journal shows"
        self._written = 0.0

    def run(self) -> None:
        """Start, tend, stop."""
        self.signals.listen()
        if not self.claims.take(lambda: self.signals.is_over):
            return
        try:
            if self.is_whole:
                services.check_addresses(self.settings)
            self._start()
            self._tend()
        finally:
            self._set(ENDING, "stopping")
            self.display.show("ending: flow runs give their jobs back, then workers and servers end")
            self.supervisor.stop()
            if self.telling is not None:
                self.telling.end(self.why_ended)
            self.claims.give_back()
            self._set(ENDING, "stopped")

    def _start(self) -> None:
        settings = self.settings
        os.environ.update(services.prefect_environment(settings))
        if not self.is_whole:
            self.power.follow(0)
        for part in self.parts:
            self._bring_up(part)
        if any(part.kind == PLANNER for part in self.parts):
            # Imported while the parts start: Prefect costs some seconds of this process.
            from deployments.telling import Telling
            from deployments.turns import Turns

            self.telling = Telling(settings)
            self.turns = Turns(settings, self.display.tell, schedules=not self.once)
        if self.is_whole and self.turns is not None:
            self.turns.dispatching.resume()
            self.turns.dispatching.plan()
            self._wait_for_prefect()
        if self.telling is not None:
            self.telling.begin()
        self._set(UP, "running")

    def _bring_up(self, part: Part) -> None:
        if self.power.is_down:
            self.idle.add(part.name)
            self.display.tell(f"{part.name}: {RESUME}")
            return
        for service in part.services:
            self.supervisor.add(service)
        self.display.tell(f"{part.name}: started" + (f", log {part.services[-1].log}" if self.is_whole and part.services else ""))

    def _wait_for_prefect(self) -> None:
        server = next(service for part in self.parts if part.kind == "prefect" for service in part.services)
        while not services.is_healthy(self.settings) and not self.signals.is_over:
            self.supervisor.tend()
            self.display.show("waiting for the Prefect server to start")
            if server.starts > _SERVER_STARTS:
                tail = services.log_tail(server.log)
                raise RequestError(f"the Prefect server ended {_SERVER_STARTS} times at its start:\n{tail}")
            time.sleep(0.1)
        if self.signals.is_over:
            return
        self.display.tell(f"Prefect server at {self.settings.parameters.prefect_api.removesuffix('/api')}  {self._clock()}")

    def _tend(self) -> None:
        """Until it is time to end."""
        while not self.signals.is_terminated:
            self.supervisor.tend()
            self._be_alone()
            if not self.is_whole and self.signals.interrupts:
                break
            self.power.follow(self.signals.interrupts if self.is_whole else 0)
            note = ""
            try:
                if self.power.is_down:
                    note = self._powered_down()
                    if self.is_whole and not note:
                        self.why_ended = "powered down: the last job has ended"
                        self.display.tell(self.why_ended)
                        return
                elif self._work():
                    return
            except DatabaseUnavailable:
                note = "the database does not answer: what runs goes on"
            self.display.show(note)
            if time.monotonic() - self._written >= _STATUS_S:
                self._set(UP, "running")
            time.sleep(_TURN_S)
        self.why_ended = "told to end by a signal, ended in order"

    def _work(self) -> bool:
        """Start again what idled, take the planner's turn; True where `once` finds nothing left to do."""
        for part in [part for part in self.parts if part.name in self.idle]:
            self.idle.remove(part.name)
            self._bring_up(part)
            self.claims.renew()
        if self.turns is not None:
            self.turns.take()
            if self.once and self.turns.is_idle():
                self.why_ended = "nothing that is owed can move any more"
                self.display.tell(f"{self.why_ended}  {self._clock()}")
                return True
        return False

    def _powered_down(self) -> str:
        """Let a part idle whose turn has come; what is waited for, in words."""
        running = self.power.running()
        if self.is_whole:
            return f"powering down: waiting for {len(running)} running job{'s' if len(running) > 1 else ''}" if running else ""
        waits = []
        for part in [part for part in self.parts if part.name not in self.idle]:
            reason = reason_to_stay(self.database, part)
            if reason is not None:
                waits.append(f"{part.name}: powering down, waits for {reason}")
                continue
            self.supervisor.end(part.services)
            self.idle.add(part.name)
            self.display.tell(f"{part.name}: {RESUME}")
            self.claims.renew()
        return "; ".join(waits) or RESUME

    def _be_alone(self) -> None:
        if self.claims.failure is not None:
            raise self.claims.failure
        if self.claims.lost:
            raise RequestError(
                f"{', '.join(self.claims.lost)}: this process was not heard of for too long, and another one has taken over "
                "(satdaemon daemon status shows which): this one ends and gives its jobs back"
            )

    def states(self) -> Mapping[str, PartState]:
        """How the parts are, for their claims' beats."""
        return {part.name: self._state_of(part) for part in self.parts}

    def _state_of(self, part: Part) -> PartState:
        restarts = sum(max(service.starts - 1, 0) for service in part.services)
        log = str(part.services[-1].log) if part.services and part.services[-1].log is not None else None
        if part.name in self.idle:
            return PartState(IDLE, RESUME, restarts, log)
        down = [service.name for service in part.services if not service.is_up]
        if self.state != UP:
            return PartState(self.state, None, restarts, log)
        if down:
            return PartState(DOWN, f"{', '.join(down)} ended and is started again", restarts, log)
        said = [service.waits_for for service in part.services if service.waits_for is not None]
        waits_for = self.turns.waits_for if part.kind == PLANNER and self.turns is not None else None
        return PartState(UP, f"waits for {waits_for}" if waits_for else "; ".join(said) or part.note, restarts, log)

    def _clock(self) -> str:
        return f"({time.monotonic() - self.began:.1f} s)"

    def _set(self, state: str, word: str) -> None:
        """Note the state; of the whole system also in the status file."""
        self.state = state
        self._written = time.monotonic()
        if self.is_whole:
            running: list[Service] = self.supervisor.services
            write_status(self.settings, word, time.monotonic() - self.began, running)


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
    database = Database(settings)
    # Beside the other places: the name of a Unix socket must be short.
    with alone(settings.parameters.service_path), tempfile.TemporaryDirectory(prefix="satdaemon-") as scratch:
        parts = all_parts(settings, Path(scratch) / "forks")
        with Display(database, is_live=True) as display:
            Up(settings, parts, database, display, once=once).run()


def up_only(settings: Settings, kind: str, machine: str | None = None) -> None:
    """Keep one part up until told to end, its output with this process's."""
    part = one_part(settings, kind, machine)
    database = Database(settings)
    with Display(database, is_live=False) as display:
        Up(settings, [part], database, display, once=False).run()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m deployments.up", description="Bring everything up on this machine.")
    parser.add_argument("-d", "--config", metavar="CFG", help="configuration file")
    parser.add_argument("--once", action="store_true", help="end when nothing that is owed can move any more")
    parser.add_argument("--only", nargs="+", metavar=("KIND", "MACHINE"), help="only this part; for a worker with its machine")
    arguments = parser.parse_args()
    try:
        settings = load(arguments.config)
        if arguments.only:
            up_only(settings, *arguments.only[:2])
        else:
            up(settings, once=arguments.once)
    except SatDaemonError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
