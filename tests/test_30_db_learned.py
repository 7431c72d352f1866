"""What jobs cost is learned as they end, and the next ones ask for it."""

from __future__ import annotations

import json

import pytest
from frames_made import make_frame, plan, run_all, start
from typer.testing import CliRunner

from satdaemon.control import SatDaemonController
from satdaemon.db import Database, FailedJob, LearnedCost, Machine, PendingJob, RunningJob, inputs, jobs, resources
from satdaemon.db.jobs.grant import Grant
from satdaemon.db.learned import SAMPLES, memory_gb
from satdaemon.domain import Failure, StageResult, Usage
from satdaemon.errors import OutOfMemory
from satdaemon.planning.quantiles import size_class
from satdaemon.status import RowKind, Stage

RESULT = StageResult((), processor="test", processor_version="1")
CONFIGURED_GB = 2.0


def end(db: Database, grant: Grant, peak_gb: float = 0.4, wall_s: float = 100.0, written_gb: float = 1.5) -> None:
    assert start(db, grant.job_id, grant.attempt)
    usage = Usage(wall_s, wall_s / 2, peak_gb, 0, int(written_gb * 1e9))
    assert jobs.finish(db, grant.job_id, grant.attempt, RESULT, usage, None)


def end_some(db: Database, count: int, **cost: float) -> None:
    """Let so many downloads of secondary dates end."""
    left = count
    while left:
        grants = [g for g in jobs.grant_pass(db) if g.job.kind is RowKind.IFG]
        assert grants
        for grant in grants[:left]:
            end(db, grant, **cost)
        left -= len(grants[:left])
        for grant in grants[len(grants[:left]) :] if not left else ():
            give_back(db, grant)


def give_back(db: Database, grant: Grant) -> None:
    failure = Failure("MachineLost", "never began", "", OutOfMemory.disposition.WAIT, 0.0)
    jobs.fail(db, grant.job_id, grant.attempt, failure, Usage())


def queued(db: Database) -> list[PendingJob]:
    """Downloads of secondary dates that were never granted."""
    return [j for j in db.query(PendingJob, kind="ifg", stage="download") if j.attempt == 0]


def learned(db: Database, machine: str = "") -> LearnedCost:
    (row,) = db.query(LearnedCost, stage="download", kind="ifg", machine=machine)
    return row


def test_few_jobs_change_nothing_and_enough_change_what_the_next_ask_for(database: Database) -> None:
    make_frame(database, 40)
    plan(database)
    assert {(j.memory_gb, j.predicted_s, j.size_class) for j in queued(database)} == {(CONFIGURED_GB, None, size_class(6))}
    assert {round(j.space_gb, 6) for j in queued(database)} == {1.8}, "0.3 GB a burst"
    end_some(database, SAMPLES - 1)
    assert {j.memory_gb for j in queued(database)} == {CONFIGURED_GB}
    end_some(database, 1)
    row = learned(database)
    assert row.samples == SAMPLES and row.memory_gb is not None and row.wall_s is not None and row.space_gb is not None
    assert 0.4 * 1.1 <= row.memory_gb <= 0.6 and 100 <= row.wall_s < 110 and 1.5 <= row.space_gb < 2.0
    asked = {(j.memory_gb, j.predicted_s, j.space_gb) for j in queued(database)}
    assert asked == {(row.memory_gb, row.wall_s, row.space_gb)}, "those that wait already, too"


def test_what_is_planned_later_asks_for_what_was_learned(database: Database) -> None:
    make_frame(database, SAMPLES + 4)
    run_all(database)
    make_frame(database, SAMPLES + 4, frame_id="132A_NEXT")
    plan(database)
    row = learned(database)
    for job in database.query(PendingJob, frame_id="132A_NEXT", kind="ifg"):
        assert (
            (job.memory_gb, job.predicted_s)
            == (row.memory_gb, row.wall_s)
            == (memory_gb(database.settings, Stage.DOWNLOAD, row), row.wall_s)
        )
    assert {j.memory_gb for j in database.query(PendingJob, frame_id="132A_NEXT", kind="master")} == {CONFIGURED_GB}


def test_it_asks_never_for_less_than_one_needed_nor_more_than_configured(database: Database) -> None:
    make_frame(database, 40)
    plan(database)
    end_some(database, 1, peak_gb=1.2)
    end_some(database, SAMPLES)
    assert learned(database).memory_gb >= 1.2 * 1.1 - 1e-6  # type: ignore[operator]
    end_some(database, 1, peak_gb=1.99)
    assert {j.memory_gb for j in queued(database)} == {CONFIGURED_GB}


def test_learning_can_be_switched_off(database: Database) -> None:
    parameters = database.settings.parameters.model_copy(update={"learn_resources": False})
    database.settings = database.settings.model_copy(update={"parameters": parameters})
    make_frame(database, 24)
    plan(database)
    end_some(database, SAMPLES)
    assert learned(database).memory_gb is not None and {j.memory_gb for j in queued(database)} == {CONFIGURED_GB}


def test_a_running_job_is_stopped_at_what_was_granted_and_plans_by_what_is_configured(database: Database) -> None:
    make_frame(database, 24)
    plan(database)
    end_some(database, SAMPLES)
    grant = next(g for g in jobs.grant_pass(database) if g.job.kind is RowKind.IFG and g.attempt == 1)
    start(database, grant.job_id, grant.attempt)
    given = inputs.stage_input(database, grant.job_id, grant.attempt, database.settings.parameters.processing_path / "out")
    assert (given.memory_gb, given.granted_gb) == (CONFIGURED_GB, learned(database).memory_gb)
    (live,) = database.query(RunningJob, job_id=grant.job_id)
    assert live.predicted_s == learned(database, live.machine).wall_s or live.predicted_s == learned(database).wall_s


def test_out_of_memory_asks_for_more_and_so_do_its_siblings(database: Database) -> None:
    make_frame(database, 40)
    plan(database)
    end_some(database, SAMPLES)
    grant = next(g for g in jobs.grant_pass(database) if g.job.kind is RowKind.IFG and g.attempt == 1)
    had_gb = grant.job.resources.memory_gb
    start(database, grant.job_id, grant.attempt)
    outcome = jobs.fail(database, grant.job_id, grant.attempt, Failure.from_exception(OutOfMemory("more")), Usage(5, 1, had_gb))
    (job,) = database.query(PendingJob, job_id=grant.job_id)
    assert outcome.kind == "retry" and (job.memory_gb, job.tries) == (CONFIGURED_GB, 0), "what was learned was wrong: no try lost"
    row = learned(database)
    assert row.ooms == 1 and row.after_oom_gb is not None and row.after_oom_gb >= 1.5 * had_gb
    assert {j.memory_gb for j in queued(database)} == {row.after_oom_gb}


def test_out_of_the_configured_memory_the_whole_class_asks_for_more_up_to_the_ceiling(database: Database) -> None:
    download = database.settings.download.model_copy(update={"memory_ceiling_gb": 4.0})
    database.settings = database.settings.model_copy(update={"download": download})
    make_frame(database, 24)
    plan(database)
    for wanted_gb in (3.0, 4.0):
        grant = next(
            g for g in jobs.grant_pass(database) if g.job.kind is RowKind.IFG and g.job.resources.memory_gb == wanted_gb - 1
        )
        start(database, grant.job_id, grant.attempt)
        jobs.fail(database, grant.job_id, grant.attempt, Failure.from_exception(OutOfMemory("more")), Usage())
        assert {j.memory_gb for j in queued(database)} == {wanted_gb}
        (job,) = database.query(PendingJob, job_id=grant.job_id)
        assert job.memory_gb == wanted_gb and job.tries > 0
        for other in database.query(RunningJob):
            give_back(database, Grant(jobs.queue.to_job(other, other.attempt), other.machine))
    assert database.query(FailedJob) == [] and max(m.memory_gb for m in database.query(Machine)) > 4.0


def test_the_command_shows_configured_against_learned_and_forgets(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    from satdaemon import config
    from satdaemon.cli.application import app, load_commands

    load_commands()
    monkeypatch.setattr(config, "load", lambda _: database.settings)
    make_frame(database, 24)
    plan(database)
    end_some(database, SAMPLES)
    shown = CliRunner().invoke(app, ["resources", "--json"])
    found = {(one["stage"], one["kind"]): one for one in json.loads(shown.output)}
    assert len(found) == 11, "each stage of each kind of row"
    one = found["download", "ifg"]
    assert (one["samples"], one["configured_memory_gb"], one["bursts"]) == (SAMPLES, CONFIGURED_GB, [4, 7])
    assert one["asked_memory_gb"] == learned(database).memory_gb and set(one["wall_s_of"]) <= {"small", "large"}
    assert found["slc", "ifg"]["asked_memory_gb"] == CONFIGURED_GB and found["slc", "ifg"]["samples"] == 0
    table = CliRunner().invoke(app, ["resources", "--stage", "download"])
    assert "download" in table.output and "4-7" in table.output and "satsar" not in table.output
    assert SatDaemonController(database).forget_resources("download") == 1
    assert database.query(LearnedCost) == []
    assert [c for c in resources.classes(database) if c.samples] == []
