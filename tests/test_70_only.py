"""Parts as services of their own: they wait for what they need, idle in a power down, and end on SIGTERM."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from distributed import Client
from engine_parts import make_settings, until
from only_parts import Services
from postgres import Cluster

from deployments.parts import one_part
from deployments.services import is_healthy
from satdaemon.control import SatDaemonController
from satdaemon.db import init_database, parts
from satdaemon.errors import RequestError
from satdaemon.machines.certificates import make_certificates
from satdaemon.machines.cluster import worker_address
from satdaemon.machines.security import dask_security


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Services]:
    found = Services(tmp_path)
    yield found
    found.kill()


def tls(place: Path) -> dict[str, object]:
    make_certificates(place / "tls", ["127.0.0.1"])
    return {"dask_ca": "tls/ca.pem", "dask_cert": "tls/127.0.0.1.pem", "dask_key": "tls/127.0.0.1.key"}


def first_bytes(url: str, authority: Path, certificates: Path | None) -> bytes:
    """What the server at `url` says to a client that shows this certificate, or none."""
    context = ssl.create_default_context(cafile=authority)
    if certificates is not None:
        context.load_cert_chain(certificates / "127.0.0.1.pem", certificates / "127.0.0.1.key")
    place = urlsplit(url)
    plain = socket.create_connection((place.hostname, place.port), 60)
    with context.wrap_socket(plain, server_hostname=place.hostname) as secure:
        return secure.recv(1)


def test_what_only_one_part_can_be_is_said(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    for part, message in (
        (("web!", None), "expected one of prefect, scheduler, worker, flows, planner, web, got 'web!'"),
        (("worker", None), "--only worker: expected the name of a machine, got none"),
        (("worker", "m9"), r"expected a machine of \[PROC_MACHINES\] \(m1, m2\), got 'm9'"),
        (("flows", "m1"), "--only flows: expected no name, got 'm1'"),
    ):
        with pytest.raises(RequestError, match=message):
            one_part(settings, *part)


@pytest.mark.slow
@pytest.mark.faults
def test_a_worker_with_tls_waits_idles_and_comes_back(tmp_path: Path, started: Services) -> None:
    settings = make_settings(tmp_path, **tls(tmp_path))
    database = init_database(settings)
    started.start(settings, "worker", "m1")
    until(lambda: "worker m1: waits for the Dask scheduler" in started.said("worker m1"), 180.0)
    started.start(settings, "scheduler")
    until(lambda: "ready at tls://" in started.said("worker m1"), 240.0, "the worker's connection")
    address = settings.parameters.dask_scheduler
    with Client(address, security=dask_security(settings), timeout=120, set_as_default=False) as client:
        here = until(lambda: worker_address(client, "m1"))
        assert here.startswith("tls://") and client.submit(os.getppid, workers=[here]).result(timeout=180) > 0
    tls(tmp_path / "strange")
    for client_of, refusal in ((None, "CERTIFICATE_REQUIRED"), (tmp_path / "strange" / "tls", "UNKNOWN_CA")):
        with pytest.raises(ssl.SSLError, match=refusal):
            first_bytes(address, tmp_path / "tls" / "ca.pem", client_of)
    assert first_bytes(address, tmp_path / "tls" / "ca.pem", tmp_path / "tls"), "the same with a certificate of this site"
    second = subprocess.run(started.running["scheduler"].args, capture_output=True, text=True, timeout=180)
    assert second.returncode == 1 and "scheduler: expected nobody" in second.stderr

    control = SatDaemonController(database)
    control.power_down_daemon()
    until(lambda: {p.name: p.state for p in parts.live(database)} == {"scheduler": "idle", "worker m1": "idle"}, 180.0)
    assert all(not psutil.Process(process.pid).children() for process in started.running.values())
    control.resume()
    until(lambda: started.said("worker m1").count("ready at tls://") == 2, 240.0)
    assert started.stop() == {"worker m1": 0, "scheduler": 0}
    assert parts.live(database) == []


@pytest.mark.slow
def test_a_planner_waits_for_prefect_and_takes_nothing_back(tmp_path: Path, started: Services) -> None:
    settings = make_settings(tmp_path)
    database = init_database(settings)
    SatDaemonController(database).power_down_daemon()
    planner = started.start(settings, "planner")
    until(lambda: "planner: powered down" in started.said("planner"), 180.0)
    SatDaemonController(database).resume()
    until(lambda: "planner: waits for the Prefect server" in started.said("planner"), 180.0)
    (part,) = until(lambda: [p for p in parts.live(database) if p.message and "Prefect server" in p.message], 120.0)
    assert (part.name, part.state) == ("planner", "up")
    planner.send_signal(signal.SIGINT)
    assert planner.wait(120) == 0, started.said("planner")
    assert SatDaemonController(database).database.query(type(part)) == []


@pytest.mark.slow
@pytest.mark.postgis
def test_prefect_on_postgresql(tmp_path: Path, started: Services, postgres_cluster: Cluster) -> None:
    with postgres_cluster.database(template=None) as url:
        url = url.replace("+psycopg2", "+asyncpg")
        settings = make_settings(tmp_path, prefect_database=url)
        init_database(settings).close()
        server = started.start(settings, "prefect")
        until(lambda: is_healthy(settings) or server.poll() is not None, 180.0, "the Prefect server's start")
        assert server.poll() is None, started.said("prefect")
        assert not (settings.parameters.service_path / "prefect" / "prefect.db").exists()
        child = psutil.Process(server.pid).children(recursive=True)[-1]
        assert url not in " ".join(child.cmdline()), "a URL may hold a password"
        assert started.stop() == {"prefect": 0}


@pytest.mark.slow
def test_a_part_waits_for_its_database(tmp_path: Path, started: Services) -> None:
    url = "postgresql+psycopg2://nobody@127.0.0.1:9/none"
    settings = make_settings(tmp_path, database=url)
    scheduler = started.start(settings, "scheduler")
    until(lambda: "waits for the database" in started.said("scheduler"), 180.0)
    assert scheduler.poll() is None
    assert started.stop() == {"scheduler": 0}


