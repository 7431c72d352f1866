"""One whole system: it runs what is owed, is alone, comes back after kills, and powers down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from engine_parts import FIRST_DAY, FRAME, lines_of, make_frame, make_settings, runs_of, until

from satdaemon.config import Settings
from satdaemon.db import Database, Ifg, JobEvent, PendingJob, RunningJob, daemon, messages, parts, runs
from satdaemon.db.overview import overview

pytestmark = [pytest.mark.slow, pytest.mark.faults]
NAMES = {"prefect", "scheduler", "planner", "worker m1", "worker m2"}


@dataclass
class System:
    settings: Settings
    database: Database
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        argv = [sys.executable, "-m", "deployments.up", "-d", str(self.settings.source)]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)

    @property
    def said(self) -> str:
        return self.log.read_text()

    def status(self) -> dict[str, object]:
        path = self.settings.parameters.service_path / "status.json"
        return dict(json.loads(path.read_text())) if path.exists() else {"state": ""}

    def pid_of(self, name: str) -> int:
        parts_: list[dict[str, object]] = self.status()["parts"]  # type: ignore[assignment]
        return int(str(next(part["pid"] for part in parts_ if part["name"] == name)))

    def owe(self, number: int, **order: object) -> str:
        """One more date to download; `order` is what its program is told."""
        day = FIRST_DAY + timedelta(days=number)
        name = f"{FRAME}-download-{day}-None"
        path = runs_of(self.settings) / "orders.json"
        orders = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**orders, name: order}))
        self.database.insert(Ifg(frame_id=FRAME, date=day))
        return name

    def has(self, word: str, name: str) -> bool:
        return any(line.startswith(name) for line in lines_of(self.settings, word))


def processes_of(settings: Settings) -> list[list[str]]:
    assert settings.source is not None
    place = str(settings.source.parent)
    found = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return [words for words in found if place in " ".join(words)]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    place = tmp_path_factory.mktemp("up")
    settings = make_settings(place)
    database = make_frame(settings, dates=2)
    found = System(settings, database, place / "up.log")
    found.start()
    yield found
    if found.process.poll() is None:
        found.process.terminate()
        found.process.wait(60)


def test_what_is_owed_runs_and_all_parts_are_seen(system: System) -> None:
    until(lambda: len(lines_of(system.settings, "ended")) == 2, 400.0, system.said)
    seen = until(lambda: next((s for s in [overview(system.database)] if {p.state for p in s.parts} == {"up"}), None), 120.0)
    assert {part.name for part in seen.parts} - {f"flows {os.uname().nodename}"} == NAMES
    assert all(machine.is_seen for machine in seen.machines)
    assert system.status()["state"] == "running"


def test_a_second_daemon_is_refused_though_it_has_another_place(system: System, tmp_path: Path) -> None:
    other = make_settings(tmp_path, database=system.settings.parameters.database)
    argv = [sys.executable, "-m", "deployments.up", "-d", str(other.source)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=240)
    assert done.returncode == 1
    assert f"pid {system.process.pid} on" in done.stderr and "Two would do the same work" in done.stderr
    same = subprocess.run([*argv[:-1], str(system.settings.source)], capture_output=True, text=True, timeout=240)
    assert same.returncode == 1 and "found one: stop it first" in same.stderr


def test_workers_come_back_when_the_scheduler_was_killed(system: System) -> None:
    pids = {name: system.pid_of(name) for name in ("scheduler", "m1", "m2")}
    os.kill(pids["scheduler"], signal.SIGKILL)
    until(lambda: all(system.pid_of(name) != pid for name, pid in pids.items()), 180.0, system.said)
    name = system.owe(101)
    until(lambda: system.has("ended", name), 240.0, system.said)
    restarts = {part.name: part.restarts for part in overview(system.database).parts}
    assert restarts["scheduler"] == 1 and restarts["worker m1"] >= 1


def test_ctrl_c_lets_running_jobs_end_and_a_second_one_gives_them_back(system: System, tmp_path: Path) -> None:
    first, second = system.owe(201, until=str(tmp_path / "go")), system.owe(202, sleep_s=300, daemon=True)
    until(lambda: system.has("begun", first) and system.has("begun", second), 240.0, system.said)
    system.process.send_signal(signal.SIGINT)
    until(lambda: daemon.read(system.database).command == "power_down", 120.0)
    until(lambda: "waiting for 2 running jobs" in system.said, 240.0, system.said)
    (asked,) = system.database.query(JobEvent, event="changed", message="daemon: power_down")
    assert asked.who and "@" in asked.who
    (tmp_path / "go").touch()
    until(lambda: system.has("ended", first), 240.0, system.said)
    until(lambda: len(system.database.query(RunningJob)) == 1, 240.0, system.said)
    assert system.process.poll() is None, "one job still runs"
    system.process.send_signal(signal.SIGINT)
    assert system.process.wait(180) == 0, system.said
    assert system.status()["state"] == "stopped"
    assert processes_of(system.settings) == []
    assert system.database.query(RunningJob) == [] and system.database.query(PendingJob) == []
    (row,) = system.database.query(Ifg, date=FIRST_DAY + timedelta(days=202))
    assert row.proc_status == 0, "given back: it is owed as before"
    assert runs.holder(system.database, FRAME) is None
    assert parts.live(system.database) == []
    told = [row for row in messages.listing(system.database) if row.title in ("daemon up", "daemon down")]
    assert [row.title for row in told] == ["daemon up", "daemon down"]
    assert "powered down: the last job has ended" in told[1].body


def test_a_new_start_takes_the_power_down_back_and_sigterm_gives_jobs_back(system: System) -> None:
    (row,) = system.database.query(Ifg, date=FIRST_DAY + timedelta(days=202))
    name = f"{FRAME}-download-{row.date}-None"
    before = len([line for line in lines_of(system.settings, "begun") if line.startswith(name)])
    system.start()
    until(lambda: len([x for x in lines_of(system.settings, "begun") if x.startswith(name)]) > before, 400.0, system.said)
    assert daemon.read(system.database).command == "run"
    system.process.terminate()
    assert system.process.wait(180) == 0, system.said
    assert processes_of(system.settings) == []
    assert system.database.query(RunningJob) == []
    (job,) = system.database.query(PendingJob)
    assert (job.row_id, job.tries, job.held) == (row.id, 0, False)
    assert daemon.read(system.database).command == "run", "SIGTERM is no power down"
    assert parts.live(system.database) == []
