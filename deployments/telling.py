"""Messages from the process that keeps the parts up: its own life, what it watches, and the sender, in a thread.

A thread, because an address that does not answer must not hold up planning.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from satdaemon.config import Settings
from satdaemon.db import Database, messages
from satdaemon.messages import send, watch

TURN_S = 2.0
_BEAT_S = 15.0
_WATCH_S = 60.0
_LATE_S = 3600.0
_LAST_S = 30.0
log = logging.getLogger("satdaemon.messages")


class Telling:
    """Sends messages from `begin` to `end`."""

    def __init__(self, settings: Settings) -> None:
        self.database = Database(settings)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="messages", daemon=True)
        self._due: dict[str, float] = {}
        self._has_said_up = False
        self._trouble = ""

    def begin(self) -> None:
        """Tell that the daemon is up, and send from now on."""
        self._attempt(self._say_up)
        self._thread.start()

    def end(self, why: str) -> None:
        """Tell that the daemon is down; return when that is sent, or after half a minute."""
        if not self._thread.is_alive():
            return
        # Where that fails, the next start tells since when the daemon was gone.
        self._attempt(lambda: messages.daemon_down(self.database, why))
        self._ended.set()
        self._thread.join(_LAST_S)

    def _run(self) -> None:
        began = time.monotonic()
        while not self._ended.wait(TURN_S):
            # Nobody is told of machines whose workers are just being started.
            self._attempt(lambda: self._turn(time.monotonic() - began >= _WATCH_S))
        self._attempt(lambda: send(self.database, everything=True))

    def _say_up(self) -> None:
        if not self._has_said_up:
            messages.daemon_up(self.database)
            self._has_said_up = True

    def _turn(self, may_watch: bool) -> None:
        self._say_up()
        if self._is_due("beat", _BEAT_S):
            messages.daemon_alive(self.database)
        if may_watch and self._is_due("watch", _WATCH_S):
            watch(self.database, late=self._is_due("late", _LATE_S))
        done = send(self.database)
        for name, error in (done.failed if done is not None else {}).items():
            log.warning("message not taken by %s: %s; tried again", name, error)

    def _attempt(self, work: Callable[[], object]) -> None:
        """Do it; what goes wrong is logged once, and tried again with the next turn."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the database may be away; the thread must outlive that
            trouble = f"{type(error).__name__}: {error}"
            if trouble != self._trouble:
                log.error("messages: %s; tried again every %g s", trouble, TURN_S)
            self._trouble = trouble
        else:
            self._trouble = ""

    def _is_due(self, what: str, every_s: float) -> bool:
        now = time.monotonic()
        if now - self._due.get(what, -every_s) < every_s:
            return False
        self._due[what] = now
        return True
