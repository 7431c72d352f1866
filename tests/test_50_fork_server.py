"""Built-in jobs start fast from the fork server, and without it where it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import psutil
import pytest
from engine_parts import until

from satdaemon.domain import Frame, StageInput
from satdaemon.joblog import JobContext
from satdaemon.runner import launch
from satdaemon.runner.launch import ForkServer, start_builtin
from satdaemon.runner.order import Ended, Order
from satdaemon.status import RowKind, Stage


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    """This process's fork server, warm."""
    found = launch.fork_server(2)
    connection = found.connect()  # answered once everything is loaded
    connection.close()
    assert found._process is not None
    pid = found._process.pid
    until(lambda: psutil.Process(pid).cpu_times().user > 0.5, 60.0)
    yield found
    for one in launch._servers.values():
        one.close()
    launch._servers.clear()


def order_of(place: Path) -> Order:
    """An unwrap job whose inputs are missing: it fails as soon as its processor looks."""
    out = place / "out"
    out.mkdir(parents=True)
    day = date(2023, 1, 1)
    frame = Frame("132A_TEST", 132, "A", ())
    job = StageInput(1, 1, Stage.UNWRAP, RowKind.RSAR_IFG, frame, day, day, date(2023, 1, 13), out, {}, cores=1)
    (place / "input.json").write_text(json.dumps(job.to_json()))
    context = JobContext(1, 1, frame.id, "unwrap", place / "events.jsonl")
    env = {**os.environ, **context.to_environment()}
    return Order(str(place / "log"), env, str(out), 2.0, 60.0, input_path=str(place / "input.json"))


def run(place: Path) -> tuple[Ended, float]:
    began = time.monotonic()
    child = start_builtin(order_of(place))
    ended = child.wait(60.0)
    child.close()
    assert ended is not None
    return ended, time.monotonic() - began


def test_a_warm_job_starts_and_ends_within_half_a_second(tmp_path: Path, server: ForkServer) -> None:
    run(tmp_path / "first")
    taken_s = min(run(tmp_path / str(n))[1] for n in range(3))
    assert taken_s < 0.5
    result = json.loads((tmp_path / "0" / "result.json").read_text())
    assert result["ok"] is False
    assert result["failure"]["traceback"]
    assert "Traceback" in (tmp_path / "0" / "log").read_text()


def test_the_server_has_one_thread_and_leaves_no_zombies(tmp_path: Path, server: ForkServer) -> None:
    run(tmp_path)
    assert server._process is not None
    process = psutil.Process(server._process.pid)
    assert process.num_threads() == 1
    until(lambda: process.children(recursive=True) == [], what="guards collected")


def test_jobs_survive_the_death_of_their_server(tmp_path: Path, server: ForkServer) -> None:
    run(tmp_path / "warm")
    assert server._process is not None
    server._process.kill()
    server._process.wait()
    ended, _ = run(tmp_path / "again")
    assert ended.return_code == 1
    assert json.loads((tmp_path / "again" / "result.json").read_text())["ok"] is False


def test_without_a_server_a_plain_interpreter_runs_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_server() -> None:
        raise OSError("no process may be started")

    monkeypatch.setattr(ForkServer, "connect", lambda _: no_server())
    ended, _ = run(tmp_path)
    assert ended.return_code == 1
    assert json.loads((tmp_path / "result.json").read_text())["ok"] is False


@pytest.mark.faults
def test_workers_of_a_host_may_share_a_server_that_dies_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "forks"
    argv = [sys.executable, "-m", "satdaemon.runner.server", "listen", str(place), "light"]
    monkeypatch.setenv(launch.SHARED_SERVER, str(place))
    with subprocess.Popen(argv) as first:
        ended, _ = run(tmp_path / "one")
        assert ended.return_code == 1
        until(lambda: psutil.Process(first.pid).children() == [], what="the guard collected")
        first.kill()
    with subprocess.Popen(argv) as second:
        ended, _ = run(tmp_path / "two")
        assert ended.return_code == 1
        second.kill()
    assert place.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(launch, "_SHARED_S", 0.1)
    ended, _ = run(tmp_path / "three")  # by a plain interpreter
    assert json.loads((tmp_path / "three" / "result.json").read_text())["ok"] is False
