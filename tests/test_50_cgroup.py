"""Limits that the kernel keeps, on a real kernel: this one where root may divide its groups, else one in a small machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from satdaemon.runner import cgroup
from satdaemon.runner.launch import start_program
from satdaemon.runner.order import Order

HERE = Path("/sys/fs/cgroup")
TRIAL = Path(__file__).with_name("cgroup_trial.py")
ROOT = TRIAL.parents[1]
INIT = """#!/bin/sh
mount -t proc proc /proc && mount -t sysfs sys /sys && mount -t cgroup2 none /sys/fs/cgroup && mount -t tmpfs none /dev/shm
export PATH={path} PYTHONPATH={root} PYTHONDONTWRITEBYTECODE=1
{python} {trial} /sys/fs/cgroup {scratch} > {scratch}/out 2>&1
poweroff -f
"""


def divides_here() -> bool:
    controllers = HERE / "cgroup.controllers"
    return os.getuid() == 0 and controllers.exists() and "memory" in controllers.read_text() and os.access(HERE, os.W_OK)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the trial found."""
    scratch = tmp_path_factory.mktemp("cgroup")
    if divides_here():
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, str(TRIAL), str(HERE), str(scratch)], check=True, timeout=240, env=environment)
    elif shutil.which("linux.uml"):
        init = scratch / "init"
        init.write_text(
            INIT.format(path=os.environ["PATH"], root=ROOT, python=sys.executable, trial=TRIAL, scratch=scratch)
        )
        init.chmod(0o755)
        argv = ["linux.uml", "mem=512M", "rootfstype=hostfs", "rootflags=/", "rw", f"init={init}", "con=null", "con0=fd:0,fd:1"]
        with (scratch / "boot").open("wb") as log:
            subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=240, check=False)
    else:
        pytest.skip("expected root and cgroup version 2 with a memory controller, or linux.uml: apt-get install user-mode-linux")
    document = scratch / "found.json"
    assert document.exists(), (scratch / "out").read_text() if (scratch / "out").exists() else "the trial did not run"
    result: dict[str, Any] = json.loads(document.read_text())
    return result


@pytest.mark.slow
def test_a_service_divides_the_group_that_systemd_delegates(found: dict[str, Any]) -> None:
    is_its_own, controllers, moved_to, enabled = found["service"]
    assert is_its_own and controllers == list(cgroup.CONTROLLERS)
    assert moved_to == cgroup.PARTS and set(controllers) <= set(enabled)


@pytest.mark.slow
def test_a_job_has_its_memory_cores_and_processes(found: dict[str, Any]) -> None:
    memory, swap, *cpu_and_pids = found["limits"]["said"]
    assert abs(int(memory) - 100_000_000) <= 65536 and swap == "0", "in whole pages"
    assert cpu_and_pids == ["200000", "100000", str(cgroup.MOST_PROCESSES)]
    assert (found["limits"]["code"], found["limits"]["killed_for"], found["left"]) == (0, None, [])


@pytest.mark.slow
@pytest.mark.parametrize("job", ["hog", "of a child"])
def test_memory_that_no_measuring_sees_ends_the_whole_job_as_out_of_memory(found: dict[str, Any], job: str) -> None:
    how = found[job]
    assert how["killed_for"] == "memory" and how["kernel"] >= 1 and how["signal"] == 9
    assert how["gb"] >= 0.1 and "survived" not in how["said"]


def test_without_a_group_jobs_are_limited_the_other_way_and_it_is_said(tmp_path: Path) -> None:
    cgroup.delegation.cache_clear()
    told = cgroup.delegation()
    if told.path:
        pytest.skip("these tests run in a group that was delegated")
    assert told.in_words().startswith("memory by measuring, threads by the environment: no cgroup (")
    gone = str(tmp_path / "none")
    child = start_program(Order(str(tmp_path / "log"), dict(os.environ), str(tmp_path), 1.0, 60.0, argv=("true",), cgroup=gone))
    ended = child.wait(60.0)
    child.close()
    assert ended is not None and ended.return_code == 0, "a group that went away costs no job"
