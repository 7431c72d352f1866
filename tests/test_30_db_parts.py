"""Claims of the parts of a system: one holder at a time, a dead one's pass; and the overview."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from frames_made import make_frame, plan

from satdaemon.db import DaemonPart, Database, jobs, machines, parts
from satdaemon.db.clock import now_utc
from satdaemon.db.holder import Holder, is_gone, this_process
from satdaemon.db.overview import overview
from satdaemon.db.parts import IDLE, UP, PartState
from satdaemon.errors import RequestError

ME = this_process("ann@desk")
ELSEWHERE = Holder("another-boot/1/77/12345", "bob@other", "other", 77)


def silence(database: Database, seconds: float) -> None:
    database.write(lambda session: session.query(DaemonPart).update({"heartbeat_utc": now_utc(-seconds)}))


def names(database: Database) -> dict[str, str]:
    return {part.name: part.process for part in parts.live(database)}


def test_the_second_is_refused_by_name_and_gets_all_or_nothing(database: Database) -> None:
    parts.claim(database, ["planner", "scheduler"], ELSEWHERE)
    with pytest.raises(RequestError, match=r"planner: .* found bob@other \(pid 77 on other\), up since 2.* passes by itself"):
        parts.claim(database, ["worker m1", "planner", "flows here"], ME)
    assert names(database) == dict.fromkeys(["planner", "scheduler"], ELSEWHERE.process)
    parts.claim(database, ["worker m1"], ME)
    assert names(database)["worker m1"] == ME.process


def test_a_silent_claim_passes_and_its_holder_learns_it(database: Database) -> None:
    parts.claim(database, ["planner"], ELSEWHERE)
    silence(database, database.settings.parameters.lease_s - 5)
    assert parts.beat(database, {"planner": PartState(UP)}, ELSEWHERE) == []
    with pytest.raises(RequestError, match="expected nobody"):
        parts.claim(database, ["planner"], ME)
    silence(database, database.settings.parameters.lease_s + 1)
    assert names(database) == {}
    parts.claim(database, ["planner"], ME)
    assert parts.beat(database, {"planner": PartState(UP)}, ELSEWHERE) == ["planner"]
    parts.release(database, ELSEWHERE)
    assert names(database) == {"planner": ME.process}
    parts.release(database, ME)
    assert database.query(DaemonPart) == []


def test_a_process_that_is_dead_on_this_host_is_not_waited_for(database: Database) -> None:
    code = "from satdaemon.db.holder import this_process; print(this_process('x').process, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        holder = replace(ELSEWHERE, process=child.stdout.readline().strip())
        assert not is_gone(holder.process)
        parts.claim(database, ["planner"], holder)
        with pytest.raises(RequestError, match="expected nobody"):
            parts.claim(database, ["planner"], ME)
        child.kill()
        child.wait()
    assert is_gone(holder.process) and not is_gone(ME.process) and not is_gone(ELSEWHERE.process)
    parts.claim(database, ["planner"], ME)


def test_the_overview_counts_what_is_used(database: Database, tmp_path: Path) -> None:
    make_frame(database, 6)
    plan(database)
    machines.seen(database, "large")
    granted = jobs.grant_pass(database)
    jobs.cancel(database, job_id=granted[0].job_id, who="ann")
    parts.claim(database, ["planner"], ME)
    parts.beat(database, {"planner": PartState(IDLE, "powered down", restarts=2)}, ME)
    seen = overview(database, running=1)
    (part,) = seen.parts
    assert (part.name, part.state, part.message, part.restarts) == ("planner", IDLE, "powered down", 2)
    assert sum(machine.jobs for machine in seen.machines) == seen.jobs.running == len(granted)
    large = next(machine for machine in seen.machines if machine.name == "large")
    on_large = [grant for grant in granted if grant.machine == "large"]
    assert large.is_seen and (large.cpu, large.cpu_used > 0) == (4.0, bool(on_large))
    assert seen.jobs.pending + seen.jobs.running == 6 and seen.jobs.failed == 0
    assert (seen.frames, seen.frames_on, len(seen.running)) == (1, 1, 1)
    assert seen.running[0].is_asked_to_stop and seen.running[0].title.startswith("download ")
