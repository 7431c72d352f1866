"""How a child's end is judged: by its last word where it left one, else by return code, signal and what killed it."""

from __future__ import annotations

import json
import re
import shlex
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from satdaemon.config import StageSettings
from satdaemon.domain import Failure, StageInput, StageResult, says_disk_full
from satdaemon.errors import (
    Cancelled,
    DiskFull,
    Disposition,
    LeaseLost,
    MachineLost,
    OutOfMemory,
    ProcessingError,
    ProgramFailed,
    SatDaemonError,
    TimeLimit,
    TransientError,
)
from satdaemon.joblog import Event
from satdaemon.processors.command import EX_TEMPFAIL, collect
from satdaemon.runner.order import Ended

_TAIL_LINES = 20
_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT})
_ALMOST_ALL = 0.8
_SIGNALS = {number.value: number.name for number in signal.Signals}
NOT_FOUND, NOT_RUN = 127, 126
"""Return codes of a guard, as of a shell, where the program is not there, or is none."""
_KILLED_CHILD = 128 + signal.SIGKILL
"""Return code of a shell whose program was killed."""
_NO_MEMORY = re.compile(r"\bMemoryError\b|std::bad_alloc|[Cc]annot allocate memory|[Uu]nable to allocate|[Oo]ut of memory")
"""What programs say last when memory is lacking."""


def judge_builtin(job: StageInput, ended: Ended, result_path: Path, log: Path) -> StageResult | Failure:
    """The result or failure that a built-in processor left, or what its silence means."""
    if ended.killed_for is None and result_path.exists():
        value = json.loads(result_path.read_text())
        if value["ok"]:
            return StageResult.from_json(value["result"])
        said = value["failure"]
        return Failure(
            said["error_class"],
            said["message"],
            said["traceback"],
            Disposition(said["disposition"]),
            said["retry_after_s"],
            ended.return_code,
            ended.signal,
        )
    return _silent(job, ended, log, "the processor ended without a result")


def judge_command(
    job: StageInput, settings: StageSettings, ended: Ended, log: Path, warnings: tuple[str, ...], error: Event | None
) -> StageResult | Failure:
    """The result of a site's program, or its failure by return code, signal and outputs."""
    if ended.killed_for is None and ended.return_code == 0:
        if error is not None:
            warnings = (*warnings, f"it said so, and ended with return code 0 all the same: {error.message}")
        try:
            return collect(job, settings, warnings)
        except SatDaemonError as problem:
            return _failure(problem, ended)
    if error is None:
        ended = _of_its_child(ended)
    if ended.killed_for is None and ended.return_code is not None:
        message = error.message if error is not None else _what_it_means(ended.return_code, settings)
        if lacked := _what_it_lacked(ended, log, message):
            return _failure(lacked, ended, _tail(log))
        kind: type[SatDaemonError] = ProgramFailed if error is None else ProcessingError
        if ended.return_code == EX_TEMPFAIL:
            kind = TransientError
        trace = error.traceback if error is not None and error.traceback else _tail(log)
        return _failure(kind(message), ended, trace)
    return _silent(job, ended, log, "the command was stopped")


def _of_its_child(ended: Ended) -> Ended:
    """A shell whose program was killed by signal N ends with 128 + N by itself: judged as that signal."""
    number = (ended.return_code or 0) - 128
    return replace(ended, return_code=None, signal=number) if number in _SIGNALS else ended


def _what_it_means(return_code: int, settings: StageSettings) -> str:
    program = shlex.split(settings.command)[0]
    what = f": {program}, or what it starts,"
    meaning = {NOT_FOUND: f"{what} was not found", NOT_RUN: f"{what} cannot be run"}.get(return_code, "")
    return f"the command ended with return code {return_code}{meaning}"


def stopped(reason: str, ended: Ended | None) -> Failure:
    """The failure that stands for an order to stop: `lost`, `cancelled` or `abandoned`."""
    if reason == "lost":
        return _failure(LeaseLost("another attempt holds the job"), ended)
    if reason == "cancelled":
        return _failure(Cancelled("an operator stopped the job"), ended)
    return Failure("Abandoned", "nobody waits for the job any more: its flow run ended", "", Disposition.WAIT, 0.0)


def _silent(job: StageInput, ended: Ended, log: Path, what: str) -> Failure:
    trace = _tail(log)
    if ended.killed_for == "memory":
        return _failure(
            OutOfMemory(
                f"the job was stopped: expected at most {job.granted_gb:g} GB of memory, got {ended.peak_memory_gb:.2f} GB"
            ),
            ended,
            trace,
        )
    if ended.killed_for == "time":
        return _failure(TimeLimit(f"the job was stopped after {ended.wall_s / 3600:.2f} h, its time limit"), ended, trace)
    if ended.signal == signal.SIGKILL and ended.peak_memory_gb > _ALMOST_ALL * job.granted_gb:
        return _failure(OutOfMemory(f"{what}: killed near its memory limit of {job.granted_gb:g} GB"), ended, trace)
    if lacked := _what_it_lacked(ended, log, what):
        return _failure(lacked, ended, trace)
    if ended.signal in _OUTSIDE:
        name = signal.Signals(ended.signal or 0).name
        return _failure(MachineLost(f"{what}: {name} came from outside"), ended, trace)
    how = f"signal {_SIGNALS.get(ended.signal, ended.signal)}" if ended.signal is not None else f"return code {ended.return_code}"
    return _failure(ProgramFailed(f"{what}: {how}"), ended, trace)


def _what_it_lacked(ended: Ended, log: Path, what: str) -> SatDaemonError | None:
    """What a program found no more of, memory or space, though nobody stopped it for that; None where nothing says so."""
    if why := _out_of_memory(ended, log):
        return OutOfMemory(f"{what}: {why}")
    if why := _last_words(log, says_disk_full):
        return DiskFull(f"{what}: {why}")
    return None


def _out_of_memory(ended: Ended, log: Path) -> str:
    """How it is known that memory was lacking, though nobody stopped the job for it; empty where nothing says so."""
    killed = ended.signal == signal.SIGKILL or ended.return_code == _KILLED_CHILD
    if killed and ended.kernel_kills:
        return f"the kernel killed it, as the machine was out of memory ({ended.peak_memory_gb:.2f} GB at most)"
    if ended.return_code == 0 or ended.signal in _OUTSIDE:
        return ""
    said = _last_words(log, lambda line: _NO_MEMORY.search(line) is not None)
    return f"it could not get more memory: {said}" if said else ""


def _last_words(log: Path, says_so: Callable[[str], bool]) -> str:
    """The last line of what a program said that says so; empty where none does."""
    return next((line.strip() for line in reversed(_tail(log).splitlines()) if says_so(line)), "")[:200]


def _failure(error: SatDaemonError, ended: Ended | None, trace: str = "") -> Failure:
    return Failure(
        type(error).__name__,
        str(error),
        trace,
        error.disposition,
        None,
        None if ended is None else ended.return_code,
        None if ended is None else ended.signal,
    )


def _tail(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(log.stat().st_size - 8192, 0))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(lines[-_TAIL_LINES:])
