"""A site of several hosts: a head node and three machines with addresses of their own, one of them cut off in the middle."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client
from engine_parts import until
from hosts import NETWORK, Host, hosts, may_be_made
from only_parts import Services, start_part
from postgres import FAST, Cluster, cluster
from rich.console import Console

from satdaemon.cli.demo import command
from satdaemon.cli.demo.place import Place, prepare
from satdaemon.cli.demo.report import LIMITS, kept
from satdaemon.config import load
from satdaemon.db import Database, FailedJob, JobEvent, PendingJob, RunningJob, parts
from satdaemon.db.points import version_of
from satdaemon.machines.certificates import make_certificates
from satdaemon.machines.security import dask_security

HEAD, MACHINES = "10.77.0.1", {"m1": "10.77.0.11", "m2": "10.77.0.12", "m3": "10.77.0.13"}
LEASE_S = 15
CONFIGURATION = f"""\
[PARAMETERS]
database = ${{SATDAEMON_DATABASE}}
prefect_database = postgresql+asyncpg://satdaemon@{HEAD}/prefect
data_path = data
processing_path = processing
log_path = logs
orbit_path = simulation/orbits
dem = simulation/dem.tif
service_path = services/${{SATDAEMON_HOST}}
prefect_api = http://{HEAD}:4200/api
dask_scheduler = tls://{HEAD}:8786
dask_ca = tls/ca.pem
dask_cert = tls/${{SATDAEMON_HOST}}.pem
dask_key = tls/${{SATDAEMON_HOST}}.key
planner_interval_s = 30
heartbeat_s = 2
lease_s = {LEASE_S}

[PROC_MACHINES]
names = {", ".join(MACHINES)}
hosts = {", ".join(MACHINES.values())}
ports = 8790
cpu = 1
memory_gb = 6
disk = 100
start = systemd

[DOWNLOAD]
archive_path = simulation/archive
transfer = link
memory_gb = 1

[SLC]
memory_gb = 1
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgis,
    pytest.mark.faults,
    pytest.mark.soak,
    pytest.mark.timeout(1500),
]


class Site(Services):
    """The hosts, the database server on the head node, and the parts that run on each."""

    def __init__(self, demo: Place, network: dict[str, Host], server: Cluster) -> None:
        super().__init__(demo.root)
        self.demo, self.network, self.server = demo, network, server

    def environment(self, address: str, database: str) -> dict[str, str]:
        return {"SATDAEMON_HOST": address, "SATDAEMON_DATABASE": database}

    def start_on(self, host: str, part: str) -> None:
        """`satdaemon up --only PART` on a host."""
        here = self.network[host]
        environment = self.environment(here.address, f"postgresql+psycopg2://satdaemon@{HEAD}/satdaemon")
        with here.entered():
            self.running[part] = start_part(self.demo.config, part, self.log(part), environment)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    if not may_be_made():
        pytest.skip("network namespaces need root and iproute2")
    place = prepare(tmp_path / "site", options={"dates": 6}, fresh=False)
    place.config.write_text(CONFIGURATION)
    make_certificates(place.root / "tls", [HEAD, *MACHINES.values()])
    with ExitStack() as stack:
        network = stack.enter_context(hosts({"head": HEAD, **MACHINES}))
        with network["head"].entered():
            server = stack.enter_context(cluster(f"{FAST} -c listen_addresses={HEAD}"))
        server.sql("CREATE DATABASE prefect")
        server.sql("CREATE DATABASE satdaemon")
        with (server.directory / "data" / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {NETWORK} trust\n")
        server.sql("SELECT pg_reload_conf()")
        found = Site(place, network, server)
        try:
            yield found
        finally:
            found.kill()


def test_a_site_of_four_hosts_finishes_though_one_is_cut_off(site: Site) -> None:
    command.make_archive(site.demo, dates=6, seed=3)
    here = {**os.environ, **site.environment(HEAD, site.server.url("satdaemon"))}
    settings = load(site.demo.config, environment=here)
    command.make_frame(site.demo, settings, Console(quiet=True))
    database = Database(settings)
    for part in ("prefect", "scheduler", "planner", "flows"):
        site.start_on("head", part)
    for name in MACHINES:
        site.start_on(name, f"worker {name}")

    job = until(lambda: _begun(database, "satsar"), 600.0, f"a satsar job; the planner said: {site.said('planner')}")
    lost = site.network[job.machine]
    lost.unplug()
    until(lambda: not _runs(database, job), 60.0, "the lease of a job on the cut-off machine ran out")
    until(lambda: [e for e in database.query(JobEvent, job_id=job.job_id) if e.event == "finished"], 300.0, "done elsewhere")
    assert job.machine not in {other.machine for other in database.query(RunningJob)}
    lost.plug_in()
    until(lambda: f"worker {job.machine}" in {part.name for part in parts.live(database)}, 240.0, "the machine's return")
    frame_id = site.demo.frame()["id"]
    until(lambda: version_of(database, frame_id) is not None, 900.0, f"points; the flows said: {site.said('flows')[-3000:]}")
    until(lambda: database.query(RunningJob) == [] == database.query(PendingJob), 60.0)

    assert database.query(FailedJob) == []
    ended = list(database.query(JobEvent, event="finished"))
    assert {key: n for key, n in Counter((e.kind, e.stage, e.date1, e.date2) for e in ended).items() if n > 1} == {}
    assert {e.machine for e in ended} == set(MACHINES), "every machine did something"
    (mine,) = [e for e in ended if e.job_id == job.job_id]
    assert mine.machine != job.machine
    _check_connections(site, settings)
    command.compare(site.demo, settings, wall_s=0.0)
    summary = json.loads(site.demo.summary.read_text())
    assert {name: summary[name] for name in LIMITS if not kept(name, summary[name])} == {}
    assert set(site.stop().values()) == {0}, {name: site.said(name)[-1500:] for name in site.running}
    until(lambda: not _left(site.place), 60.0, "no process of the site is left")
    database.close()


def _begun(database: Database, stage: str) -> RunningJob | None:
    """A job of the stage that has a process."""
    return next((job for job in database.query(RunningJob, stage=stage) if job.pid is not None), None)


def _runs(database: Database, job: RunningJob) -> bool:
    """True while the job's attempt holds its place."""
    return any(other.attempt == job.attempt for other in database.query(RunningJob, job_id=job.job_id))


def _check_connections(site: Site, settings: Any) -> None:
    """The workers are at their hosts' addresses, over TLS, and Prefect's runs are in PostgreSQL."""
    with (
        site.network["head"].entered(),
        Client(settings.parameters.dask_scheduler, security=dask_security(settings), timeout=60, set_as_default=False) as client,
    ):
        workers = client.scheduler_info(n_workers=-1)["workers"]
    assert {info["name"]: address for address, info in workers.items()} == {
        name: f"tls://{address}:8790" for name, address in MACHINES.items()
    }
    ((runs,),) = site.server.rows("SELECT count(*) FROM flow_run", "prefect")
    assert runs > 0


def _left(root: Path) -> list[int]:
    return [p.pid for p in psutil.process_iter(["cmdline"]) if str(root) in " ".join(p.info["cmdline"] or [])]
