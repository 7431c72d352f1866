"""Deployments, what a start takes back, and what is refused (test_70_up.py has the whole system)."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import yaml
from engine_parts import make_frame, make_settings, until
from receiver import Receiver

from deployments.deploy import deploy
from deployments.dispatching import Dispatching
from deployments.services import check_addresses
from deployments.telling import Telling
from deployments.up import alone
from satdaemon.config import NotifySettings, load
from satdaemon.control import SatDaemonController
from satdaemon.db import Database, JobEvent, PendingJob, RunningJob, init_database, messages
from satdaemon.errors import ConfigError, RequestError
from tasks.prefect_api import (
    FRAME_FLOW,
    MAINTENANCE,
    PLANNER,
    deploy_services,
    ensure_work_pool,
    frame_deployments,
    live_runs,
    prefect_client,
)

ROOT = Path(__file__).resolve().parents[1]


def test_a_new_start_takes_a_power_down_back(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    make_frame(settings, dates=1).close()
    dispatching = Dispatching(settings)
    control = SatDaemonController(settings)
    assert control.power_down_daemon() == 1
    dispatching.plan()
    assert dispatching.database.query(PendingJob) == [], "the queue stays empty while it is powered down"
    dispatching.resume()
    (event,) = dispatching.database.query(JobEvent, event="changed", message="daemon: run")
    assert event.who == control.who
    dispatching.plan()
    assert len(dispatching.database.query(PendingJob)) == 1


def test_the_thread_that_tells_sends_at_once_and_flushes_at_its_end(tmp_path: Path, receiver: Receiver) -> None:
    settings = make_settings(tmp_path)
    settings = settings.model_copy(update={"notify": NotifySettings(urls=(receiver.url,), group_s=3600)})
    database = init_database(settings)
    telling = Telling(settings)
    telling.end("never begun")
    telling.begin()
    until(lambda: receiver.got, what="the first message")
    receiver.status = 500
    with database.session_scope() as session:
        messages.add(session, messages.News("daemon", "x", "refused", "y", at_once=True))
    until(lambda: len(receiver.got) == 2, what="the second")
    receiver.status = 200
    with database.session_scope() as session:
        messages.add(session, messages.News("job", "x/y", "grouped", "y"))
    telling.end("SIGTERM")
    assert [title.partition("] ")[2] for title in receiver.titles[:2]] == ["daemon up", "refused"]
    assert sorted(title.partition("] ")[2] for title in receiver.titles[2:]) == ["daemon down", "grouped", "refused"]
    assert {row.state for row in messages.listing(database)} == {"sent"}


def test_two_at_one_place_are_refused(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(RequestError, match="expected no other running system"), alone(tmp_path):
        pass
    with alone(tmp_path):
        assert (tmp_path / "up.lock").exists()


@pytest.mark.parametrize("key", ["prefect_api", "dask_scheduler"])
def test_an_address_that_is_taken_is_refused(tmp_path: Path, key: str) -> None:
    settings = make_settings(tmp_path)
    port = int(str(getattr(settings.parameters, key)).split(":")[2].split("/")[0])
    with socket.create_server(("127.0.0.1", port)), pytest.raises(ConfigError, match=rf"\[PARAMETERS\] {key}: expected nobody"):
        check_addresses(settings)
    check_addresses(settings)


def test_deploy_makes_one_deployment_a_frame_and_may_be_repeated(tmp_path: Path, prefect_port: int) -> None:
    settings = make_settings(tmp_path, prefect_port=prefect_port, work_pool="deploy-test")
    make_frame(settings, dates=1, frame_id="132A_ONE").close()
    database: Database = make_frame(settings, dates=1, frame_id="132A_TWO")
    with prefect_client(settings) as client:
        assert deploy(client, database, schedules=False) == ["132A_ONE", "132A_TWO"]
        first = frame_deployments(client, ["132A_ONE", "132A_TWO", "132A_NONE"])
        assert deploy(client, database, schedules=False) == ["132A_ONE", "132A_TWO"]
        assert frame_deployments(client, ["132A_ONE", "132A_TWO"]) == first
        assert set(first) == {"132A_ONE", "132A_TWO"}
        found = client.read_deployment_by_name(f"{FRAME_FLOW}/132A_ONE")
        assert found.parameters == {"frame_id": "132A_ONE", "config": str(settings.source)}
        assert found.tags == ["frame", "track 132A"]
        planner = client.read_deployment_by_name(f"{PLANNER}/{PLANNER}")
        assert planner.concurrency_options is not None
        assert planner.concurrency_options.collision_strategy.value == "CANCEL_NEW"
        assert [schedule.active for schedule in planner.schedules] == [False]
        with pytest.raises(RequestError, match="got 132A_NONE"):
            deploy(client, database, ["132A_NONE"])


def test_schedules_start_runs(tmp_path: Path, prefect_port: int) -> None:
    settings = make_settings(tmp_path, prefect_port=prefect_port, work_pool="schedule-test")
    with prefect_client(settings) as client:
        ensure_work_pool(client, settings)
        deploy_services(client, settings)
        for name in (PLANNER, MAINTENANCE):
            deployment = client.read_deployment_by_name(f"{name}/{name}")
            until(lambda id_=deployment.id: live_runs(client, id_), 60.0, f"a run of {name} that is scheduled")
        deploy_services(client, settings, active=False)


def test_prefect_yaml_names_what_exists(tmp_path: Path) -> None:
    described = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    for deployment in described["deployments"]:
        file, _, function = deployment["entrypoint"].partition(":")
        assert f"def {function}(" in (ROOT / file).read_text()
        assert deployment["work_pool"]["name"] == load(ROOT / "satdaemon.cfg", check_paths=False).parameters.work_pool
    assert [deployment["name"] for deployment in described["deployments"]][:2] == ["planner", "maintenance"]


def test_init_makes_a_database_that_up_can_use(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    init_database(settings).close()
    assert Database(settings).query(RunningJob) == []
