"""Demos as a user starts them; one that is finished, though a worker was killed in its middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from satdaemon.config import load
from satdaemon.db import Database, RunningJob
from satdaemon.db.consistency import Kind, Report, check, delete_paths


def start(out: Path, *options: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "satdaemon.cli", "demo", "--out", str(out), *options]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended_well(process: subprocess.Popen[str]) -> str:
    text, _ = process.communicate(timeout=1400)
    assert process.returncode == 0, text
    return text


def wait_for_job(out: Path, process: subprocess.Popen[str], stage: str) -> RunningJob:
    """A job of `stage` that has begun."""
    deadline = time.monotonic() + 900
    while time.monotonic() < deadline and process.poll() is None:
        if (out / "satdaemon.cfg").exists() and (out / "satdaemon.sqlite").exists():
            database = Database(load(out / "satdaemon.cfg"))
            try:
                jobs = [job for job in database.query(RunningJob, stage=stage) if job.pid is not None]
            except Exception as error:
                if "no such table" not in str(error):
                    raise
                jobs = []  # the schema is being made
            finally:
                database.close()
            if jobs:
                return jobs[0]
        time.sleep(0.3)
    pytest.fail(f"no {stage} job began: {process.communicate(timeout=10)[0] if process.poll() is not None else 'still running'}")


@dataclass(frozen=True)
class KilledDemo:
    """A finished demo."""

    out: Path
    text: str
    """What it printed."""


@pytest.fixture(scope="session")
def killed_demo(tmp_path_factory: pytest.TempPathFactory) -> KilledDemo:
    """Ten dates on SQLite; the worker of a coherence job was killed."""
    out = tmp_path_factory.mktemp("walk") / "demo"
    process = start(out, "--dates", "10")
    job = wait_for_job(out, process, "coherence")
    services = json.loads((load(out / "satdaemon.cfg").parameters.service_path / "status.json").read_text())
    worker = next(part for part in services["parts"] if str(job.machine) in part["name"])
    os.kill(worker["pid"], signal.SIGKILL)
    return KilledDemo(out, ended_well(process))


def tidied(demo: KilledDemo) -> Report:
    """Check the demo to the last byte, and delete by name what the killed worker left; what the check found."""
    database = Database(load(demo.out / "satdaemon.cfg"))
    found = check(database, deep=True)
    assert {f.kind for f in found.problems} <= {Kind.HALF_WRITTEN}, found.problems
    left = [f.path for f in found.problems if f.path is not None]
    assert delete_paths(database, found, left) == left
    database.close()
    return found
