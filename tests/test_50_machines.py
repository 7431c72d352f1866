"""Services stay up, end in order, and end with the process that started them; workers declare what they have."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client, Worker
from engine_parts import make_settings, until

from deployments.services import dask_scheduler, dask_worker
from satdaemon.config import Settings
from satdaemon.db import Machine, init_database
from satdaemon.domain import Resources
from satdaemon.errors import ConfigError
from satdaemon.machines.cluster import BEAT_S, dask_resources, run_worker, worker_address
from satdaemon.machines.supervisor import Service, Supervisor


def sleeper(place: Path, name: str = "sleeper", seconds: str = "60") -> Service:
    return Service(name, ("sleep", seconds), place / f"{name}.log", grace_s=2.0)


def tended(supervisor: Supervisor, true: Any, within_s: float = 20.0) -> Any:
    def look() -> Any:
        supervisor.tend()
        return true()

    return until(look, within_s)


def test_a_service_that_was_killed_is_started_again(tmp_path: Path) -> None:
    told: list[str] = []
    supervisor = Supervisor(told.append)
    service = supervisor.add(sleeper(tmp_path))
    assert service.process is not None
    first = service.process.pid
    service.process.kill()
    service.process.wait()
    tended(supervisor, lambda: service.is_up)
    assert service.process.pid != first
    assert "ended with code -9" in told[0]
    supervisor.stop()
    assert not psutil.pid_exists(first)


def test_a_service_that_ends_at_once_is_not_started_in_a_hurry(tmp_path: Path) -> None:
    supervisor = Supervisor(lambda _: None)
    service = supervisor.add(Service("false", ("false",), tmp_path / "log"))
    began = time.monotonic()
    tended(supervisor, lambda: service.starts == 4)
    assert time.monotonic() - began > 0.2 + 0.5 + 1.0
    supervisor.stop()


def test_services_end_last_started_first(tmp_path: Path) -> None:
    supervisor = Supervisor()
    script = f"trap 'echo $0 >> {tmp_path}/order; exit 0' TERM; touch {tmp_path}/$0; while true; do sleep 0.05; done"
    for name in ("one", "two", "three"):
        supervisor.add(Service(name, ("sh", "-c", script, name), tmp_path / "log"))
        until(lambda name=name: (tmp_path / name).exists())
    supervisor.stop()
    assert (tmp_path / "order").read_text().split() == ["three", "two", "one"]


def test_a_service_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    service = Service("deaf", ("sh", "-c", f"trap '' TERM; touch {tmp_path}/up; sleep 60"), tmp_path / "log", grace_s=0.3)
    service.start()
    until((tmp_path / "up").exists)
    service.stop()
    assert service.process is not None
    assert service.process.returncode == -signal.SIGKILL


@pytest.mark.faults
def test_services_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom satdaemon.machines.supervisor import Service, Supervisor\n"
        f"s = Supervisor().add(Service('x', ('sleep', '60'), Path({str(tmp_path / 'log')!r})))\n"
        "time.sleep(1); print(s.process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_resources_have_the_names_that_workers_declare() -> None:
    assert dask_resources(Resources(2.0, 8.0, 25.0)) == {"CPU": 2.0, "MEM": 8.0, "DISK": 25.0}


def test_an_unknown_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected one of m1, m2, got 'm9'"):
        run_worker(make_settings(tmp_path), "m9")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[Settings, Supervisor]]:
    settings = make_settings(tmp_path, machines=2)
    init_database(settings).close()
    os.environ["SATDAEMON_CONFIG"] = str(settings.source)
    supervisor = Supervisor()
    supervisor.add(dask_scheduler(settings))
    for machine in settings.machines:
        supervisor.add(dask_worker(settings, machine))
    yield settings, supervisor
    supervisor.stop()


@pytest.mark.slow
@pytest.mark.faults
def test_workers_declare_their_machines_and_come_back_at_the_same_address(cluster: tuple[Settings, Supervisor]) -> None:
    settings, supervisor = cluster
    with Client(settings.parameters.dask_scheduler, timeout=60, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        first = until(lambda: worker_address(client, "m1"))
        info = client.scheduler_info(n_workers=-1)["workers"][first]
        assert info["resources"] == {"CPU": 4.0, "MEM": 8.0, "DISK": 100.0}
        assert info["memory_limit"] == 0

        def beats_ms(dask_worker: Worker) -> float:
            return float(dask_worker.periodic_callbacks["heartbeat"].callback_time)

        until(lambda: set(client.run(beats_ms).values()) == {1e3 * BEAT_S}, what="beats as seldom as the scheduler asks for")
        database = init_database(settings)
        until(lambda: all(m.last_seen_utc is not None for m in database.query(Machine)), what="machines seen")
        worker = next(service for service in supervisor.services if service.name == "m1")
        assert worker.process is not None
        pid = worker.process.pid
        worker.process.kill()
        tended(supervisor, lambda: worker.process is not None and worker.process.pid != pid and worker.is_up)
        assert client.submit(os.getpid, workers=[first], pure=False).result(timeout=60) == worker.process.pid
        assert worker_address(client, "no-such-machine") is None
