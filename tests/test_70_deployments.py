"""Deployments, what a start takes back, and what is refused (test_70_up.py has the whole system)."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from engine_parts import FRAME, make_frame, make_settings, until
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.logging import disable_run_logger
from prefect.states import Pending, Running, Scheduled
from receiver import Receiver

from deployments.deploy import deploy, main
from deployments.dispatching import Dispatching
from deployments.nudging import Nudge
from deployments.services import check_addresses
from deployments.telling import Telling
from deployments.up import alone
from flows.watch import watch
from satdaemon.config import NotifySettings, load
from satdaemon.control import SatDaemonController
from satdaemon.db import Database, JobEvent, PendingJob, RunningJob, init_database, messages, parts, planning, runs
from satdaemon.db.frame_switches import frame_switches
from satdaemon.db.holder import this_process
from satdaemon.errors import ConfigError, RequestError
from tasks import starting
from tasks.deployed import Difference, deploy_frames, deploy_services
from tasks.dispatch import plan_and_dispatch
from tasks.prefect_api import (
    FRAME_FLOW,
    MAINTENANCE,
    PLANNER,
    ensure_work_pool,
    live_frame_runs,
    live_runs,
    prefect_client,
)
from tasks.starting import start
from tasks.wanted import frame_deployments

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


def test_deploy_writes_what_differs_and_nothing_else(tmp_path: Path, prefect_port: int) -> None:
    settings = make_settings(tmp_path, prefect_port=prefect_port, work_pool="deploy-test", watch_interval_s=600)
    make_frame(settings, dates=1, frame_id="132A_ONE").close()
    database: Database = make_frame(settings, dates=1, frame_id="132A_TWO")
    both = [f"{FRAME_FLOW}/132A_ONE", f"{FRAME_FLOW}/132A_TWO"]
    services = ["planner/planner", "maintenance/maintenance", "watch/watch"]
    with prefect_client(settings) as client:
        assert deploy(client, database, dry_run=True).made[-2:] == both
        step = deploy(client, database, schedules=False)
        assert (step.made[-2:], step.removed) == (both, [])
        ids = deploy_frames(client, database, ["132A_ONE", "132A_TWO"])
        again = deploy(client, database, schedules=False)
        assert (again.writes, again.unchanged) == (0, services + both), "schedules with their runs stay as they are"
        found = client.read_deployment_by_name(both[0])
        assert found.id == ids["132A_ONE"]
        assert found.parameters == {"frame_id": "132A_ONE", "config": str(settings.source)}
        assert (found.tags, found.paused) == (["frame", "track 132A"], False)
        planner = client.read_deployment_by_name(f"{PLANNER}/{PLANNER}")
        assert planner.concurrency_options is not None
        assert planner.concurrency_options.collision_strategy.value == "CANCEL_NEW"
        assert [schedule.active for schedule in planner.schedules] == [False]
        watch = client.read_deployment_by_name("watch/watch")
        assert [schedule.schedule.interval for schedule in watch.schedules] == [timedelta(seconds=600)]

        control = SatDaemonController(settings)
        control.set_frame_full_proc("132A_ONE", False)
        client.update_deployment(ids["132A_TWO"], DeploymentUpdate(tags=["by hand"]))
        step = deploy(client, database, schedules=False)
        assert (step.changed, step.made, len(step.unchanged)) == (both, [], 3)
        assert client.read_deployment_by_name(both[0]).paused
        assert client.read_deployment_by_name(both[1]).tags == ["frame", "track 132A"]
        control.set_frame_full_proc("132A_ONE", True)
        client.update_deployment(ids["132A_TWO"], DeploymentUpdate(job_variables={"command": "by hand"}))
        assert deploy(client, database, schedules=False).changed == both
        assert not client.read_deployment_by_name(both[0]).paused
        assert client.read_deployment_by_name(both[1]).job_variables == {}

        control.set_frame_full_proc("132A_ONE", False)
        difference = Difference(client, settings, frame_deployments(settings, frame_switches(database)))
        assert difference.step.changed == both[:1]
        client.delete_deployment(ids["132A_ONE"])
        difference.write()
        assert client.read_deployment_by_name(both[0]).paused, "removed meanwhile: made again"
        control.retire_frame("132A_TWO")
        assert deploy(client, database, ["132A_TWO"], dry_run=True).removed == both[1:]
        assert deploy(client, database, schedules=False).removed == both[1:]
        assert deploy(client, database, schedules=False).writes == 0
        control.restore_frame("132A_TWO")
        assert deploy(client, database, ["132A_TWO"], schedules=False).made == both[1:]
        with pytest.raises(RequestError, match="got 132A_NONE"):
            deploy(client, database, ["132A_NONE"])


def test_the_command_says_what_it_did_or_would_do(
    tmp_path: Path, prefect_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = make_settings(tmp_path, prefect_port=prefect_port, work_pool="command-test")
    make_frame(settings, dates=1, frame_id="132A_CMD").close()

    def command(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["satdaemon deploy", "-d", str(settings.source), *arguments])
        main()
        return capsys.readouterr().out

    would = command("--dry-run", "--frame", "132A_CMD")
    assert f"make    {FRAME_FLOW}/132A_CMD" in would and "dry run: nothing was done" in would
    assert f"{FRAME_FLOW}/132A_CMD" in json.loads(command("--json"))["made"]
    assert "0 made, 0 changed, 0 removed, 4 unchanged" in command()
    away = make_settings(tmp_path / "away")
    init_database(away).close()
    monkeypatch.setattr(sys, "argv", ["satdaemon deploy", "-d", str(away.source)])
    with pytest.raises(SystemExit, match="expected a Prefect server that answers"):
        main()


def test_the_planner_keeps_deployments_in_step_a_piece_at_a_time(tmp_path: Path, prefect_port: int) -> None:
    settings = make_settings(tmp_path, prefect_port=prefect_port, work_pool="step-test", lease_s=600)
    names = [f"132A_S{n:02d}" for n in range(20)]
    make_frame(settings, dates=1, frame_id=names[0]).close()
    control = SatDaemonController(settings)
    database = control.database
    for name in names[1:]:
        control.clone_frame(names[0], name)
    dispatching = Dispatching(settings)
    dispatching.deploy(schedules=False)
    with prefect_client(settings) as client:
        keeper = dispatching.deployments
        assert not keeper.is_whole
        assert len(keeper.keep(client, within_s=0.0).made) == 20
        assert not keeper.is_whole, "no time was given: the next turn goes on"
        keeper.keep(client)
        assert keeper.is_whole
        assert keeper.keep(client).writes == 0
        found = deploy(client, database, schedules=False, dry_run=True)
        assert (found.made, found.changed, found.removed) == ([], [], [])
        assert [client.read_deployment_by_name(f"{FRAME_FLOW}/{name}").paused for name in names[:2]] == [False, True]

        assert runs.claim_frame(database, names[1], "a flow run")
        control.retire_frame(names[1])
        control.delete_frame(names[2])
        assert dispatching.turn() == names[:1]
        left = {one.name for one in client.read_deployments(deployment_filter=_named(names))}
        assert left == set(names) - {names[2]}, "a flow run still works on the retired one"
        runs.release_frame(database, names[1], "a flow run")
        dispatching.turn()
        left = {one.name for one in client.read_deployments(deployment_filter=_named(names))}
        assert left == set(names) - set(names[1:3])


def test_a_change_asks_for_a_plan_where_no_planner_part_is_up(tmp_path: Path, prefect_port: int) -> None:
    settings = make_settings(tmp_path, prefect_port=prefect_port, work_pool="nudge-test", lease_s=600)
    database = make_frame(settings, dates=1)
    control = SatDaemonController(settings)
    with prefect_client(settings) as client:
        ensure_work_pool(client, settings)
        deploy_services(client, settings, schedules=False)
        deployment = client.read_deployment_by_name(f"{PLANNER}/{PLANNER}")
        nudge = Nudge(settings)
        planning.plan(database)
        assert not nudge.look(), "nothing changed since the plan"
        control.set_frame_priority("132A_TEST", 7)
        parts.claim(database, [PLANNER], me := this_process("the test"))
        assert not nudge.look(), "the planner part sees it by itself"
        parts.release(database, me)
        assert nudge.look()
        (run,) = live_runs(client, deployment.id)
        assert not nudge.look() and not Nudge(settings).look(), "a run is on its way"
        client.delete_flow_run(run.id)
        assert not nudge.look(), "it was asked for a moment ago"
        control.pause()
        assert nudge.look(), "another change"
        planning.plan(database)
        control.power_down_daemon()
        assert not nudge.look(), "nothing is planned while it is powered down"
        client.update_deployment(deployment.id, DeploymentUpdate(parameters={"config": "/elsewhere"}))
        client.delete_flow_run(live_runs(client, deployment.id)[0].id)
        control.resume()
        with pytest.raises(RequestError, match="got /elsewhere"):
            nudge.look()


def test_flow_runs_are_started_as_there_are_slots_and_urgent_frames_come_first(tmp_path: Path, prefect_port: int) -> None:
    settings = make_settings(tmp_path, prefect_port=prefect_port, work_pool="slots-test", flow_concurrency=2, lease_s=1)
    names = [f"132A_P{n}" for n in range(6)]
    for name in names:
        make_frame(settings, dates=20, frame_id=name).close()
    control = SatDaemonController(settings)
    database = control.database

    def turn() -> list[str]:
        done = plan_and_dispatch(database, client)
        assert done is not None
        assert {*done.left, *done.started} == set(names)
        return done.started

    with prefect_client(settings) as client:
        ensure_work_pool(client, settings)
        assert turn() == names[:2], "as many as flow_concurrency allows, though all can move"
        assert turn() == []
        control.set_frame_priority(names[5], 9)
        assert turn() == [names[5]], "it does not wait behind others, whatever they have queued"
        control.set_frame_priority(names[4], 5)
        control.set_frame_priority(names[3], 4)
        assert turn() == [names[4]]
        assert turn() == [], "two more urgent ones are at work, and no spare slot is left"
        client.delete_flow_run(next(run.id for run in live_frame_runs(client) if run.parameters["frame_id"] == names[0]))
        assert turn() == [], "one of the usual slots is taken by an urgent frame still"
        client.delete_flow_run(next(run.id for run in live_frame_runs(client) if run.parameters["frame_id"] == names[5]))
        assert turn() == [names[5]], "the most urgent one first"
        for run in live_frame_runs(client):
            if run.parameters["frame_id"] in names:
                client.set_flow_run_state(run.id, Running(), force=True)
        control.set_frame_full_proc(names[1], False)
        names.remove(names[1])
        begun: list[str] = []
        until(lambda: begun.extend(turn()) or len(begun) == 2, what="runs without a process take no slot")
        assert set(begun) == {names[4], names[3]}


def test_watch_enters_new_zips_and_says_what_is_bad(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    init_database(settings).close()
    place = settings.parameters.data_path / "T132"
    place.mkdir(parents=True)
    bad = place / "S1A_IW_SLC__1SDV_20230101T051815_20230101T051842_046591_059571_1AB2.zip"
    bad.write_bytes(b"no zip" * 100)
    then = time.time() - 86400.0
    os.utime(bad, (then, then))
    with disable_run_logger():
        end = watch.fn(str(settings.source))
    assert end.is_completed()
    assert "1 bad" in str(end.message)
    assert "1 bad" in str(Database(settings).query(JobEvent, event="changed", who="ingest-files")[0].message)
    shutil.rmtree(settings.parameters.data_path)
    with disable_run_logger(), pytest.raises(RequestError, match="expected a directory"):
        watch.fn(str(settings.source))


def _named(names: list[str]) -> DeploymentFilter:
    return DeploymentFilter(name=DeploymentFilterName(any_=names))


def test_schedules_start_runs(tmp_path: Path, prefect_port: int) -> None:
    settings = make_settings(tmp_path, prefect_port=prefect_port, work_pool="schedule-test")
    with prefect_client(settings) as client:
        ensure_work_pool(client, settings)
        deploy_services(client, settings)
        for name in (PLANNER, MAINTENANCE):
            deployment = client.read_deployment_by_name(f"{name}/{name}")
            until(lambda id_=deployment.id: live_runs(client, id_), 60.0, f"a run of {name} that is scheduled")
        deploy_services(client, settings, schedules=False)


def test_a_run_for_later_holds_up_no_frame(tmp_path: Path, prefect_port: int) -> None:
    settings = make_settings(tmp_path, prefect_port=prefect_port, work_pool="later-test")
    database = make_frame(settings, dates=1)
    with prefect_client(settings) as client:
        ensure_work_pool(client, settings)
        deployment = deploy_frames(client, database, [FRAME])[FRAME]
        client.create_flow_run_from_deployment(deployment, state=Scheduled(scheduled_time=datetime.now(UTC) + timedelta(hours=1)))
        assert start(database, client, [FRAME]).started == [FRAME]
        again = start(database, client, [FRAME])
        assert again.started == [] and again.left[FRAME].endswith("is Scheduled")
    database.close()


@pytest.mark.parametrize(
    ("since_s", "is_young"), [(1.0, True), (300.0, False), (-1.0, True), (-300.0, False), (-3600.0, False)]
)
def test_a_run_of_a_time_to_come_began_before_the_clock_was_put_back(tmp_path: Path, since_s: float, is_young: bool) -> None:
    """Prefect holds its process until that time: another run has to take the frame."""
    database = Database(make_settings(tmp_path, lease_s=60.0))
    state = Pending()
    state.timestamp = datetime.now(UTC) - timedelta(seconds=since_s)
    run = FlowRun(flow_id=uuid4(), state=state, state_type=StateType.PENDING)
    assert starting._is_young(database, run) is is_young
    database.close()


def test_prefect_yaml_names_what_exists(tmp_path: Path) -> None:
    described = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    for deployment in described["deployments"]:
        file, _, function = deployment["entrypoint"].partition(":")
        assert f"def {function}(" in (ROOT / file).read_text()
        assert deployment["work_pool"]["name"] == load(ROOT / "satdaemon.cfg", check_paths=False).parameters.work_pool
    assert [deployment["name"] for deployment in described["deployments"]][:3] == ["planner", "maintenance", "watch"]


def test_init_makes_a_database_that_up_can_use(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    init_database(settings).close()
    assert Database(settings).query(RunningJob) == []
