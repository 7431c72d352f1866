"""`satdaemon doctor`: what is well is said, and every check's bad case is found, with its mend."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from engine_parts import make_settings, until

from deployments.doctor import cluster, configuration, host, prefect, versions
from deployments.doctor import database as database_checks
from deployments.doctor.finding import Finding, Level, Patient
from deployments.doctor.probe import WRITTEN, Place, look, shared_settings
from deployments.services import dask_scheduler, dask_worker
from satdaemon.config import Settings
from satdaemon.db import Database, Machine, init_database, machines
from satdaemon.db.health import Health, health
from satdaemon.machines.certificates import make_certificates
from satdaemon.machines.supervisor import Supervisor


def changed(settings: Settings, **parameters: Any) -> Settings:
    return settings.model_copy(update={"parameters": settings.parameters.model_copy(update=parameters)})


def bad(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {one.check: one for one in findings if one.level is not Level.OK}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = make_settings(tmp_path)
    for key in (*WRITTEN, "orbit_path"):
        getattr(made.parameters, key).mkdir()
    return made


@pytest.fixture(scope="module")
def clustered(tmp_path_factory: pytest.TempPathFactory, prefect_port: int) -> Iterator[Settings]:
    """A system of which the worker of m2 is not up."""
    settings = make_settings(tmp_path_factory.mktemp("doctor"), prefect_port=prefect_port)
    for key in (*WRITTEN, "orbit_path"):
        getattr(settings.parameters, key).mkdir()
    store = init_database(settings)
    supervisor = Supervisor(lambda _: None)
    supervisor.add(dask_scheduler(settings))
    supervisor.add(dask_worker(settings, settings.machines[0]))
    until(lambda: store.query(Machine, name="m1")[0].last_seen_utc is not None, 120.0, "the worker's connection")
    yield settings
    supervisor.stop()


def doctor(settings: Settings, *more: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "deployments.doctor", "-d", str(settings.source), *more]
    return subprocess.run(argv, capture_output=True, text=True, timeout=240)


@pytest.mark.slow
def test_a_whole_system_is_looked_at_and_an_error_is_exit_code_1(clustered: Settings) -> None:
    done = doctor(clustered, "--json")
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    found: Mapping[str, dict[str, str]] = {one["check"]: one for one in document["findings"]}
    levels = {check: one["level"] for check, one in found.items()}
    errors = [check for check, level in levels.items() if level == "error"]
    assert errors == ["m2: worker"] and document["errors"] == 1
    assert found["m2: worker"]["mend"] == "satdaemon up"
    good = ["prefect", "fastapi", "SQLAlchemy", "database", "schema", "Prefect", "Prefect's database", "Dask scheduler"]
    good += ["m1: worker", "m1: versions", "m1: clock", "m1: limits of jobs", "here: data_path", "m1: data_path"]
    good += ["m1: data_path shared"]
    assert {levels[check] for check in good} == {"ok"}
    assert levels["notify"] == levels["parts"] == "warning", "nobody is told; nothing holds its claim"
    for key in WRITTEN:
        assert list(getattr(clustered.parameters, key).glob(".doctor*")) == [], "nothing is left behind"


@pytest.mark.slow
def test_another_configuration_there_is_found(clustered: Settings, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    found = bad(cluster.cluster(Patient(changed(clustered, data_path=other))))
    assert found["m1: data_path"].level is Level.ERROR
    assert list(other.glob(".doctor*")) == []


def test_byte_code_that_is_not_kept_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some_package").mkdir()
    (tmp_path / "some_package" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    lacking = versions.byte_code("satdaemon", "some_package")
    assert lacking.level is Level.WARNING
    assert f"none below {tmp_path / 'some_package'}:" in lacking.found
    subprocess.run(shlex.split(lacking.mend.partition(": ")[2]), check=True)
    assert versions.byte_code("satdaemon", "some_package").level is Level.OK


def test_versions() -> None:
    assert versions.expected()["prefect"] == versions.installed("prefect")
    assert bad(versions.versions(Patient(None))) == {}  # type: ignore[arg-type]
    old, none = versions.compare("fastapi", "0.150.0", "0.151.0"), versions.compare("fastapi", "0.150.0", None)
    assert (old.level, old.found) == (Level.ERROR, "expected 0.150.0, got 0.151.0") and "requirements.lock" in old.mend
    assert none.found == "expected 0.150.0, got none"


def test_configuration(settings: Settings, tmp_path: Path) -> None:
    table = settings.proc_machines.model_copy(update={"hosts": ("alder", "birch")})
    remote = changed(settings, lease_s=1.0).model_copy(update={"proc_machines": table})
    found = bad(configuration.configuration(Patient(remote)))
    assert set(found) == {"leases", "dask_scheduler", "prefect_api", "database", "TLS", "notify"}
    assert found["leases"].mend == "lease_s = 1.5 or more"
    assert "cannot be shared by hosts" in found["database"].found
    make_certificates(tmp_path / "tls", ["alder"])
    key = tmp_path / "tls" / "alder.key"
    assert bad(configuration.keys(changed(settings, dask_key=key))) == {}
    key.chmod(0o644)
    assert bad(configuration.keys(changed(settings, dask_key=key)))["dask_key"].mend == f"chmod 600 {key}"
    secret = settings.notify.model_copy(update={"urls": ("nosuchthing://secret-word",)})
    (wrong,) = configuration.messages(settings.model_copy(update={"notify": secret}))
    assert wrong.level is Level.ERROR and "secret-word" not in wrong.found


def test_this_host(settings: Settings, tmp_path: Path) -> None:
    assert bad(host.here(Patient(settings))) == {}
    seen = look(settings, {})
    full = replace(seen, places={"data_path": Place(None, 1.0, 100.0)})
    assert bad(host.of_host("here", full))["here: data_path"].level is Level.WARNING
    section = settings.slc.model_copy(update={"processor": "command", "command": "no-such-program {input}"})
    broken = changed(settings, dem=tmp_path / "no.tif", data_path=tmp_path / "nowhere").model_copy(update={"slc": section})
    found = bad(host.here(Patient(broken)))
    assert {(check, one.level) for check, one in found.items()} == {
        (f"here: {what}", Level.ERROR) for what in ("data_path", "dem", "program of slc")
    }
    heights = changed(settings, dem_source="glo_30", geoid=tmp_path / "no.gtx")
    assert "pip install satdaemon[dem]" in look(heights, {}).unreadable.get("dem_source", "") or find_spec("dem_stitcher")
    assert "not there" in look(heights, {}).unreadable["geoid"]
    orbits = settings.download.model_copy(update={"processor": "builtin", "orbit_archives": ("aws", "cdse")})
    there = look(settings.model_copy(update={"download": orbits}), {})
    assert {*there.logins, *there.lacking} == {"cdse"}, "its login is wanted for orbits"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "no-such-program").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "no-such-program").chmod(0o755)
    assert look(changed(broken, software_path=(str(tmp_path / "bin"),)), {}).missing == {}


def test_a_machine_that_differs(settings: Settings, tmp_path: Path) -> None:
    init_database(settings).close()
    ours = dict(look(settings, {}).versions)
    seen = look(settings, {})
    assert bad(host.of_machine("m1", ours, seen)) == {}
    other = replace(
        seen, versions={**ours, "numpy": "1.0"}, clock_offset_s=-40.0, database=None, differs={"lease_s": "600.0"}
    )
    found = bad(host.of_machine("m1", ours, other))
    assert set(found) == {"m1: versions", "m1: clock", "m1: lease_s"}
    assert found["m1: clock"].found.startswith("-40.0 s") and f"numpy 1.0 (here {ours['numpy']})" in found["m1: versions"].found
    away = look(changed(settings, database="postgresql+psycopg2://x@127.0.0.1:9/x"), {})
    assert "does not answer" in bad(host.of_machine("m1", ours, away))["m1: database"].found
    assert shared_settings(changed(settings, lease_s=7.0))["lease_s"] == "7.0"


@pytest.mark.parametrize("way", ["here to there", "there to here"])
def test_a_path_that_is_not_shared(settings: Settings, tmp_path: Path, way: str) -> None:
    other = tmp_path / "other"
    shutil.copytree(settings.parameters.data_path, other)
    with cluster.Notes(settings) as notes:
        answer = notes.new_name()
        there = changed(settings, data_path=other)
        if way == "there to here":
            (other / notes.names["data_path"]).write_text(notes.text)
        found = bad(cluster.shared("m1", settings, notes, look(there, notes.names, answer), answer))
    assert set(found) == {"m1: data_path"}
    assert found["m1: data_path"].found.endswith("not seen there" if way == "here to there" else "not seen here")
    assert list(settings.parameters.processing_path.iterdir()) == []


def test_database(settings: Settings) -> None:
    patient = Patient(settings)
    assert bad(database_checks.database(patient))["schema"].mend == "run `satdaemon init-database`"
    store = init_database(settings)
    assert set(bad(database_checks.database(patient))) == {"parts"}
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0003'")
    assert "got 0003" in bad(database_checks.database(patient))["schema"].found
    away = Patient(changed(settings, database="postgresql+psycopg2://x@127.0.0.1:9/x"))
    assert bad(database_checks.database(away))["database"].level is Level.ERROR
    old = Health("PostgreSQL 11.1", 11, None, 0.0, (90, 100))
    assert set(bad(database_checks.of_postgresql(old))) == {"PostgreSQL", "PostGIS", "connections"}
    assert database_checks.clock("clock", 3.0).level is Level.WARNING


def test_health_of_both_databases(database: Database) -> None:
    found = health(database)
    assert abs(found.clock_offset_s) < 5.0
    assert (found.postgis is not None) == database.on_postgresql == found.kind.startswith("PostgreSQL")


def test_prefect(settings: Settings) -> None:
    assert bad(prefect.prefect(Patient(settings)))["Prefect"].level is Level.ERROR
    assert prefect.same_version("3.0.0", "3.8.8").level is Level.ERROR
    many = changed(settings, flow_concurrency=16)
    assert prefect.database_kind(many, "SQLite").mend.startswith("flow_concurrency = 4")
    moved = changed(many, prefect_database="postgresql+asyncpg://x@y/z")
    assert prefect.database_kind(moved, "PostgreSQL").level is Level.OK
    assert prefect.database_kind(moved, "SQLite").mend == "restart the part `prefect`"


def test_machines_and_workers(settings: Settings) -> None:
    assert bad(cluster.cluster(Patient(settings, timeout_s=0.5)))["Dask scheduler"].level is Level.ERROR
    table = settings.proc_machines.model_copy(update={"start": ("systemd",), "hosts": ("alder", "birch")})
    remote = settings.model_copy(update={"proc_machines": table})
    found = bad(cluster.connected(remote, {"m1": "tcp://1", "old": "tcp://2"}))
    assert found["m2: worker"].mend == "on birch: systemctl start satdaemon-worker@m2"
    assert found["old: worker"].level is Level.WARNING


def test_machines_that_get_no_jobs_are_found(settings: Settings) -> None:
    store = init_database(settings)
    assert bad(cluster.states(settings)) == {}
    machines.set_state(store, "m2", machines.QUARANTINED, who="satdaemon", reason="5 jobs in a row failed here")
    (found,) = bad(cluster.states(settings)).values()
    assert (found.check, found.found) == ("m2: state", "quarantined: it gets no jobs (5 jobs in a row failed here)")
    assert found.mend.endswith("satdaemon machines enable m2")
    away = "postgresql+psycopg2://nobody@127.0.0.1:9/none"
    assert bad(cluster.states(changed(settings, database=away))) == {}, "the database has checks of its own"
