"""The hold of the parts that this process has up: taken at the start, renewed by a thread, given back at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from satdaemon.control import operator_name
from satdaemon.db import Database, parts
from satdaemon.db.holder import this_process
from satdaemon.db.parts import PartState
from satdaemon.errors import DatabaseUnavailable, SatDaemonError

_AGAIN_S = 2.0


class Claims:
    """Claims of `names`. `states` is asked at each beat how the parts are."""

    def __init__(
        self, database: Database, names: Sequence[str], states: Callable[[], Mapping[str, PartState]], tell: Callable[[str], Any]
    ) -> None:
        self.lost: list[str] = []
        """Parts that another process took over: this one has to end."""
        self.failure: Exception | None = None
        """What ended the beats: this process has to end."""
        self._is_answered = True
        self._database, self._names, self._states, self._tell = database, names, states, tell
        self._holder = this_process(operator_name())
        parameters = database.settings.parameters
        self._every_s = min(parameters.heartbeat_s, parameters.lease_s / 4)
        self._end = threading.Event()
        self._soon = threading.Event()
        self._thread = threading.Thread(target=self._run, name="claims", daemon=True)

    def take(self, is_over: Callable[[], bool]) -> bool:
        """Take them, waiting for the database; False where `is_over` before. RequestError where another has one of them."""
        while not is_over():
            try:
                parts.claim(self._database, self._names, self._holder)
            except DatabaseUnavailable as error:
                self._say(error)
                time.sleep(_AGAIN_S)
                continue
            self._answered()
            self._thread.start()
            return True
        return False

    def renew(self) -> None:
        """Beat now: something changed that others wait for."""
        self._soon.set()

    def give_back(self) -> None:
        """End the hold. Where the database does not answer it passes by itself."""
        self._end.set()
        self._soon.set()
        if self._thread.ident is not None:
            self._thread.join()
            try:
                parts.release(self._database, self._holder)
            except SatDaemonError as error:
                self._say(error)

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                self.lost = parts.beat(self._database, self._states(), self._holder)
                self._answered()
            except SatDaemonError as error:
                self._say(error)
            except Exception as error:  # noqa: BLE001  (of a thread: the one that tends the parts raises it)
                self.failure = error
                return
            self._soon.wait(self._every_s)
            self._soon.clear()

    def _say(self, error: SatDaemonError) -> None:
        if self._is_answered:
            self._tell(f"waits for the database: {error}")
        self._is_answered = False

    def _answered(self) -> None:
        if not self._is_answered:
            self._tell("the database answers again")
        self._is_answered = True
