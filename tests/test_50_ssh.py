"""A worker that is started by SSH, on a real server: it comes, comes back, and never outlives its connection."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from distributed import Client
from engine_parts import make_settings, until
from ssh_server import SshServer, needed

from deployments.display import Display
from deployments.parts import Part, all_parts
from deployments.services import dask_scheduler, ssh_worker
from deployments.up import Up
from satdaemon.config import Settings, load
from satdaemon.db import Machine, init_database, parts
from satdaemon.machines.cluster import worker_address
from satdaemon.machines.remote import command
from satdaemon.machines.supervisor import Service, Supervisor

ROOT = Path(__file__).resolve().parents[1]


def ssh_settings(place: Path, ssh: str = "ssh") -> Settings:
    made = make_settings(place, lease_s=8)
    assert made.source is not None
    python = f"env PYTHONPATH={ROOT} {sys.executable}"
    lines = f"start = ssh, local\nssh = {ssh}\nssh_python = {python}\n"
    made.source.write_text(made.source.read_text().replace("[PROC_MACHINES]\n", f"[PROC_MACHINES]\n{lines}"))
    return load(made.source)


def test_up_starts_what_is_local_and_what_is_reached_by_ssh(tmp_path: Path) -> None:
    settings = ssh_settings(tmp_path, "ssh -p 2222")
    made = {part.name: part for part in all_parts(settings, tmp_path / "forks")}
    assert list(made) == ["prefect", "scheduler", "worker m2", "worker m1", f"flows {os.uname().nodename}", "planner"]
    assert "satdaemon.machines.remote" in made["worker m1"].services[0].argv
    argv = command(settings, settings.machines[0])
    assert argv[:3] == ["ssh", "-p", "2222"] and {"BatchMode=yes", "ControlPath=none"} <= set(argv)
    assert argv[-2] == "127.0.0.1"
    assert argv[-1].endswith(f"{sys.executable} -m satdaemon.machines worker m1 -d {settings.source} --tied 4")


class Site:
    """A scheduler here, the worker of m1 by SSH."""

    def __init__(self, place: Path) -> None:
        self.server = SshServer(place / "ssh")
        self.server.start()
        self.settings = ssh_settings(place, self.server.client)
        self.database = init_database(self.settings)
        self.supervisor = Supervisor(lambda _: None)
        self.supervisor.add(dask_scheduler(self.settings))
        self.worker: Service = self.supervisor.add(ssh_worker(self.settings, self.settings.machines[0]))

    def pid(self, client: Client, *, but: int = 0) -> int:
        """The process of the worker, once it is connected; another one than `but`."""

        def look() -> int | None:
            address = worker_address(client, "m1")
            found = int(client.submit(os.getpid, workers=[address], pure=False).result(timeout=60)) if address else 0
            return found if found not in (0, but) else None

        return int(until(look, 120.0, f"the worker's connection; see {self.worker.log}"))

    def said(self) -> str:
        assert self.worker.log is not None
        return self.worker.log.read_text()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    needed()
    found = Site(tmp_path_factory.mktemp("ssh"))
    yield found
    found.supervisor.stop()
    found.server.stop()


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.slow
@pytest.mark.faults
def test_the_worker_comes_back_after_every_cut_and_there_are_never_two(site: Site) -> None:
    with Client(site.settings.parameters.dask_scheduler, timeout=60, set_as_default=False) as client:
        first = site.pid(client)
        assert site.worker.waits_for is None
        until(lambda: site.database.query(Machine, name="m1")[0].up_since_utc is not None)

        for connection in site.server.connections():  # the connection breaks, both ends notice
            if connection.name().startswith("sshd"):
                connection.kill()
        until(lambda: is_gone(first), 30.0, "the end of the worker whose connection was cut")
        second = site.pid(client, but=first)

        stalled = [c for c in site.server.connections() if c.name().startswith("sshd")]
        for connection in stalled:  # the network swallows everything: nobody is told
            connection.send_signal(signal.SIGSTOP)
        until(lambda: is_gone(second), 40.0, "the end of the worker that hears nothing")
        third = site.pid(client, but=second)
        assert len({first, second, third}) == 3
        for connection in stalled:
            connection.kill()

        site.server.stop()  # the host is down: it is waited for, and that is said
        for connection in psutil.Process(third).parents():
            if connection.name().startswith("sshd"):
                connection.kill()
        until(lambda: "Connection refused" in (site.worker.waits_for or ""), 60.0, "saying that the host is down")
        assert is_gone(third) or until(lambda: is_gone(third), 30.0)
        site.server.start()
        fourth = site.pid(client, but=third)

        site.supervisor.end([site.worker])
        assert site.worker.process is not None and site.worker.process.returncode == 0, site.said()
        until(lambda: is_gone(fourth), 30.0)
        assert site.worker.waits_for is None
        ended = site.database.query(Machine, name="m1")[0].last_seen_utc
        assert ended is not None and datetime.now(UTC) - ended > timedelta(days=1), "in order: it said that it is gone"
        assert worker_address(client, "m1") is None


@pytest.mark.slow
@pytest.mark.faults
def test_the_worker_ends_when_the_near_end_is_killed(site: Site) -> None:
    worker = site.supervisor.add(ssh_worker(site.settings, site.settings.machines[0]))
    with Client(site.settings.parameters.dask_scheduler, timeout=60, set_as_default=False) as client:
        pid = site.pid(client)
        assert worker.process is not None
        worker.process.kill()
        until(lambda: is_gone(pid), 30.0, "the worker's end")


def test_a_host_that_does_not_answer_is_said_and_tried_again(tmp_path: Path) -> None:
    settings = ssh_settings(tmp_path, "sh -c 'echo no route to host >&2; exit 255' --")
    supervisor = Supervisor(lambda _: None)
    worker = supervisor.add(ssh_worker(settings, settings.machines[0]))
    database = init_database(settings)
    up = Up(settings, [Part("worker", "worker m1", (worker,), "m1")], database, Display(database, is_live=False), once=False)
    up.state = parts.UP
    until(lambda: "waits for 127.0.0.1: ssh ended with code 255: no route to host" in (worker.waits_for or ""), 60.0)
    said = up.states()["worker m1"]
    assert (said.state, said.restarts) == (parts.UP, 0) and str(said.message).startswith("waits for 127.0.0.1: ssh ended")
    until(lambda: worker.log is not None and worker.log.read_text().count("ssh ended with code 255") >= 2, 60.0)
    supervisor.stop()
    assert worker.process is not None and worker.process.returncode == 0
