"""JobLogger: progress, warnings and errors of one job, bound once to job, frame, stage and attempt.

Every message is a line of JSON in the job's event file. Under the engine, the runner carries the newest progress and
all warnings from there to the database with each beat, so a program never waits for the database. A program that was
not started by the engine but names its job in the environment writes progress to the database itself.

    from satdaemon.joblog import JobLogger
    with JobLogger() as log:
        log.progress(0.4, "unwrapping")
        log.warning("two islands could not be joined")

Programs in other languages call `satdaemon joblog`, or append such a line themselves (docs/howto/own-processor.md).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from satdaemon.errors import RequestError

if TYPE_CHECKING:
    import logging

ENV_JOB = "SATDAEMON_JOB_ID"
ENV_ATTEMPT = "SATDAEMON_ATTEMPT"
ENV_FRAME = "SATDAEMON_FRAME"
ENV_STAGE = "SATDAEMON_STAGE"
ENV_EVENTS = "SATDAEMON_JOB_LOG"
ENV_CONFIG = "SATDAEMON_CONFIG"
_FILE_INTERVAL_S = 0.2
_DATABASE_INTERVAL_S = 5.0


@dataclass(frozen=True, slots=True)
class JobContext:
    """Which job a message belongs to, and the file its messages go to."""

    job_id: int
    attempt: int
    frame_id: str
    stage: str
    events: Path | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """The job that this process was started for. RequestError where the environment names none."""
        environment = os.environ if environment is None else environment
        try:
            job_id, attempt = int(environment[ENV_JOB]), int(environment[ENV_ATTEMPT])
        except (KeyError, ValueError) as error:
            raise RequestError(
                f"JobLogger: expected {ENV_JOB} and {ENV_ATTEMPT} in the environment (the engine sets them for the "
                f"programs that it starts), got {error}"
            ) from error
        events = environment.get(ENV_EVENTS)
        return cls(
            job_id,
            attempt,
            environment.get(ENV_FRAME, ""),
            environment.get(ENV_STAGE, ""),
            Path(events) if events else None,
        )

    def to_environment(self) -> dict[str, str]:
        """Inverse of `from_environment`."""
        found = {
            ENV_JOB: str(self.job_id),
            ENV_ATTEMPT: str(self.attempt),
            ENV_FRAME: self.frame_id,
            ENV_STAGE: self.stage,
        }
        return found if self.events is None else {**found, ENV_EVENTS: str(self.events)}


class JobLogger:
    """Messages of one job. Calls are cheap: progress is thinned out."""

    def __init__(self, context: JobContext | None = None, *, database: Any = None, echo: logging.Logger | None = None) -> None:
        self.context = JobContext.from_environment() if context is None else context
        self._database = database
        self._echo = echo
        self._last_progress = -1e9
        self.warnings: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not (isinstance(error, SystemExit) and error.code in (0, None)):
            from traceback import format_exception

            self.error(str(error) or type(error).__name__, traceback="".join(format_exception(error)))

    def progress(self, fraction: float, message: str = "") -> None:
        """`fraction` of the work done, 0..1; the last call (1.0) is always written."""
        fraction = min(max(float(fraction), 0.0), 1.0)
        interval = _DATABASE_INTERVAL_S if self._is_direct else _FILE_INTERVAL_S
        now = time.monotonic()
        if now - self._last_progress < interval and fraction < 1.0:
            return
        self._last_progress = now
        self._write("progress", message, progress=round(fraction, 4))

    def info(self, message: str) -> None:
        """A line for the record."""
        self._write("info", message)

    def warning(self, message: str) -> None:
        """Something a person should look at; the job ends DONE_WITH_WARNINGS."""
        self.warnings.append(message)
        self._write("warning", message)

    def error(self, message: str, **details: Any) -> None:
        """Why the job fails. The program still ends with a return code that is not 0."""
        self._write("error", message, **details)

    @property
    def _is_direct(self) -> bool:
        return self.context.events is None

    def _write(self, level: str, message: str, **details: Any) -> None:
        line = {
            "time_utc": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": level,
            "message": message,
            "job_id": self.context.job_id,
            "attempt": self.context.attempt,
            "frame": self.context.frame_id,
            "stage": self.context.stage,
            **details,
        }
        if self._echo is not None and level != "progress":
            import logging

            self._echo.log(logging.getLevelNamesMapping()[level.upper()], message)
        if self.context.events is None:
            self._write_database(level, message, details)
            return
        # One write of one line with O_APPEND: several processes of a job may log at the same time.
        fd = os.open(self.context.events, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(fd, json.dumps(line, default=str).encode() + b"\n")
        finally:
            os.close(fd)

    def _write_database(self, level: str, message: str, details: Mapping[str, Any]) -> None:
        from satdaemon.db import Database, jobs

        if self._database is None:
            self._database = Database(os.environ.get(ENV_CONFIG))
        text = message if level in ("progress", "info") else f"{level}: {message}"
        jobs.beat(self._database, self.context.job_id, self.context.attempt, progress=details.get("progress"), message=text)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a job's event file."""

    level: str
    message: str
    progress: float | None = None
    traceback: str = ""


class EventReader:
    """Reads a job's event file as it grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.progress: float | None = None
        self.message = ""
        self.warnings: list[str] = []
        self.last_error: Event | None = None
        self._offset = 0

    def read(self) -> list[Event]:
        """The lines that are new since the last call; a line still being written is left for the next."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        events = [_event(line) for line in whole.splitlines()]
        for event in events:
            self._note(event)
        return events

    def _note(self, event: Event) -> None:
        if event.level == "progress":
            self.progress, self.message = event.progress, event.message or self.message
        elif event.level == "warning":
            self.warnings.append(event.message)
        elif event.level == "error":
            self.last_error = event


def _event(line: bytes) -> Event:
    try:
        value = json.loads(line)
        return Event(value["level"], value["message"], value.get("progress"), value.get("traceback", ""))
    except (ValueError, KeyError, TypeError):
        return Event("info", line.decode(errors="replace"))
