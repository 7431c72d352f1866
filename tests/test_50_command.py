"""Programs that are not ours, as jobs: a shell script under the guard, judged by code, signal and outputs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from engine_parts import FRAME, make_frame, make_settings, until

from satdaemon.config import load
from satdaemon.db import Database, FailedJob, Master, jobs, runs
from satdaemon.joblog import EventReader, JobContext
from satdaemon.runner import run_job
from satdaemon.status import ProcStatus


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose one job is the download of a master, to be copied."""
    place = tmp_path_factory.mktemp("base")
    make_frame(make_settings(place, stages=()), dates=1).close()
    return place


class Site:
    """One job of a copied database, run by a shell script."""

    def __init__(self, base: Path, place: Path) -> None:
        (place / "satdaemon.sqlite").write_bytes((base / "satdaemon.sqlite").read_bytes())
        self.place = place
        self.base = (base / "satdaemon.cfg").read_text()

    def run(self, script: str, **keys: object) -> dict[str, Any]:
        program = self.place / "program"
        program.write_text(f"#!/bin/bash\n{script}\n")
        program.chmod(0o755)
        section = {"processor": "command", "command": f"{program} {{out}}", "outputs": "made.txt", "memory_gb": 0.5, **keys}
        config = self.place / "satdaemon.cfg"
        config.write_text("\n".join([self.base, "[DOWNLOAD]", *(f"{key} = {value}" for key, value in section.items()), ""]))
        self.database = Database(load(config))
        assert runs.claim_frame(self.database, FRAME, "the test")
        until(lambda: jobs.grant_pass(self.database), what="a grant")
        (job,) = [found for found in jobs.pending_of_frame(self.database, FRAME, 5) if found.machine]
        summary = run_job(str(config), job.id, job.attempt, {"job": job})
        self.log = Path(str(summary["log"])).read_text()
        return summary

    @property
    def product(self) -> Path:
        return self.place / "processing" / FRAME / "download" / "20230101"

    def status(self) -> ProcStatus:
        return ProcStatus(self.database.query(Master)[0].proc_status)


@pytest.fixture
def site(base: Path, tmp_path: Path) -> Site:
    return Site(base, tmp_path)


def test_a_script_that_calls_nothing_is_judged_by_its_outputs(site: Site) -> None:
    script = 'pwd > "$1/made.txt"; echo "$COLOUR $SATDAEMON_FRAME" >> "$1/made.txt"; touch litter'
    summary = site.run(script, environment="'COLOUR=red {stage}'", directory="{scratch}")
    assert summary["outcome"] == "done", summary
    where, what = (site.product / "made.txt").read_text().splitlines()
    assert where.endswith("/scratch") and what == f"red download {FRAME}"
    assert not (site.product / "litter").exists()
    assert site.status() is ProcStatus.DONE


def test_a_script_tells_by_the_command_and_by_a_line_of_its_own(site: Site) -> None:
    script = """
    satdaemon joblog progress 40 half way
    satdaemon joblog warning two islands
    echo '{"level": "warning", "message": "a third"}' >> "$SATDAEMON_JOB_LOG"
    satdaemon joblog error "so it said"
    echo x > "$1/made.txt"
    """
    summary = site.run(script)
    assert summary["outcome"] == "done", (summary, site.log)
    assert summary["warnings"] == [
        "two islands", "a third", "it said so, and ended with return code 0 all the same: so it said",
    ]  # fmt: skip
    assert site.status() is ProcStatus.DONE_WITH_WARNINGS


@pytest.mark.parametrize(
    ("script", "outcome", "said"),
    [
        ("satdaemon joblog error 'no licence'; exit 9", "failed", "ProcessingError: no licence"),
        ("exit 3", "failed", "return code 3"),
        ("exit 75", "retry", "TransientError"),
        ("kill -SEGV $$", "failed", "signal SIGSEGV"),
        ("(kill -KILL $BASHPID); exit $?", "retry", "MachineLost: the command was stopped: SIGKILL came from outside"),
        ("(kill -ABRT $BASHPID); exit $?", "failed", "signal SIGABRT"),
        ("exec /not/there", "failed", "was not found"),
        ("true", "failed", "expected the command to leave made.txt"),
        (": > $1/made.txt", "failed", "CorruptProduct"),
    ],
)
def test_how_an_end_is_judged(site: Site, script: str, outcome: str, said: str) -> None:
    summary = site.run(script)
    assert summary["outcome"] == outcome and said in summary["message"], (summary, site.log)
    assert not site.product.exists()
    assert len(site.database.query(FailedJob)) == (outcome == "failed")


def joblog(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "satdaemon.cli", "joblog", *words]
    return subprocess.run(argv, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_loads_neither_the_database_nor_the_other_commands(tmp_path: Path) -> None:
    context = JobContext(7, 2, FRAME, "unwrap", tmp_path / "events.jsonl").to_environment()
    code = "import sys; sys.argv = ['satdaemon', 'joblog', 'progress', '40%', 'on', 'the', 'way']\n"
    code += "import satdaemon.cli\ntry: satdaemon.cli.main()\nexcept SystemExit as end: assert end.code == 0\n"
    code += "print(sorted({'sqlalchemy', 'typer', 'rich', 'pydantic', 'numpy', 'satdaemon.db'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **context}, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    reader = EventReader(tmp_path / "events.jsonl")
    reader.read()
    assert (reader.progress, reader.message) == (0.4, "on the way")


def test_words_that_cannot_be_meant_and_a_missing_job_are_told() -> None:
    assert "expected a number from 0 to 100, got '400'" in joblog("progress", "400").stderr
    assert joblog("shout", "x").returncode == 2
    done = joblog("info", "x")
    assert done.returncode == 1 and done.stderr.startswith("error: JobLogger: expected SATDAEMON_JOB_ID")
