"""The guard: nothing of a program outlives its job, and its end is told exactly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from satdaemon.runner.launch import Child, ForkServer, GuardLost, start_program
from satdaemon.runner.order import Ended, Order
from satdaemon.runner.process_tree import descendants, memory_bytes


def order_of(place: Path, *argv: str, **changes: Any) -> Order:
    given = {"memory_gb": 2.0, "time_limit_s": 60.0, "grace_s": 0.5, **changes}
    return Order(log_path=str(place / "log"), env=dict(os.environ), cwd=str(place), argv=argv, **given)


def end_of(child: Child, within_s: float = 30.0) -> Ended:
    ended = child.wait(within_s)
    assert ended is not None, f"still running after {within_s} s"
    child.close()
    return ended


def run(place: Path, *argv: str, **changes: Any) -> Ended:
    return end_of(start_program(order_of(place, *argv, **changes)))


def python(place: Path, code: str, **changes: Any) -> Ended:
    return run(place, sys.executable, "-c", code, **changes)


def until(true: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def pid_in(file: Path) -> int:
    until(lambda: file.exists() and file.read_text().strip() != "")
    return int(file.read_text())


def test_output_return_code_and_cost_are_told(tmp_path: Path) -> None:
    code = "import sys; x = bytearray(80_000_000); sum(range(4_000_000)); print('out'); sys.stderr.write('err'); sys.exit(7)"
    ended = python(tmp_path, code)
    assert (ended.return_code, ended.signal, ended.killed_for) == (7, None, None)
    assert sorted((tmp_path / "log").read_text().split()) == ["err", "out"]
    assert 0.08 <= ended.peak_memory_gb < 0.2
    assert 0.02 < ended.cpu_s <= ended.wall_s * 2 + 0.5


def test_cost_counts_grandchildren(tmp_path: Path) -> None:
    inner = "sum(range(20_000_000))"
    ended = run(tmp_path, "sh", "-c", f"{sys.executable} -c '{inner}'; true")
    alone = python(tmp_path, inner)
    assert ended.cpu_s > 0.5 * alone.cpu_s


def test_bytes_written_are_counted(tmp_path: Path) -> None:
    ended = python(tmp_path, "open('x', 'wb').write(bytes(5_000_000))")
    assert 5_000_000 <= ended.written_bytes < 5_100_000


def test_a_program_that_does_not_exist(tmp_path: Path) -> None:
    ended = run(tmp_path, "no-such-program-anywhere")
    assert ended.return_code == 127
    assert "cannot run 'no-such-program-anywhere'" in (tmp_path / "log").read_text()


def test_death_by_signal(tmp_path: Path) -> None:
    ended = python(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert (ended.return_code, ended.signal, ended.killed_for) == (None, signal.SIGSEGV, None)


def test_more_memory_than_given(tmp_path: Path) -> None:
    code = "import time\nx = []\nwhile True:\n x.append(bytearray(10_000_000)); time.sleep(0.01)"
    ended = python(tmp_path, code, memory_gb=0.15)
    assert ended.killed_for == "memory"
    assert ended.peak_memory_gb > 0.15


def test_memory_counts_the_whole_tree(tmp_path: Path) -> None:
    eater = "import time; x = bytearray(90_000_000); time.sleep(20)"
    code = f"import subprocess, sys\np = [subprocess.Popen([sys.executable, '-c', {eater!r}]) for _ in range(3)]\np[0].wait()"
    ended = python(tmp_path, code, memory_gb=0.2)
    assert ended.killed_for == "memory"


def test_one_allocation_far_above_the_limit_fails_at_once(tmp_path: Path) -> None:
    ended = python(tmp_path, "x = bytearray(2 * 10**10)", memory_gb=0.5)
    assert ended.return_code == 1
    assert "MemoryError" in (tmp_path / "log").read_text()


def test_longer_than_allowed(tmp_path: Path) -> None:
    ended = run(tmp_path, "sleep", "30", time_limit_s=0.4)
    assert ended.killed_for == "time"
    assert ended.wall_s < 5


def test_a_daemon_left_behind_is_ended(tmp_path: Path) -> None:
    ended = run(tmp_path, "sh", "-c", f"(setsid sleep 60 & echo $! > {tmp_path}/pid); exit 0")
    assert ended.return_code == 0
    assert ended.left_running == 1
    assert not psutil.pid_exists(pid_in(tmp_path / "pid"))


def test_stop_is_polite_first(tmp_path: Path) -> None:
    script = f"trap 'echo bye; exit 3' TERM; echo $$ > {tmp_path}/pid; while true; do sleep 0.05; done"
    child = start_program(order_of(tmp_path, "sh", "-c", script, grace_s=5.0))
    pid_in(tmp_path / "pid")
    child.stop()
    ended = end_of(child)
    assert (ended.killed_for, ended.return_code) == ("stopped", 3)
    assert "bye" in (tmp_path / "log").read_text()


def test_stop_is_certain(tmp_path: Path) -> None:
    script = f"trap '' TERM; (trap '' TERM; setsid sleep 60) & echo $! > {tmp_path}/pid; sleep 60; sleep 60"
    child = start_program(order_of(tmp_path, "sh", "-c", script))
    other = pid_in(tmp_path / "pid")
    child.stop()
    assert end_of(child, 10.0).signal == signal.SIGKILL
    until(lambda: not psutil.pid_exists(other))


def test_guard_that_is_killed_takes_its_program_along(tmp_path: Path) -> None:
    child = start_program(order_of(tmp_path, "sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60"))
    pid = pid_in(tmp_path / "pid")
    guard = psutil.Process(pid).parent()
    assert guard is not None
    guard.kill()
    with pytest.raises(GuardLost):
        child.wait(10.0)
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    child.close()


@pytest.mark.faults
def test_worker_that_is_killed_leaves_no_orphan(tmp_path: Path) -> None:
    script = f"(setsid sleep 61 & echo $! > {tmp_path}/daemon); echo $$ > {tmp_path}/pid; exec sleep 61"
    code = (
        "import os, sys\nfrom satdaemon.runner.launch import start_program\nfrom satdaemon.runner.order import Order\n"
        f"o = Order(log_path={str(tmp_path / 'log')!r}, env=dict(os.environ), cwd={str(tmp_path)!r}, memory_gb=1.0,"
        f" time_limit_s=60.0, argv=('sh', '-c', {script!r}))\nstart_program(o).wait(60)"
    )
    worker = subprocess.Popen([sys.executable, "-c", code])
    pids = [pid_in(tmp_path / "pid"), pid_in(tmp_path / "daemon")]
    worker.kill()
    worker.wait()
    until(lambda: not any(psutil.pid_exists(pid) for pid in pids))


def test_descendants_and_their_memory() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 30 & sleep 30; wait"]) as shell:
        until(lambda: len(descendants(shell.pid)) == 2)
        both = descendants(shell.pid)
        assert shell.pid in descendants(os.getpid())
        assert 0 < memory_bytes(both) <= sum(memory_bytes([pid]) for pid in both)
        for pid in both:
            os.kill(pid, signal.SIGKILL)


def test_fork_server_that_died_is_started_again(tmp_path: Path) -> None:
    server = ForkServer(cores=1, light=True)
    server.start()
    first = server._process
    assert first is not None
    first.kill()
    first.wait()
    server.start()
    assert server._process is not None
    assert server._process.pid != first.pid
    server.close()


def test_fork_server_ends_with_its_worker() -> None:
    code = (
        "from satdaemon.runner.launch import ForkServer\n"
        "s = ForkServer(1, light=True); s.start(); print(s._process.pid, flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        pid = int(worker.stdout.readline())
        worker.kill()
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, 30.0)


def test_a_program_counts_only_its_own_memory(tmp_path: Path) -> None:
    ended = run(tmp_path, "true")
    assert ended.peak_memory_gb < 0.03


def test_without_a_light_server_a_guard_is_started_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_server(_: ForkServer) -> None:
        raise OSError("no process may be started")

    monkeypatch.setattr(ForkServer, "connect", no_server)
    assert run(tmp_path, "sh", "-c", "exit 5").return_code == 5
