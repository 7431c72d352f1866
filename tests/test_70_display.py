"""What people see of a running system: one screen on a terminal, plain lines elsewhere; and `daemon` from the command line."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from engine_parts import make_frame as make_engine_frame
from engine_parts import make_settings, until
from frames_made import make_frame, plan
from rich.console import Console
from typer.testing import CliRunner

from deployments.display import Display
from satdaemon.cli import application as cli
from satdaemon.control import SatDaemonController
from satdaemon.db import Database, JobEvent, PendingJob, daemon, jobs, parts
from satdaemon.db.holder import this_process
from satdaemon.db.parts import DOWN, UP, PartState


def test_the_screen_of_a_terminal_has_it_all(database: Database) -> None:
    make_frame(database, 6)
    plan(database)
    granted = jobs.grant_pass(database)
    me = this_process("ann@desk")
    parts.claim(database, ["planner", "worker m1"], me)
    parts.beat(database, {"planner": PartState(UP), "worker m1": PartState(DOWN, "ended [code 1]", restarts=3)}, me)
    SatDaemonController(database, who="ann@desk").pause()
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, no_color=True, highlight=False, width=140, height=60)
    with Display(database, is_live=True, console=console) as display:
        display.tell("worker m1: ended with code 1 [again]")
        display.show("waiting for 1 running job")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())
    for words in ("ended with code 1 [again]", "paused", "(by ann@desk)", f"{len(granted)} running", "1 of 1 on", "last plan",
                  "planner", "ended [code 1]", "large", "of 16", "Prefect UI", "logs", "waiting for 1 running job"):  # fmt: skip
        assert words in text, words


def test_lines_where_there_is_no_terminal(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    with Display(database, is_live=True, console=Console(file=io.StringIO())) as display:
        display.tell("one")
        for _ in range(3):
            display.show("waiting for 2 running jobs")
        display.show()
    assert capsys.readouterr().out.splitlines() == ["one", "waiting for 2 running jobs"]


def test_the_daemon_from_the_command_line(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    database = make_engine_frame(settings, dates=3)
    cli.load_commands()

    def run(*words: str) -> str:
        done = CliRunner().invoke(cli.app, ["daemon", *words, "-d", str(settings.source)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    assert "none is launched" in run("pause") and daemon.read(database).command == "pause"
    run("resume")
    run("replan")
    assert daemon.read(database).replan
    assert "3 jobs cancelled; 0 running jobs end first" in run("power-down")
    assert database.query(PendingJob) == []
    whos = {event.who for event in database.query(JobEvent, event="changed") if event.message.startswith(("daemon:", "plan"))}
    assert len(whos) == 1 and "@" in str(whos.pop())
    document = json.loads(run("status", "--json"))
    assert document["daemon"]["command"] == "power_down" and document["jobs"]["pending"] == 0
    text = run("status")
    assert "powering down" in text and "nothing is up" in text and "m1" in text
    run("power-down", "--now")


def test_watching_on_a_terminal_until_ctrl_c(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    make_engine_frame(settings, dates=3).close()
    ours, theirs = pty.openpty()
    argv = [sys.executable, "-m", "satdaemon.cli", "status", "--watch", "-d", str(settings.source)]
    environment = {**os.environ, "COLUMNS": "140", "LINES": "60"}
    # A shell hands background programs an ignored SIGINT, which they would keep.
    heeds = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(argv, stdout=theirs, stderr=theirs, env=environment, preexec_fn=heeds)
    os.close(theirs)
    os.set_blocking(ours, False)
    seen = bytearray()

    def read() -> bytearray:
        with suppress(OSError):
            seen.extend(os.read(ours, 65536))
        return seen

    until(lambda: b"machine" in read() and b"download" in seen, 180.0)
    process.send_signal(signal.SIGINT)
    assert until(lambda: (read() or True) and process.poll(), 180.0) == 130
    os.close(ours)
