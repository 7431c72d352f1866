"""One thread a flow process that asks the database for machines and tells waiting tasks which they got.

It also renews the flow run's claim of its frame, and keeps the progress that running jobs reported.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Self

from prefect.logging import get_logger

from satdaemon.db import Database, RunningJob, jobs, runs
from tasks.stop import Stopped, Withdrawn

_IDLE_S = 1.0
_SPACING_S = 0.03
"""Nudges closer together than this share one pass."""
_PROGRESS_S = 3.0
_TAKEN_S = 9.0
"""An attempt that the database has not had as running for so long is not waited for: its result would have come."""

_current: ContextVar[Grants] = ContextVar("grants")


def current_grants() -> Grants:
    """The grants of the flow run that this task belongs to."""
    return _current.get()


class Grants:
    """Grants for the jobs of one frame. Use as a context manager around the frame's tasks."""

    def __init__(self, database: Database, frame_id: str, holder: str) -> None:
        self.database = database
        self.frame_id = frame_id
        self.holder = holder
        self.has_lost_claim = False
        self.progress: dict[int, tuple[float, str]] = {}
        self._attempts: dict[int, int] = {}
        self._looked_s = 0.0
        self._waiting: dict[int, jobs.JobState | None] = {}
        self._changed = threading.Condition()
        self._nudge = threading.Event()
        self._end = threading.Event()
        self._withdrawn = False
        self._thread = threading.Thread(target=self._run, name="grants", daemon=True)

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end.set()
        self.withdraw()
        self._nudge.set()
        self._thread.join(10)
        _current.reset(self._token)

    def nudge(self) -> None:
        """Something changed: a job ended, or new ones wait."""
        self._nudge.set()

    def withdraw(self) -> None:
        """Let no job wait any longer: their tasks end, the jobs stay pending."""
        with self._changed:
            self._withdrawn = True
            self._changed.notify_all()

    @property
    def is_withdrawn(self) -> bool:
        """True once no job is to wait any longer."""
        return self._withdrawn

    @property
    def waiting(self) -> int:
        """Jobs that wait for a machine now."""
        with self._changed:
            return len(self._waiting)

    def watch(self, job_id: int, attempt: int) -> Callable[[], bool]:
        """A question that is true once another attempt, or none, has held the job for a while.

        A worker that stands still keeps its connection: without, its job would wait for Dask to miss it.
        """
        held_s = time.monotonic()

        def is_taken() -> bool:
            nonlocal held_s
            if self._attempts.get(job_id) == attempt:
                held_s = max(self._looked_s, held_s)
            return self._looked_s - held_s > _TAKEN_S

        return is_taken

    def wait(self, job_id: int, stop: threading.Event) -> jobs.JobState:
        """Wait, holding nothing, until the job has a machine or is no job any more; its state then.

        Raises Stopped where the flow run is being ended, Withdrawn where the job is not to wait any longer.
        """
        with self._changed:
            self._waiting[job_id] = None
            self._nudge.set()
            try:
                while True:
                    if stop.is_set():
                        raise Stopped
                    if self._withdrawn:
                        raise Withdrawn
                    state = self._waiting[job_id]
                    if state is not None:
                        return state
                    self._changed.wait(0.5)
            finally:
                del self._waiting[job_id]

    def _run(self) -> None:
        beaten = 0.0
        heartbeat_s = self.database.settings.parameters.heartbeat_s
        while not self._end.is_set():
            is_nudged = self._nudge.wait(_IDLE_S)
            self._nudge.clear()
            try:
                now = time.monotonic()
                if now - beaten >= min(heartbeat_s, self.database.settings.parameters.lease_s / 4):
                    beaten = now
                    self._renew_claim()
                if now - self._looked_s >= _PROGRESS_S:
                    self._look()
                self._pass(is_nudged)
            except Exception:  # noqa: BLE001  (a database that restarts must not end the flow run; the claim decides)
                get_logger("grants").warning("the database did not answer; tried again", exc_info=True)
                self._end.wait(2.0)
            self._end.wait(_SPACING_S)

    def _look(self) -> None:
        rows = self.database.query(RunningJob, frame_id=self.frame_id)
        self.progress = {row.job_id: (row.progress or 0.0, row.message or "") for row in rows}
        self._attempts = {row.job_id: row.attempt for row in rows}
        self._looked_s = time.monotonic()

    def _renew_claim(self) -> None:
        if not runs.beat_frame(self.database, self.frame_id, self.holder):
            self.has_lost_claim = True
            self.withdraw()

    def _pass(self, is_nudged: bool) -> None:
        with self._changed:
            ids = [job_id for job_id, state in self._waiting.items() if state is None]
        if not ids:
            return
        # A pass serves every frame: without news of our own, one a second for all flow processes is enough.
        jobs.grant_pass(self.database, unless_within_s=0.0 if is_nudged else _IDLE_S)
        states = jobs.states(self.database, ids)
        with self._changed:
            for job_id, state in states.items():
                if job_id in self._waiting and (state.held or state.status in ("granted", "gone", "failed")):
                    self._waiting[job_id] = state
            self._changed.notify_all()
