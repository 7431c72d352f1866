"""How it is recognised that memory was lacking."""

from __future__ import annotations

import signal
from datetime import date
from pathlib import Path

import pytest

from satdaemon.config import StageSettings
from satdaemon.domain import Failure, Frame, StageInput
from satdaemon.errors import Disposition
from satdaemon.runner.order import Ended
from satdaemon.runner.outcome import judge_builtin, judge_command
from satdaemon.status import RowKind, Stage

DAY = date(2023, 1, 1)


def job(place: Path) -> StageInput:
    frame = Frame("132A_TEST", 132, "A", ())
    return StageInput(1, 1, Stage.SLC, RowKind.IFG, frame, DAY, DAY, None, place, {}, memory_gb=2.0, memory_limit_gb=0.5)


def ended(
    code: int | None, number: int | None = None, *, peak_gb: float = 0.1, kernel_kills: int = 0, by: str | None = None
) -> Ended:
    return Ended(code, number, by, 1.0, 1.0, peak_gb, 0, 0, kernel_kills=kernel_kills)


def of_command(place: Path, how: Ended, said: str = "") -> str:
    log = place / "log"
    log.write_text(said)
    found = judge_command(job(place), StageSettings(processor="command", command="run it"), how, log, (), None)
    assert isinstance(found, Failure)
    return found.error_class


def of_builtin(place: Path, how: Ended, said: str = "") -> Failure:
    log = place / "log"
    log.write_text(said)
    found = judge_builtin(job(place), how, place / "result.json", log)
    assert isinstance(found, Failure)
    return found


def test_a_program_whose_disk_is_full_says_so_last(tmp_path: Path) -> None:
    said = "gdal_translate: /p/out.tif: No space left on device\n"
    assert of_command(tmp_path, ended(1), said) == "DiskFull"
    assert of_builtin(tmp_path, ended(120), said).disposition is Disposition.WAIT
    assert of_command(tmp_path, ended(1), "no space for the legend\n") == "ProgramFailed"


@pytest.mark.parametrize(
    "said",
    [
        "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n",
        "Traceback (most recent call last):\n...\nMemoryError\n",
        "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 9.31 GiB for an array\n",
        "sh: fork: Cannot allocate memory\n",
    ],
)
def test_what_a_program_says_last(tmp_path: Path, said: str) -> None:
    assert of_command(tmp_path, ended(1), said) == "OutOfMemory"
    assert of_builtin(tmp_path, ended(None, int(signal.SIGABRT)), said).error_class == "OutOfMemory"


def test_the_kernel_counts_its_kills(tmp_path: Path) -> None:
    assert of_command(tmp_path, ended(None, int(signal.SIGKILL), kernel_kills=1)) == "OutOfMemory"
    assert of_command(tmp_path, ended(137, kernel_kills=1)) == "OutOfMemory", "a shell whose program was killed"
    assert of_command(tmp_path, ended(None, int(signal.SIGKILL))) == "MachineLost", "somebody else killed it"
    assert of_command(tmp_path, ended(3, kernel_kills=1)) == "ProgramFailed", "it was another one that the kernel killed"


def test_the_limit_is_what_was_granted(tmp_path: Path) -> None:
    failure = of_builtin(tmp_path, ended(None, int(signal.SIGKILL), peak_gb=0.6, by="memory"))
    assert failure.error_class == "OutOfMemory" and "expected at most 0.5 GB of memory, got 0.60 GB" in failure.message
    assert of_builtin(tmp_path, ended(None, int(signal.SIGKILL), peak_gb=0.45)).error_class == "OutOfMemory"


def test_a_failure_that_has_nothing_to_do_with_memory_stays_what_it_is(tmp_path: Path) -> None:
    assert of_command(tmp_path, ended(1), "MemoryErrors are not meant here\n") == "ProgramFailed"
    assert of_command(tmp_path, ended(75), "try later\n") == "TransientError"
