"""`satdaemon job` and `satdaemon machines`: what operators do to jobs and machines, as they type it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from frames_made import FRAME, make_frame, plan, start
from typer.testing import CliRunner, Result

from satdaemon.cli import application as cli
from satdaemon.config import load
from satdaemon.db import Database, Frame, Machine, jobs, machines
from satdaemon.domain import Failure, Usage
from satdaemon.errors import CorruptProduct, RequestError


@dataclass
class Place:
    database: Database
    config: Path

    def run(self, *words: str) -> str:
        result: Result = CliRunner().invoke(cli.app, [*words, "-d", str(self.config)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    def json(self, *words: str) -> list[dict[str, object]]:
        return list(json.loads(self.run(*words, "--json")))


@pytest.fixture
def place(tmp_path: Path, sqlite_template: Path) -> Iterator[Place]:
    """Three dates: one download runs, one failed, the others wait."""
    cli.load_commands()
    config = tmp_path / "satdaemon.cfg"
    config.write_text("[PARAMETERS]\ndatabase = sqlite:///db.sqlite\norbit_path = orbits\n[PROC_MACHINES]\nnames = m1\ncpu = 2\n")
    (tmp_path / "orbits").mkdir()
    shutil.copy(sqlite_template, tmp_path / "db.sqlite")
    database = Database(load(config))
    database.delete(Machine, name=["small", "large"])
    machines.register(database, database.settings.machines)
    make_frame(database, 4)
    plan(database)
    running, failing = jobs.grant_pass(database)
    assert start(database, running.job_id, running.attempt) and start(database, failing.job_id, failing.attempt)
    failure = Failure.from_exception(CorruptProduct("the zip is [truncated]"))
    assert jobs.fail(database, failing.job_id, failing.attempt, failure, Usage()).kind == "failed"
    yield Place(database, config)
    database.close()


def test_jobs_are_listed_shown_and_tried_again(place: Place) -> None:
    found = place.json("job", "list")
    assert [line["place"] for line in found] == ["running", "failed", "pending", "pending"]
    (failed,) = place.json("job", "list", "--failed", "--frame", FRAME)
    assert "the zip is [truncated]" in str(failed["what"])
    assert "truncated" in place.run("job", "list")
    shown = place.run("job", "show", str(failed["job_id"]))
    assert "granted" in shown and "failed" in shown and "m1" in shown
    assert "1 jobs are tried again" in place.run("job", "retry", str(failed["job_id"]))
    assert place.json("job", "list", "--failed") == []
    assert "nothing to try again" in place.run("job", "retry", str(failed["job_id"]))


def test_a_cancelled_job_is_held_until_it_is_tried_again(place: Place) -> None:
    assert "3 jobs are stopped" in place.run("job", "cancel", "--frame", FRAME, "--reason", "a storm")
    lines = place.json("job", "list")
    assert [line["place"] for line in lines if line["place"] != "failed"] == ["running", "held", "held"]
    assert all("a storm" in str(line["what"]) for line in lines if line["place"] == "held")
    assert "asked to stop" in str(lines[0]["what"])
    place.run("job", "retry", "--frame", FRAME)
    assert {line["place"] for line in place.json("job", "list")} == {"running", "pending"}


@pytest.mark.parametrize("words", ["job retry", "job cancel", "job show 999", "job cancel --frame 132A_X"])
def test_what_is_not_there_or_not_said_is_refused(place: Place, words: str) -> None:
    with pytest.raises(RequestError, match="expected"):
        place.run(*words.split())


def test_a_drained_machine_gets_nothing_until_it_is_enabled(place: Place) -> None:
    assert "its running jobs end" in place.run("machines", "drain", "m1", "--reason", "new disk")
    (shown,) = place.json("machines", "list")
    assert (shown["state"], shown["reason"], shown["jobs"]) == ("draining", "new disk", 1)
    assert jobs.grant_pass(place.database) == []
    place.run("machines", "quarantine", "m1")
    assert "quarantined" in place.run("machines", "list")
    place.run("machines", "enable", "m1")
    (machine,) = place.database.query(Machine)
    assert (machine.state, machine.reason) == ("enabled", None)
    assert len(jobs.grant_pass(place.database)) == 1


def test_a_frame_is_on_til_a_stage_and_only_for_what_it_had(place: Place) -> None:
    place.run("frame", "on", FRAME, "--til", "coherence")
    (frame,) = place.database.query(Frame)
    assert frame.processing and frame.do_coherence and not frame.do_unwrap and not frame.do_ingest
    place.run("frame", "updates", FRAME, "off")
    (frame,) = place.database.query(Frame)
    assert frame.do_update is False and frame.do_ingest
    with pytest.raises(RequestError, match="expected one of"):
        place.run("frame", "on", FRAME, "--til", "moon")
