"""What the maintenance flow removes, and what it leaves."""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from uuid import UUID

import pytest
from commands import run
from engine_parts import make_settings, until
from frames_made import FRAME, make_frame
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, LogFilter, LogFilterFlowRunId
from prefect.logging import disable_run_logger
from products_made import write_all

from flows import maintenance as flow
from flows.maintenance import remove_attempts, remove_logs, what_does_not_fit
from satdaemon.db import Database, Ifg, messages, planning, space
from satdaemon.db.consistency import check, fix, frames_of_day
from tasks.prefect_api import prefect_client
from tasks.prefect_history import prune_flow_runs

DAY_S = 86400.0
WATCH = import_module("satdaemon.messages.watch")


def old(path: Path, age_s: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix:
        path.write_text("x")
    else:
        path.mkdir()
    then = time.time() - age_s
    os.utime(path, (then, then))
    return path


def test_attempts_that_nobody_runs_are_removed(tmp_path: Path) -> None:
    live = old(tmp_path / "132A_DEMO" / ".attempts" / "7-2", 10 * DAY_S)
    dead = old(tmp_path / "132A_DEMO" / ".attempts" / "7-1", 10 * DAY_S)
    young = old(tmp_path / "132A_DEMO" / ".attempts" / "8-1", 60.0)
    product = old(tmp_path / "132A_DEMO" / "slc" / "20230101", 10 * DAY_S)
    assert remove_attempts(tmp_path, {"7-2"}, DAY_S) == 1
    assert not dead.exists()
    assert live.exists() and young.exists() and product.exists()


def test_only_old_output_of_jobs_is_removed(tmp_path: Path) -> None:
    place = tmp_path / "132A_DEMO" / "slc" / "20230101"
    gone = [old(place / "1-1.log", 100 * DAY_S), old(place / "1-1.jsonl", 100 * DAY_S)]
    gone.append(old(tmp_path / "consistency" / "20230101.json", 100 * DAY_S))
    kept = [old(place / "2-1.log", DAY_S), old(place / "notes.txt", 100 * DAY_S)]
    assert remove_logs(tmp_path, 90 * DAY_S) == 3
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)


def test_every_frame_has_its_turn(database: Database) -> None:
    for number in range(5):
        make_frame(database, 3, on=False, frame_id=f"132A_F{number}")
    first = date(2026, 1, 1)
    turns = [frames_of_day(database, first + timedelta(days=k), 3) for k in range(3)]
    assert sorted(frame for turn in turns for frame in turn) == [f"132A_F{n}" for n in range(5)]
    assert max(map(len, turns)) == 2


def test_what_does_not_fit_is_told_and_left(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "CHECK_EVERY_DAYS", 1)
    make_frame(database, 3, on=False)
    made = write_all(database)
    fix(database, check(database), who="the test")
    assert what_does_not_fit(database) == []
    (stage, key), place = next((k, p) for k, p in made.items() if k[0] == "satsar" and database.query(Ifg, date=_day(k[1])))
    shutil.rmtree(place)
    (line,) = what_does_not_fit(database)
    assert line.startswith(f"{FRAME} {stage} {key}: expected a product")
    assert {row.proc_stage for row in database.query(Ifg)} == {3}


def test_the_whole_of_maintenance(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "CHECK_EVERY_DAYS", 1)
    make_frame(database, 3, on=False)
    write_all(database)
    parameters = database.settings.parameters
    part = old(parameters.data_path / "T132" / ".scene.zip.part", 10 * DAY_S)
    attempt = old(parameters.processing_path / FRAME / ".attempts" / "7-1", 10 * DAY_S)
    with disable_run_logger():
        end = flow.maintenance.fn(str(config_of(database, tmp_path)))
    assert not part.exists() and not attempt.exists()
    assert "1 attempt directories, 1 parts of downloads" in end.message and "things to look at" in end.message
    assert {row.proc_stage for row in database.query(Ifg)} == {1}
    (told,) = [row for row in messages.listing(database) if row.kind == "maintenance"]
    assert told.title.endswith("things to look at") and FRAME in told.body


def test_a_low_disk_is_told_with_what_may_be_removed_and_the_command_removes_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_frame(database, 3)
    made = write_all(database)
    fix(database, check(database), who="the test")
    planning.plan(database)
    monkeypatch.setattr(WATCH, "LEAST_FREE", 0.0)
    assert flow.low_disks(database) == []
    monkeypatch.setattr(WATCH, "LEAST_FREE", 1.0)
    *disks, hint = flow.low_disks(database)
    assert disks and hint.startswith(f"may be removed: {len(space.removable(database))} intermediate products")
    option = ("-d", config_of(database, tmp_path))
    shown = json.loads(run("space", "--json", *option).stdout)
    assert (shown["removed"], {group["stage"] for group in shown["groups"]}) == (False, {"slc", "coherence"})
    assert all(place.is_dir() for place in made.values())
    assert "nothing was: satdaemon space --remove GB" in run("space", "--frame", FRAME, *option).stdout
    assert "no frame" not in run("space", "--frame", "132A_NONE", *option, code=1).stdout
    gone = json.loads(run("space", "--remove", "1000", "--json", *option).stdout)
    assert (gone["removed"], gone["products"]) == (True, shown["products"])
    assert not any(Path(path).exists() for path in gone["products"])
    assert "0 GB may be removed" in run("space", *option).stdout


def config_of(database: Database, tmp_path: Path) -> Path:
    """A configuration file of a test's database."""
    config = tmp_path / "satdaemon.cfg"
    names = ("database", "data_path", "processing_path", "log_path", "orbit_path")
    places = [f"{name} = {getattr(database.settings.parameters, name)}" for name in names]
    config.write_text("\n".join(["[PARAMETERS]", *places, ""]))
    return config


def test_old_flow_runs_leave_prefect_with_their_logs_and_tasks(tmp_path: Path, prefect_port: int) -> None:
    settings = make_settings(tmp_path, prefect_port=prefect_port, work_pool="prune-test")
    with prefect_client(settings) as client:
        made = {name: client.create_flow_from_name(name) for name in ("process-frame", "planner")}

        def run(flow: str, state: str) -> UUID:
            body = {"flow_id": str(made[flow]), "name": "x", "state": {"type": state}}
            return UUID(client.request("POST", "/flow_runs/", json=body).json()["id"])

        gone = [run("process-frame", "COMPLETED"), run("process-frame", "FAILED"), run("planner", "CANCELLED")]
        kept = [run("process-frame", word) for word in ("CANCELLED", "RUNNING", "SCHEDULED")]
        line = {"name": "x", "level": 20, "message": "hello", "timestamp": datetime.now(UTC).isoformat()}
        client.request("POST", "/logs/", json=[{**line, "flow_run_id": str(one)} for one in (gone[0], kept[0])])
        task = {"task_key": "x", "dynamic_key": "0", "flow_run_id": str(gone[0])}
        client.request("POST", "/task_runs/", json=task)

        def left() -> set[UUID]:
            found = client.read_flow_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[*gone, *kept])))
            return {one.id for one in found}

        def logs(one: UUID) -> int:
            return len(client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[one]))))

        prune_flow_runs(client, 1.0)
        assert left() == {*gone, *kept}
        assert (logs(gone[0]), logs(kept[0])) == (1, 1)
        assert prune_flow_runs(client, -1.0) >= 3
        assert left() == set(kept)
        assert client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[gone[0]]))) == []
        until(lambda: not logs(gone[0]), what="the logs are removed by the server")
        assert logs(kept[0]) == 1


def test_a_prefect_server_that_is_away_stops_no_maintenance(tmp_path: Path) -> None:
    with disable_run_logger():
        assert flow.remove_flow_runs(make_settings(tmp_path)) == 0


def _day(key: str) -> date:
    return datetime.strptime(key, "%Y%m%d").date()
