"""JobLogger: lines of one job, thinned progress, found from the environment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from satdaemon.errors import RequestError
from satdaemon.joblog import EventReader, JobContext, JobLogger


def context_at(path: Path) -> JobContext:
    return JobContext(7, 2, "132A_DEMO", "unwrap", path / "events.jsonl")


def test_lines_carry_the_job(tmp_path: Path) -> None:
    with JobLogger(context_at(tmp_path)) as log:
        log.info("begins")
        log.warning("two islands")
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [line["level"] for line in lines] == ["info", "warning"]
    assert all((line["job_id"], line["attempt"], line["frame"], line["stage"]) == (7, 2, "132A_DEMO", "unwrap") for line in lines)
    assert log.warnings == ["two islands"]


def test_progress_is_thinned_but_its_end_is_written(tmp_path: Path) -> None:
    log = JobLogger(context_at(tmp_path))
    for step in range(1001):
        log.progress(step / 1000)
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert 2 <= len(lines) < 50
    assert json.loads(lines[-1])["progress"] == 1.0


@pytest.mark.parametrize(("given", "written"), [(-0.5, 0.0), (0.25, 0.25), (7.0, 1.0)])
def test_progress_stays_within_bounds(tmp_path: Path, given: float, written: float) -> None:
    JobLogger(context_at(tmp_path)).progress(given)
    assert json.loads((tmp_path / "events.jsonl").read_text())["progress"] == written


def test_an_error_is_recorded_and_not_swallowed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), JobLogger(context_at(tmp_path)):
        _ = 1 / 0
    reader = EventReader(tmp_path / "events.jsonl")
    reader.read()
    assert reader.last_error is not None
    assert reader.last_error.message == "division by zero"
    assert "ZeroDivisionError" in reader.last_error.traceback


def test_a_clean_exit_is_no_error(tmp_path: Path) -> None:
    with pytest.raises(SystemExit), JobLogger(context_at(tmp_path)):
        sys.exit(0)
    assert not (tmp_path / "events.jsonl").exists()


def test_reader_follows_a_growing_file_and_leaves_half_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    reader = EventReader(path)
    assert reader.read() == []
    JobLogger(context_at(tmp_path)).progress(0.5, "half")
    with path.open("a") as file:
        file.write('{"level": "warning", "mess')
    assert len(reader.read()) == 1
    assert (reader.progress, reader.message) == (0.5, "half")
    with path.open("a") as file:
        file.write('age": "late"}\n')
    reader.read()
    assert reader.warnings == ["late"]


def test_reader_keeps_a_line_that_is_not_json(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text("plain words\n")
    (event,) = EventReader(tmp_path / "events.jsonl").read()
    assert (event.level, event.message) == ("info", "plain words")


def test_context_survives_the_environment(tmp_path: Path) -> None:
    context = context_at(tmp_path)
    assert JobContext.from_environment(context.to_environment()) == context


def test_a_program_that_is_no_job_is_told_so() -> None:
    with pytest.raises(RequestError, match="SATDAEMON_JOB_ID"):
        JobContext.from_environment({})


def test_a_foreign_program_finds_its_job(tmp_path: Path) -> None:
    code = "from satdaemon.joblog import JobLogger\nwith JobLogger() as log:\n log.progress(0.4, 'step')\n log.warning('hm')"
    subprocess.run([sys.executable, "-c", code], check=True, env=context_at(tmp_path).to_environment())
    reader = EventReader(tmp_path / "events.jsonl")
    reader.read()
    assert (reader.progress, reader.message, reader.warnings) == (0.4, "step", ["hm"])
